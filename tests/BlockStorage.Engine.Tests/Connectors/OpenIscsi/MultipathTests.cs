using System.Globalization;
using System.Security.Cryptography;
using BlockStorage.Engine.Connectors;
using BlockStorage.Engine.Connectors.OpenIscsi;
using BlockStorage.Engine.Host;
using BlockStorage.Engine.Targets;
using BlockStorage.Engine.Targets.Lio;
using BlockStorage.Engine.Tests.Lab;
using BlockStorage.Engine.Tests.Services;
using BlockStorage.Services;

namespace BlockStorage.Engine.Tests.Connectors.OpenIscsi;

/// <summary>Several portals, one disk: LIO, open-iscsi, multipathd. Scenario 27, and 7 and 8 with many volumes.</summary>
[Trait("Needs", "Lab")]
[Collection(LabCollection.Name)]
public sealed class MultipathTests : IAsyncLifetime
{
    private const long Size = 64 << 20;
    private const string Initiator = "iqn.2026-01.org.example:host1";
    private const string Configuration = "/etc/multipath.conf";
    private const string Settings = "/etc/iscsi/iscsid.conf";
    private const string Wwids = "/etc/multipath/wwids";
    private static readonly string[] Addresses = ["10.99.0.1", "10.99.0.2"];
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan StormBound = TimeSpan.FromMinutes(3);
    private static readonly ChapCredential Chap = new("user1", "canary-sEcret-5");
    private readonly TestFolder _folder = new();
    private readonly string _configuration = File.ReadAllText(Configuration);
    private readonly string _settings = File.ReadAllText(Settings);
    private readonly LioTargetDriver _targets;
    private readonly OpenIscsiConnector _connector;

    public MultipathTests()
    {
        var root = new StateRoot(_folder.Path);
        _targets = new LioTargetDriver(root, new CommandRunner());
        _connector = new OpenIscsiConnector(root, new CommandRunner());
    }

    public async Task InitializeAsync()
    {
        foreach (var address in Addresses)
            await AddressAsync("add", address);
        // A path that is silent is known to be dead after two seconds, not ten.
        await File.AppendAllTextAsync(Settings, "\nnode.conn[0].timeo.noop_out_interval = 1\nnode.conn[0].timeo.noop_out_timeout = 1\n");
    }

    public async Task DisposeAsync()
    {
        foreach (var address in Addresses)
            await new CommandRunner().RunAsync(new Command("ip", ["addr", "add", $"{address}/32", "dev", "lo"], Bound), SilentSink.Instance, default);
        foreach (var live in await _connector.ListAsync(default))
            await _connector.DisconnectAsync(live.Id, force: true, default);
        await _targets.CleanAsync(() => new HashSet<string>(), default);
        await StopDaemonAsync();
        foreach (var address in Addresses)
            await AddressAsync("del", address);
        await File.WriteAllTextAsync(Configuration, _configuration);
        await File.WriteAllTextAsync(Settings, _settings);
        AssertNothingLeft();
        _folder.Dispose();
    }

    [Theory(DisplayName = "Scenario 27: a path goes and comes while a writer writes; resize; disconnect leaves nothing")]
    [InlineData("strict", "no")]
    [InlineData("no", "yes")]
    public async Task A_path_goes_and_comes_while_a_writer_writes(string findMultipaths, string friendlyNames)
    {
        await StartDaemonAsync(findMultipaths, friendlyNames);
        var info = await PublishAsync("a", Addresses);
        var device = await _connector.ConnectAsync(info, SilentSink.Instance, default);
        Assert.Equal((true, 2, 2), (device.Way.Multipath, device.Way.PathCount, device.Way.PathsUp));
        var map = MultipathMap.Over(KernelSession.List().SelectMany(session => session.Disks()))!;
        Assert.Equal($"/dev/mapper/{(friendlyNames == "yes" ? "mpath" : "36001405")}", device.DevicePath[..(friendlyNames == "yes" ? 17 : 20)]);
        Assert.Equal((device.DevicePath, 2, "36001405" + info.Serial[..25]), (map.Device, map.Below.Count, map.Wwid));
        Assert.Equal(device, await _connector.ConnectAsync(info, SilentSink.Instance, default));

        using var stop = new CancellationTokenSource();
        var (count, bytes) = (0, RandomNumberGenerator.GetBytes(1 << 20));
        await File.WriteAllBytesAsync(_folder.File("pattern"), bytes);
        var writer = Task.Run(async () =>
        {
            for (; !stop.IsCancellationRequested; Interlocked.Increment(ref count))
            {
                await RunAsync("dd", $"if={_folder.File("pattern")}", $"of={device.DevicePath}", "bs=64k", "oflag=direct", "conv=notrunc,fsync",
                    string.Create(CultureInfo.InvariantCulture, $"seek={count % 60 * 16}"));
            }
        });
        async Task WritesGoOnAsync()
        {
            var before = Volatile.Read(ref count);
            Assert.True(await Poll.UntilAsync(() => writer.IsCompleted || Volatile.Read(ref count) > before + 2, Bound, default) && !writer.IsFaulted, writer.Exception?.Message);
        }

        await WritesGoOnAsync();
        await AddressAsync("del", Addresses[1]);
        Assert.True(await Poll.UntilAsync(() => Live(info).Way.PathsUp == 1, Bound, default));
        Assert.Equal((true, device.DevicePath), (Live(info).Alive, Live(info).DevicePath));
        Assert.Contains(Addresses[1], Live(info).Reason, StringComparison.Ordinal);
        await WritesGoOnAsync();
        var refused = await Assert.ThrowsAsync<BlockStorageException>(() => _connector.ResizeAsync(info.Id, 2 * Size, default));
        Assert.Equal(BlockErrors.ConnectionLost, refused.Error);
        Assert.Contains(Addresses[1], refused.Message, StringComparison.Ordinal);

        await AddressAsync("add", Addresses[1]);
        Assert.True(await Poll.UntilAsync(() => Live(info).Way.PathsUp == 2, Bound, default));
        await GrowAsync("a", 2 * Size);
        await _connector.ResizeAsync(info.Id, 2 * Size, default);
        Assert.Equal((2 * Size, 2 * Size), (BlockDevices.Size(device.DevicePath), Live(info).Size));
        await _connector.PauseAsync(info.Id, default);
        Assert.Equal("I/O is held", Live(info).Reason);
        await _connector.ResumeAsync(info.Id, default);
        await WritesGoOnAsync();
        await stop.CancelAsync();
        await writer;

        // What is unwritten in the page cache of the map is flushed before it goes.
        var last = RandomNumberGenerator.GetBytes(4 << 20);
        Write(device.DevicePath, 100 << 20, last);
        await _connector.DisconnectAsync(info.Id, force: false, default);
        await _connector.DisconnectAsync(info.Id, force: false, default);
        for (var part = 0; part < Math.Min(count, 60); part++)
            Assert.Equal(bytes, Read(File_("a"), (long)part << 20, bytes.Length));
        Assert.Equal(last, Read(File_("a"), 100 << 20, last.Length));
        AssertNothingLeft();
        if (findMultipaths == "strict")
            Assert.DoesNotContain(File.ReadAllLines(Wwids), line => line == $"/{map.Wwid}/");
    }

    [Fact]
    public async Task A_portal_away_at_connect_joins_later_and_holders_are_named_and_a_forced_end_leaves_nothing()
    {
        var info = await PublishAsync("a", Addresses);
        var bare = new OpenIscsiConnector(new StateRoot(_folder.Path), new NoTools());
        Assert.Equal(BlockErrors.ToolMissing, (await Assert.ThrowsAsync<BlockStorageException>(() => bare.ConnectAsync(info, SilentSink.Instance, default))).Error);
        await StopDaemonAsync();
        var error = await Assert.ThrowsAsync<BlockStorageException>(() => _connector.ConnectAsync(info, SilentSink.Instance, default));
        Assert.Equal((BlockErrors.ToolFailed, "systemctl start multipathd"), (error.Error, error.NextStep));
        AssertNothingLeft();

        await StartDaemonAsync("strict", "no");
        await AddressAsync("del", Addresses[1]);
        var sink = new RecordingSink();
        var device = await _connector.ConnectAsync(info with { Persistent = true }, sink, default);
        Assert.Contains(sink.Lines, line => line.Contains($"{Addresses[1]}:3260 does not answer", StringComparison.Ordinal));
        Assert.Equal((true, 1, 2, true), (Live(info).Alive, Live(info).Way.PathsUp, Live(info).Way.PathCount, Live(info).Reopens));
        await AddressAsync("add", Addresses[1]);
        await _connector.ReopenAsync(info.Id, SilentSink.Instance, default);
        Assert.Equal((2, false), (Live(info).Way.PathsUp, Live(info).Reopens));
        Assert.Equal(2, MultipathMap.Over(KernelSession.List()[0].Disks())!.Below.Count);

        // At boot both come by themselves.
        await RunAsync("udevadm", "settle");
        await RunAsync("multipath", "-f", Path.GetFileName(device.DevicePath));
        await RunAsync("iscsiadm", "-m", "session", "--logout");
        await RunAsync("iscsiadm", "-m", "node", "--loginall=automatic");
        Assert.True(await Poll.UntilAsync(() => Live(info) is { Alive: true, Way.PathsUp: 2 }, Bound, default), Live(info).Reason);
        Assert.Equal(device.DevicePath, Live(info).DevicePath);
        // udev names it a moment after the kernel has it.
        Assert.True(await Poll.UntilAsync(() => File.Exists(device.DevicePath), Bound, default));

        await RunAsync("mkfs.ext4", "-q", device.DevicePath);
        var mount = Directory.CreateDirectory(_folder.File("mnt")).FullName;
        Mounts.Mount(device.DevicePath, mount, "ext4");
        Assert.Equal([mount], Live(info).MountPoints);
        var held = await Assert.ThrowsAsync<BlockStorageException>(() => _connector.DisconnectAsync(info.Id, force: false, default));
        Assert.Equal(BlockErrors.DeviceInUse, held.Error);
        Assert.Contains(mount, held.Message, StringComparison.Ordinal);
        Assert.Equal(2, Live(info).Way.PathsUp);

        // Both paths dead, a file system dirty: it ends within a bound.
        File.WriteAllBytes(Path.Combine(mount, "file"), new byte[4 << 20]);
        foreach (var address in Addresses)
            await AddressAsync("del", address);
        await _connector.DisconnectAsync(info.Id, force: true, default).WaitAsync(Bound);
        Assert.False(Mounts.IsMountPoint(mount));
        foreach (var address in Addresses)
            await AddressAsync("add", address);
        AssertNothingLeft();
    }

    [Fact]
    public async Task What_the_daemon_learned_before_a_kill_is_forgotten()
    {
        await StartDaemonAsync("no", "no");
        var known = File.ReadAllLines(Wwids);
        var info = await PublishAsync("a", Addresses);
        var folder = ConnectionFolder.Of(new StateRoot(_folder.Path), info.Id);
        await _connector.ConnectAsync(info, SilentSink.Instance, default);
        var state = folder.Load()!;
        Assert.Equal(("36001405" + info.Serial[..25], null), (state.Wwid, state.WwidsBefore));
        Assert.Contains($"/{state.Wwid}/", File.ReadAllLines(Wwids));
        // As a process leaves it that was killed after the scan: the daemon makes maps of all disks by itself, and the state has no name yet.
        folder.Save(state with { Wwid = "", WwidsBefore = MultipathDaemon.Wwids().Where(wwid => wwid != state.Wwid).ToArray() });
        await _connector.DisconnectAsync(info.Id, force: true, default);
        AssertNothingLeft();
        Assert.DoesNotContain($"/{state.Wwid}/", File.ReadAllLines(Wwids));

        // What was known before us stays, whenever the kill comes.
        await _connector.ConnectAsync(info, SilentSink.Instance, default);
        folder.Save(folder.Load()! with { Wwid = "", WwidsBefore = [state.Wwid] });
        await _connector.DisconnectAsync(info.Id, force: true, default);
        Assert.Contains($"/{state.Wwid}/", File.ReadAllLines(Wwids));
        await RunAsync("multipath", "-w", state.Wwid);
        Assert.Equal(known.Where(line => line.StartsWith('/')), File.ReadAllLines(Wwids).Where(line => line.StartsWith('/')));
    }

    [Fact]
    public async Task A_volume_published_at_two_portals_is_connected_through_both()
    {
        await StartDaemonAsync("strict", "no");
        var fixture = new ServiceFixture();
        await fixture.InitializeAsync();
        try
        {
            var volume = await fixture.Run(fixture.Service.NewVolumeAsync(new NewVolumeRequest("paths", 16 << 20), default));
            var target = await fixture.Run(fixture.Service.PublishAsync(new PublishRequest(volume.Id, Driver: "Lio", Portal: Addresses), default));
            Assert.Equal(Addresses.Select(address => $"{address}:3260"), target.Portal);
            var connection = await fixture.Run(fixture.Service.ConnectAsync(new ConnectRequest(volume.Id, Multipath: true), default));
            Assert.StartsWith("/dev/mapper/", connection.DevicePath, StringComparison.Ordinal);
            Assert.Equal((2, 2), (connection.PathCount, connection.PathsUp));
            Assert.Equal(2, KernelSession.List().Count(session => session.Iqn == target.Iqn));
        }
        finally
        {
            await fixture.DisposeAsync();
        }
        AssertNothingLeft();
    }

    [Fact(DisplayName = "Scenario 8: eight volumes connected and disconnected at once, two rounds; every byte on its own volume")]
    public Task Many_volumes_at_once() => StormAsync(8, 2);

    [Fact(DisplayName = "LP 1944474: a storm of twenty logins and logouts leaves no session")]
    [Trait("Takes", "Hours")]
    public Task A_storm_of_logins() => StormAsync(20, 1);

    private async Task StormAsync(int volumes, int rounds)
    {
        var infos = new List<ConnectionInfo>();
        for (var number = 0; number < volumes; number++)
            infos.Add(await PublishAsync($"many{number}", Addresses[..1]) with { Multipath = false, Portals = [] });
        for (var round = 0; round < rounds; round++)
        {
            var devices = await Task.WhenAll(infos.Select(info => Task.Run(() => _connector.ConnectAsync(info, SilentSink.Instance, default)))).WaitAsync(StormBound);
            Assert.Equal(volumes, devices.Select(device => device.DevicePath).Distinct().Count());
            Assert.Equal(volumes, KernelSession.List().Count);
            var bytes = infos.Select(_ => RandomNumberGenerator.GetBytes(1 << 20)).ToArray();
            for (var number = 0; number < volumes; number++)
                Write(devices[number].DevicePath, 0, bytes[number]);
            await Task.WhenAll(infos.Select(info => Task.Run(() => _connector.DisconnectAsync(info.Id, force: false, default)))).WaitAsync(StormBound);
            for (var number = 0; number < volumes; number++)
                Assert.Equal(bytes[number], Read(File_($"many{number}"), 0, bytes[number].Length));
            AssertNothingLeft();
        }
    }

    [Fact(DisplayName = "6.4: only our disk of several comes, over IPv6 however it is written; several are refused for boot")]
    public async Task Only_our_disk_of_several_comes()
    {
        var info = await PublishAsync("a", ["::1"]) with { Multipath = false, Portals = [] };
        var group = $"/sys/kernel/config/target/iscsi/{info.Iqn}/tpgt_1";
        var (unit, right) = ($"{group}/lun/lun_7", $"{group}/acls/{Initiator}/lun_7");
        var backstore = new DirectoryInfo(Directory.GetFileSystemEntries($"{group}/lun/lun_0").Single(entry => new FileInfo(entry).LinkTarget is not null)).ResolveLinkTarget(true)!;
        Directory.CreateDirectory(unit);
        File.CreateSymbolicLink($"{unit}/x", backstore.FullName);
        Directory.CreateDirectory(right);
        File.CreateSymbolicLink($"{right}/x", unit);
        try
        {
            var error = await Assert.ThrowsAsync<BlockStorageException>(() => _connector.ConnectAsync(info with { Persistent = true }, SilentSink.Instance, default));
            Assert.Equal(BlockErrors.NotSupported, error.Error);
            Assert.Contains("0, 7", error.Message, StringComparison.Ordinal);
            AssertNothingLeft();
            var device = await _connector.ConnectAsync(info with { Portal = new Portal("0:0:0:0:0:0:0:1", 3260) }, SilentSink.Instance, default);
            Assert.Equal([device.DevicePath], Assert.Single(KernelSession.List()).Disks().Select(disk => disk.Device));
            Assert.True(Live(info).Alive, Live(info).Reason);
            await _connector.DisconnectAsync(info.Id, force: false, default);
            device = await _connector.ConnectAsync(info, SilentSink.Instance, default);
            Assert.True(await Poll.UntilAsync(() => File.Exists(device.Way.ByPath), Bound, default), device.Way.ByPath);
            await _connector.DisconnectAsync(info.Id, force: false, default);
        }
        finally
        {
            File.Delete($"{right}/x");
            Directory.Delete(right);
            File.Delete($"{unit}/x");
            Directory.Delete(unit);
        }
    }

    private LiveConnection Live(ConnectionInfo info) => Assert.Single(_connector.ListAsync(default).Result, live => live.Id == info.Id);

    private string File_(string name) => _folder.File(name);

    private readonly Dictionary<string, ExportSpec> _exports = [];

    private async Task<ConnectionInfo> PublishAsync(string name, string[] addresses)
    {
        var id = Guid.NewGuid().ToString();
        SetSize(name, Size);
        Portal[] portals = [.. addresses.Select(address => new Portal(address, 3260))];
        var export = _exports[name] = new ExportSpec(id, $"iqn.2026-01.org.example:{name}", portals,
            new LunSpec(0, File_(name), false, id.Replace("-", "", StringComparison.Ordinal)), [new GrantSpec(Initiator, Chap)], null);
        await _targets.PublishAsync(export, SilentSink.Instance, default);
        return new ConnectionInfo(id, "iscsi", portals[0], export.Iqn, 0, Initiator, Chap, null, export.Lun!.Serial, Size, false, "", TimeSpan.FromSeconds(10))
        {
            Multipath = true,
            Portals = portals,
        };
    }

    private async Task GrowAsync(string name, long size)
    {
        SetSize(name, size);
        await _targets.ResizeAsync(_exports[name], default);
    }

    private void SetSize(string name, long size)
    {
        using var file = File.OpenHandle(File_(name), FileMode.OpenOrCreate, FileAccess.Write, FileShare.ReadWrite);
        RandomAccess.SetLength(file, size);
    }

    private static void AssertNothingLeft()
    {
        Assert.Empty(KernelSession.List());
        Assert.Empty(Directory.EnumerateFileSystemEntries("/sys/block", "sd*"));
        Assert.DoesNotContain(Directory.EnumerateFileSystemEntries("/sys/block", "dm-*"), map => SysAttribute.Read($"{map}/dm/uuid").StartsWith("mpath-", StringComparison.Ordinal));
        foreach (var folder in new[] { "/etc/iscsi/nodes", "/etc/iscsi/ifaces" }.Where(Directory.Exists))
            Assert.Empty(Directory.EnumerateFiles(folder, "blockstorage-*", SearchOption.AllDirectories));
        Assert.True(Poll.UntilAsync(() => !Directory.Exists("/dev/disk/by-id") || Directory.GetFiles("/dev/disk/by-id", "scsi-*").Length == 0, Bound, default).Result);
    }

    private static void Write(string path, long offset, byte[] bytes)
    {
        using var handle = Native.Open(path, OpenMode.WriteOnly);
        RandomAccess.Write(handle, bytes, offset);
    }

    private static byte[] Read(string path, long offset, int length)
    {
        using var handle = File.OpenHandle(path, share: FileShare.ReadWrite);
        var bytes = new byte[length];
        Assert.Equal(length, RandomAccess.Read(handle, bytes, offset));
        return bytes;
    }

    private static Task AddressAsync(string verb, string address) => RunAsync("ip", "addr", verb, $"{address}/32", "dev", "lo");

    private static async Task StartDaemonAsync(string findMultipaths, string friendlyNames)
    {
        await StopDaemonAsync();
        await File.WriteAllTextAsync(Configuration, $"defaults {{\n find_multipaths {findMultipaths}\n user_friendly_names {friendlyNames}\n polling_interval 2\n}}\nblacklist {{\n devnode \"^(ubd|vd)\"\n}}\n");
        await RunAsync("multipathd");
        Assert.True(await Poll.UntilAsync(() => RunResultAsync("multipathd", "show", "daemon").Result == 0, Bound, default));
    }

    private static async Task StopDaemonAsync()
    {
        foreach (var daemon in ProcessTable.Ids().Select(ProcessTable.Get).OfType<ProcessEntry>().Where(process => process.Name == "multipathd"))
            await ProcessTable.KillAsync(daemon, TimeSpan.FromSeconds(10), default);
    }

    private static async Task<int> RunResultAsync(string program, params string[] arguments) =>
        (await new CommandRunner().RunAsync(new Command(program, arguments, Bound), SilentSink.Instance, default)).ExitCode;

    private static Task<string> RunAsync(string program, params string[] arguments) =>
        new CommandRunner().RunCheckedAsync(new Command(program, arguments, Bound), SilentSink.Instance, default);
}
