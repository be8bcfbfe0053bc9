using System.Globalization;
using System.Text;
using BlockStorage.Engine.Host;

namespace BlockStorage.Engine.Volumes.Lvm;

/// <summary>
/// dmeventd, which grows a thin pool while no process of ours lives: by a metadata profile that is the pool's own, so that the
/// host's settings stay as they are.
/// </summary>
internal sealed class PoolWatcher(string poolId, ICommandRunner runner)
{
    /// <summary>Per cent of data or metadata from which it grows: before anybody is warned.</summary>
    public const int GrowFrom = 70;

    /// <summary>By how many per cent.</summary>
    public const int GrowBy = 20;

    private const string Program = "dmeventd";
    private const string Folder = "/etc/lvm/profile";
    private const string PidFile = "/run/dmeventd.pid";
    private const string Pipe = "/run/dmeventd-server";
    private static readonly TimeSpan StartsWithin = TimeSpan.FromSeconds(10);

    private static readonly byte[] Content = Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture,
        $"# Written by BlockStorage; gone when the pool goes.\nactivation {{\n\tthin_pool_autoextend_threshold={GrowFrom}\n\tthin_pool_autoextend_percent={GrowBy}\n}}\n"));

    /// <summary>Name of the profile.</summary>
    public string Profile { get; } = "blockstorage-" + LvmNames.Hex(poolId);

    /// <summary>Whether dmeventd, or systemd for it, takes orders.</summary>
    public static bool Listens
    {
        get
        {
            try
            {
                // Nobody reads from it: the kernel refuses.
                using var pipe = Native.Open(Pipe, OpenMode.WriteOnly | OpenMode.NonBlocking);
                return true;
            }
            catch (BlockStorageException)
            {
                return false;
            }
        }
    }

    /// <summary>Number of dmeventd's process, or empty.</summary>
    public static string Process => System.IO.File.Exists(PidFile) ? System.IO.File.ReadAllText(PidFile).Trim() : "";

    /// <summary>Nothing is to be done, or nothing can be.</summary>
    public bool IsSettled => (Listens && System.IO.File.Exists(Path)) || runner.Find(Program) is null;

    private string Path => $"{Folder}/{Profile}.profile";

    /// <summary>Writes the profile and starts dmeventd where it does not run.</summary>
    /// <returns>Null, or why nothing will watch.</returns>
    public async Task<string?> PrepareAsync(CancellationToken cancel)
    {
        if (runner.Find(Program) is null)
            return "dmeventd is not installed: apt-get install dmeventd";
        try
        {
            Directory.CreateDirectory(Folder);
            if (!Content.AsSpan().SequenceEqual(AtomicFile.Read(Path, Content.Length)))
                AtomicFile.Write(Path, Content);
        }
        catch (Exception error) when (error is BlockStorageException or IOException or UnauthorizedAccessException)
        {
            return $"its profile cannot be written: {error.Message}";
        }
        // LVM would start it too, as a child that has the mark of the operation and makes recovery wait for it for ever.
        if (!Listens)
            new DaemonLauncher(runner).Start(Program, [], "/", "/dev/null");
        return await Poll.UntilAsync(() => Listens, StartsWithin, cancel).ConfigureAwait(false) ? null
            : "dmeventd does not start: systemctl start lvm2-monitor";
    }

    /// <summary>Removes the profile.</summary>
    public void Remove()
    {
        Native.Unlink(Path);
        Native.Unlink(Path + AtomicFile.TemporarySuffix);
    }
}
