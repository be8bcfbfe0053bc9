using BlockStorage.Engine.Host;

namespace BlockStorage.Engine.Volumes.File;

/// <summary>Pools that are folders.</summary>
internal sealed class FileVolumeDriverFactory(ICommandRunner runner) : IVolumeDriverFactory
{
    private const long Granularity = 1 << 20;
    private const long SmallestUse = 1 << 20;
    private const int LongestPath = 1000;
    private const string ImageFix = "apt-get install xfsprogs";

    /// <inheritdoc/>
    public string Name => "File";

    /// <inheritdoc/>
    public string DefaultFor => "used by New-BlockPool without -Disk";

    /// <inheritdoc/>
    public async Task<DriverProbe> ProbeAsync(CancellationToken cancel)
    {
        var maker = runner.Find(PoolImage.Maker);
        var version = "";
        if (maker is not null)
        {
            var result = await runner.RunAsync(new Command(PoolImage.Maker, ["-V"], TimeSpan.FromSeconds(10), Mutates: false),
                SilentSink.Instance, cancel).ConfigureAwait(false);
            version = result.Output.Trim().Split(' ')[^1];
        }
        var image = maker is not null && Environment.IsPrivilegedProcess && LoopDevices.Supported;
        return new DriverProbe(true,
            image ? ["thin", "thick", "snapshot", "clone", "resize", "revert", "reflink"] : ["thin", "thick", "snapshot", "clone", "resize", "revert"],
            version, "", "",
            [
                new() { Name = PoolImage.Maker, Kind = "Tool", State = maker is null ? "warning" : "ok", Version = version,
                    Detail = maker ?? "Not installed: pools cannot have an image of their own (-Size), whose snapshots take no time.",
                    Fix = maker is null ? ImageFix : "" },
                new() { Name = "loop", Kind = "Kernel", State = LoopDevices.Supported ? "ok" : "warning",
                    Detail = LoopDevices.Supported ? "Loop devices work." : "No loop devices: no pools with an image of their own, no devices of files.",
                    Fix = LoopDevices.Supported ? "" : "modprobe loop" },
            ]);
    }

    /// <inheritdoc/>
    public PoolSpec? Identify(string path)
    {
        try
        {
            // The folder may have been moved since its description was written.
            return Sidecars.ReadPool(new PoolLayout(path).PoolFile) is { } known ? known.Pool with { Path = path } : null;
        }
        catch (BlockStorageException)
        {
            return null;
        }
    }

    /// <inheritdoc/>
    public PoolSpec Check(PoolSpec spec)
    {
        if (spec.Disks.Count > 0)
            throw new BlockStorageException(BlockErrors.InvalidArgument, "A File pool is made in a folder, not of disks.", spec.Disks[0],
                $"New-BlockPool '{spec.Name}' -Driver Lvm -Disk '{spec.Disks[0]}'");
        var path = CheckPath(spec.Path);
        var existing = NearestExisting(path);
        if (Native.Stat(existing)?.IsFolder != true)
            throw Bad(existing, "is not a folder");
        var real = RealPath(existing);
        // Mounts and loop devices show real paths, so the pool is known by its real one.
        path = Path.TrimEndingDirectorySeparator(Path.Join(real, path[existing.Length..]));
        CheckFolder(path, real, spec);

        var available = Native.StatFileSystem(real).Available;
        if (spec.Size is not { } asked)
            return available >= SmallestUse ? spec with { Path = path } : throw new BlockStorageException(BlockErrors.InsufficientSpace,
                $"The file system of '{path}' has only {ByteSize.Format(available)} free.", path, "df -h");
        var size = CheckSize(asked);
        CheckImage(spec.Name);
        return size <= available ? spec with { Path = path, Size = size } : throw new BlockStorageException(BlockErrors.InsufficientSpace,
            $"An image of {ByteSize.Format(size)} does not fit: the file system of '{path}' has {ByteSize.Format(available)} free.", path, "df -h");
    }

    /// <inheritdoc/>
    public IVolumeDriver Open(PoolSpec spec) => new FileVolumeDriver(spec, runner);

    private static string CheckPath(string path)
    {
        if (!Path.IsPathRooted(path))
            throw Bad(path, "is not an absolute path");
        // tgtd and qemu split their texts at these.
        if (path.Any(c => c is ',' or '"' or '\'' or '\\' or '`' || char.IsControl(c)))
            throw Bad(path, "has a comma, a quote, a backslash or a control character");
        if (path.Length > LongestPath)
            throw Bad(path[..60] + "...", $"is longer than {LongestPath} characters");
        return Path.TrimEndingDirectorySeparator(Path.GetFullPath(path));
    }

    private static void CheckFolder(string path, string real, PoolSpec spec)
    {
        for (var folder = Path.GetDirectoryName(path); folder is not null; folder = Path.GetDirectoryName(folder))
        {
            if (Native.Stat(new PoolLayout(folder).PoolFile) is not null)
                throw Bad(path, $"lies inside the pool in '{folder}'");
        }
        if (Native.Stat(path) is not null)
        {
            var layout = new PoolLayout(path);
            if (Sidecars.ReadPool(layout.PoolFile) is { } known)
            {
                if (known.Pool.Id != spec.Id)
                    throw Bad(path, $"holds the pool '{known.Pool.Name}'");
            }
            // A freshly made ext4 holds lost+found.
            else if (Directory.EnumerateFileSystemEntries(path).FirstOrDefault(entry => Path.GetFileName(entry) != "lost+found") is { } first)
                throw Bad(path, $"is not empty (it holds '{Path.GetFileName(first)}')");
        }
        if (Native.StatFileSystem(real).ReadOnly)
            throw Bad(path, "is on a read-only file system");
        if (!Native.CanWrite(real))
            throw Environment.IsPrivilegedProcess
                ? Bad(path, "cannot be written, not even by root")
                : new BlockStorageException(BlockErrors.PrivilegeRequired, $"The folder '{real}' cannot be written by this user.", path);
    }

    private static long CheckSize(long asked)
    {
        if (asked < PoolImage.MinimumSize || asked > long.MaxValue - Granularity)
            throw new BlockStorageException(BlockErrors.InvalidSize,
                $"A pool image needs at least {ByteSize.Format(PoolImage.MinimumSize)}, not {ByteSize.Format(asked)}: XFS cannot be smaller.",
                ByteSize.Format(asked), $"Give -Size {ByteSize.Format(PoolImage.MinimumSize).Replace(" ", "", StringComparison.Ordinal)} or more, or no -Size to use the folder as it is.");
        return (asked + Granularity - 1) / Granularity * Granularity;
    }

    private void CheckImage(string name)
    {
        if (!Environment.IsPrivilegedProcess)
            throw new BlockStorageException(BlockErrors.PrivilegeRequired,
                "A pool with -Size mounts an image of its own, which needs root.", name, "sudo pwsh, or New-BlockPool without -Size");
        if (runner.Find(PoolImage.Maker) is null)
            throw new BlockStorageException(BlockErrors.ToolMissing,
                $"A pool with -Size needs '{PoolImage.Maker}', which is not installed.", PoolImage.Maker, ImageFix);
        if (!LoopDevices.Supported)
            throw new BlockStorageException(BlockErrors.NotSupported,
                "A pool with -Size needs loop devices, which this kernel does not have.", name, "modprobe loop");
    }

    private static string NearestExisting(string path)
    {
        var folder = path;
        while (Native.Stat(folder) is null)
            folder = Path.GetDirectoryName(folder) ?? "/";
        return folder;
    }

    // Resolves every link on the way, which no method of .NET does.
    private static string RealPath(string folder)
    {
        using var handle = Native.Open(folder, OpenMode.ReadOnly);
        return new FileInfo($"/proc/self/fd/{handle.DangerousGetHandle()}").LinkTarget!;
    }

    private static BlockStorageException Bad(string path, string what) =>
        new(BlockErrors.InvalidPath, $"The folder '{path}' {what}.", path);
}
