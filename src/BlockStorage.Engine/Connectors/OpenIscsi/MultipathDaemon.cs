using System.Diagnostics;
using BlockStorage.Engine.Host;
using BlockStorage.Services;

namespace BlockStorage.Engine.Connectors.OpenIscsi;

/// <summary>What multipathd does for us. Its configuration is the administrator's and never touched.</summary>
internal sealed class MultipathDaemon(ICommandRunner runner)
{
    private const string Tool = "multipathd";
    private const string Maker = "multipath";
    private const string Known = "/etc/multipath/wwids";
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan ReadyLimit = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan UdevLimit = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan BusyLimit = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan BusyPause = TimeSpan.FromMilliseconds(200);

    /// <summary>Refuses where the daemon is not there or does not answer.</summary>
    /// <exception cref="BlockStorageException">ToolMissing, ToolFailed.</exception>
    public async Task RequireAsync(CancellationToken cancel)
    {
        if (runner.Find(Tool) is null || runner.Find(Maker) is null)
            throw new BlockStorageException(BlockErrors.ToolMissing, $"'{Tool}' is not installed.", Tool, "apt-get install multipath-tools");
        if ((await runner.RunAsync(new Command(Tool, ["show", "daemon"], Limit, Mutates: false), SilentSink.Instance, cancel).ConfigureAwait(false)).ExitCode != 0)
            throw new BlockStorageException(BlockErrors.ToolFailed, $"{Tool} does not run.", Tool, "systemctl start multipathd");
    }

    /// <summary>The name that it gives a disk, as udev finds it.</summary>
    /// <exception cref="BlockStorageException">ToolTimeout: udev says none.</exception>
    public static async Task<string> WwidAsync(ScsiDisk disk, CancellationToken cancel)
    {
        string? wwid = null;
        return await Poll.UntilAsync(() => (wwid = SerialByUdev(disk)) is not null, UdevLimit, cancel).ConfigureAwait(false) ? wwid!
            : throw new BlockStorageException(BlockErrors.ToolTimeout, $"udev gives {disk.Device} no serial number.", disk.Device, "udevadm settle");
    }

    /// <summary>The names that it has of a connection and had not before; where the connecting process was killed before it could save ours, by the disks.</summary>
    public static IReadOnlyList<string> Learned(ConnectionState state, IReadOnlyList<ScsiDisk> disks) => state.WwidsBefore is { } before
        ? disks.Select(SerialByUdev).OfType<string>().Append(MultipathMap.Over(disks)?.Wwid ?? "").Where(wwid => wwid.Length > 0).Except(before).ToArray()
        : state.Wwid.Length > 0 ? [state.Wwid] : [];

    /// <summary>The disks that it makes maps of in any case.</summary>
    public static IReadOnlyList<string> Wwids() => Lines(Known).Where(line => line.Length > 2 && line[0] == '/').Select(line => line.Trim('/')).ToArray();

    /// <summary>Makes a map of disks and waits until it has all of them, whether or not it makes maps of single disks by itself.</summary>
    /// <exception cref="BlockStorageException">ToolFailed.</exception>
    public async Task<MultipathMap> JoinAsync(IReadOnlyList<ScsiDisk> disks, string wwid, IWorkSink sink, CancellationToken cancel)
    {
        var said = "";
        if (!Wwids().Contains(wwid))
            said = await SayAsync(Maker, ["-a", wwid], sink, cancel).ConfigureAwait(false);
        foreach (var disk in disks)
        {
            if (MultipathMap.Over([disk]) is null)
                said = await SayAsync(Tool, ["add", "path", disk.Name], sink, cancel).ConfigureAwait(false);
        }
        MultipathMap? map = null;
        bool IsReady() => (map = MultipathMap.Over(disks)) is { } there && File.Exists(there.Device) && there.Size > 0
            && disks.All(disk => there.Below.Contains(disk.Name)) && (Native.FindMapped(there.Name)?.Suspended ?? true) == false;
        return await Poll.UntilAsync(IsReady, ReadyLimit, cancel).ConfigureAwait(false) ? map!
            : throw new BlockStorageException(BlockErrors.ToolFailed,
                $"{Tool} makes no map of {string.Join(", ", disks.Select(disk => disk.Device))}: {said}", Tool, $"multipath -v3 -d {disks[0].Device}");
    }

    /// <summary>Makes the map as large as its disks.</summary>
    public async Task ResizeAsync(MultipathMap map, long size, CancellationToken cancel)
    {
        // It says "timeout" while it is busy with something else.
        for (var attempt = 0; map.Size != size && attempt < 5; attempt++)
        {
            await SayAsync(Tool, ["resize", "map", map.Name], SilentSink.Instance, cancel).ConfigureAwait(false);
            await Poll.UntilAsync(() => map.Size == size, TimeSpan.FromSeconds(2), cancel).ConfigureAwait(false);
        }
    }

    /// <summary>Makes what comes fail where no path is left, in place of waiting for one.</summary>
    public Task FailFastAsync(MultipathMap map) =>
        SayAsync(Tool, ["disablequeueing", "map", map.Name], SilentSink.Instance, CancellationToken.None);

    /// <summary>Removes a map with what is unwritten in it already written.</summary>
    /// <param name="map">The map.</param>
    /// <param name="force">Also while it is open: it fails what comes then, and goes when it is closed.</param>
    /// <exception cref="BlockStorageException">DeviceInUse.</exception>
    public async Task RemoveAsync(MultipathMap map, bool force)
    {
        var said = "";
        var clock = Stopwatch.StartNew();
        // udev looks at a device that was written to when it is closed, and holds it for a moment.
        while (map.Exists)
        {
            said = await SayAsync(Maker, ["-f", map.Name], SilentSink.Instance, CancellationToken.None).ConfigureAwait(false);
            if (force || clock.Elapsed >= BusyLimit)
                break;
            if (map.Exists)
                await Task.Delay(BusyPause).ConfigureAwait(false);
        }
        if (!map.Exists)
            return;
        if (force)
            await SayAsync("dmsetup", ["remove", "--force", "--deferred", map.Name], SilentSink.Instance, CancellationToken.None).ConfigureAwait(false);
        else
            throw new BlockStorageException(BlockErrors.DeviceInUse, $"{map.Device} is in use by {DeviceHolders.Describe(map.Device)}: {said}", map.Device);
    }

    /// <summary>Makes no maps of a disk from now on that were not made before.</summary>
    public async Task ForgetAsync(string wwid)
    {
        if (wwid.Length > 0 && Wwids().Contains(wwid) && runner.Find(Maker) is not null)
            await SayAsync(Maker, ["-w", wwid], SilentSink.Instance, CancellationToken.None).ConfigureAwait(false);
    }

    private async Task<string> SayAsync(string tool, string[] arguments, IWorkSink sink, CancellationToken cancel)
    {
        if (runner.Find(tool) is null)
            return $"{tool} is not installed";
        var result = await runner.RunAsync(new Command(tool, arguments, Limit), sink, cancel).ConfigureAwait(false);
        return $"{result.Output.Trim()} {result.Error.Trim()}".Trim();
    }

    // Null where udev has none yet, or one that cannot be an argument.
    private static string? SerialByUdev(ScsiDisk disk)
    {
        const string key = "E:ID_SERIAL=";
        var file = $"/run/udev/data/b{SysAttribute.Read($"{disk.Folder}/block/{disk.Name}/dev")}";
        return Lines(file).FirstOrDefault(line => line.StartsWith(key, StringComparison.Ordinal))?[key.Length..] is { Length: > 0 } serial
            && char.IsAsciiLetterOrDigit(serial[0]) ? serial : null;
    }

    private static string[] Lines(string file)
    {
        try
        {
            return File.Exists(file) ? File.ReadAllLines(file) : [];
        }
        catch (IOException)
        {
            return [];
        }
    }
}
