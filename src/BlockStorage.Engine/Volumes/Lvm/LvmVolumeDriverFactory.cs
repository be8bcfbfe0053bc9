using BlockStorage.Engine.Host;

namespace BlockStorage.Engine.Volumes.Lvm;

/// <summary>Pools that are volume groups.</summary>
internal sealed class LvmVolumeDriverFactory(StateRoot root, ICommandRunner runner) : IVolumeDriverFactory
{
    private const string DeviceFolder = "/dev/";

    /// <inheritdoc/>
    public string Name => "Lvm";

    /// <inheritdoc/>
    public string DefaultFor => "used by New-BlockPool -Disk";

    /// <inheritdoc/>
    public async Task<DriverProbe> ProbeAsync(CancellationToken cancel)
    {
        var version = "";
        var thin = false;
        if (runner.Find("lvm") is not null && runner.Find("dmsetup") is not null)
        {
            var said = await RunAsync("lvm", ["version"], cancel).ConfigureAwait(false);
            version = said.Output.Split('\n').Select(line => line.Trim()).FirstOrDefault(line => line.StartsWith("LVM version:", StringComparison.Ordinal))
                is { } line ? line["LVM version:".Length..].Trim().Split(' ')[0] : "";
            var targets = Environment.IsPrivilegedProcess ? await RunAsync("dmsetup", ["targets"], cancel).ConfigureAwait(false) : null;
            thin = targets?.Output.Split('\n').Any(line => line.StartsWith("thin-pool ", StringComparison.Ordinal)) == true;
        }
        return DriverChecks.Probe(["thin", "thick", "snapshot", "clone", "resize", "revert"], version,
        [
            DriverChecks.Root(),
            Tool("lvm", "lvm2", version),
            Tool("dmsetup", "dmsetup"),
            Tool("wipefs", "util-linux"),
            Tool("thin_check", "thin-provisioning-tools"),
            DriverChecks.Check("dm-thin-pool", "Kernel", thin, "thin pools", "the kernel has no thin pools", "modprobe dm-thin-pool"),
        ]);
    }

    /// <inheritdoc/>
    public async Task<IReadOnlyList<BlockServerCheck>> AdviseAsync(IReadOnlyList<string> connected, CancellationToken cancel)
    {
        if (runner.Find("lvm") is null || !Environment.IsPrivilegedProcess)
            return [];
        var config = await RunAsync("lvm", LvmHostView.Arguments, cancel).ConfigureAwait(false);
        var report = await new LvmTool("-", "", runner).ReportAllAsync(SilentSink.Instance, cancel).ConfigureAwait(false);
        return [LvmHostView.Check(config.Output, report.Groups.SelectMany(group => group.Disks).Concat(report.FreeDisks).Select(disk => disk.Path), connected)];
    }

    /// <inheritdoc/>
    public PoolSpec Check(PoolSpec spec)
    {
        var name = spec.Path.StartsWith(DeviceFolder, StringComparison.Ordinal) ? spec.Path[DeviceFolder.Length..] : spec.Path;
        // What users call the pool stays out of LVM's names.
        if (name.Length == 0 && spec.Disks.Count > 0)
            name = $"bs-{LvmNames.Hex(spec.Id)[..12]}";
        if (!LvmNames.IsGroup(name))
            throw new BlockStorageException(BlockErrors.InvalidPath, $"'{spec.Path}' cannot be the name of a volume group.", spec.Name,
                "New-BlockPool -Name NAME -Disk /dev/DISK, or -Driver Lvm -Path VOLUMEGROUP");
        var checkedSpec = spec with { Path = name };
        Task.Run(() => CheckAsync(checkedSpec)).GetAwaiter().GetResult();
        return checkedSpec;
    }

    /// <inheritdoc/>
    public void CheckChoices(PoolSpec spec)
    {
        if (spec.Queues)
            FullPools.RequireBound(spec.Name, FullPools.WaitSeconds);
    }

    /// <inheritdoc/>
    public PoolSpec? Identify(string path)
    {
        if (!LvmNames.IsGroup(path) || runner.Find("lvm") is null || !Environment.IsPrivilegedProcess)
            return null;
        try
        {
            var report = Task.Run(() => new LvmTool(path, "", runner).ReportAllAsync(SilentSink.Instance, CancellationToken.None)).GetAwaiter().GetResult();
            return report.Groups.Where(group => group.Name == path).Select(group => LvmTags.Read(path, group.Tags, Name)).FirstOrDefault(found => found is not null);
        }
        catch (BlockStorageException)
        {
            return null;
        }
    }

    /// <inheritdoc/>
    public IVolumeDriver Open(PoolSpec spec) => new LvmVolumeDriver(spec, root, runner);

    private async Task CheckAsync(PoolSpec spec)
    {
        var group = await new LvmTool(spec.Path, spec.Id, runner).ReadAsync(SilentSink.Instance, CancellationToken.None).ConfigureAwait(false);
        if (group is not null)
        {
            var owner = LvmTags.PoolOf(group.Tags);
            var wrong = owner == spec.Id ? null
                : owner is not null ? "holds another pool"
                : spec.Disks.Count > 0 ? "exists; it can be used without -Disk"
                : group.Volumes.Any(volume => volume.Name == LvmNames.Pool) ? $"has a logical volume '{LvmNames.Pool}' that is not ours"
                : group.MissingDisks > 0 ? "misses disks" : null;
            if (wrong is null)
                RequireDisks(spec, group.Disks.Count(disk => disk.IsThere));
            else
                throw new BlockStorageException(BlockErrors.InvalidPath, $"The volume group '{spec.Path}' {wrong}.", spec.Path, $"vgs '{spec.Path}'; Get-BlockPool");
            return;
        }
        if (spec.Disks.Count == 0)
            throw new BlockStorageException(BlockErrors.InvalidPath, $"There is no volume group '{spec.Path}'.", spec.Path,
                $"vgs, or give the disks to make it of: New-BlockPool '{spec.Name}' -Disk /dev/DISK");
        RequireDisks(spec, spec.Disks.Count);
        await LvmDisks.CheckAsync(spec.Disks, spec.Id, runner, CancellationToken.None).ConfigureAwait(false);
    }

    private static void RequireDisks(PoolSpec spec, int disks)
    {
        if (spec.Raid.Length > 0 && RaidLayout.LeastDisks(spec.Raid) is var least && disks < least)
            throw new BlockStorageException(BlockErrors.InvalidArgument, $"{spec.Raid} needs {least} disks or more, not {disks}.", spec.Name,
                disks > 1 ? "Give more disks, or -Raid raid1" : "Give more disks, or leave out -Raid");
    }

    private Task<CommandResult> RunAsync(string program, IReadOnlyList<string> arguments, CancellationToken cancel) =>
        runner.RunAsync(new Command(program, arguments, TimeSpan.FromSeconds(20), Mutates: false), SilentSink.Instance, cancel);

    private BlockStorage.BlockServerCheck Tool(string tool, string package, string version = "") => DriverChecks.Check(
        tool, "Tool", runner.Find(tool) is not null, runner.Find(tool) ?? "", $"'{tool}' is not installed", $"apt-get install {package}", version);
}
