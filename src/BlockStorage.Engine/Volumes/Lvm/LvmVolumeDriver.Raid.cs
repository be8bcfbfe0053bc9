using System.Globalization;
using BlockStorage.Services;

namespace BlockStorage.Engine.Volumes.Lvm;

/// <summary>Pools on RAID: thin pool, its metadata and thick volumes lie on several disks each.</summary>
internal sealed partial class LvmVolumeDriver
{
    private const string RaidPrefix = "raid";
    private static readonly string[] Linear = ["--type", "linear"];

    private RaidLayout? Layout(LvmGroup group) => RaidLayout.Of(pool.Raid, group.Disks.Count(disk => disk.IsThere));

    /// <summary>Bytes that are free for data.</summary>
    private long Usable(LvmGroup group) =>
        Layout(group)?.Usable(group.Disks.Where(disk => disk.IsThere).Select(disk => disk.Free), group.ExtentSize) ?? group.Free;

    /// <summary>Bytes of data that the disks hold in all.</summary>
    private long UsableSize(LvmGroup group) => Layout(group) is { } layout ? group.Size / layout.Legs * layout.Stripes : group.Size;

    /// <summary>LVM rounds what is striped up to whole stripes: sizes are multiples of them from the start.</summary>
    private long Granularity(LvmGroup group) => group.ExtentSize * Math.Max(1, Layout(group)?.Stripes ?? 1);

    /// <summary>Arguments that make a thick volume, or more of one that there is.</summary>
    private string[] ThickKind(LvmGroup group, LvmVolume? like = null) =>
        like is null ? Layout(group)?.Arguments ?? Linear
        : IsRaid(like) ? RaidLayout.Of(like.Type.Split('_')[0], DisksOf(group, like).Count)!.Arguments : Linear;

    // More of a volume has to lie on its own disks, or one failed disk could take two legs. Of a linear one any will do.
    private static List<string> DisksOf(LvmGroup group, LvmVolume volume) => !IsRaid(volume) ? []
        : RangesOf(group, volume.Name).Select(range => range[..range.LastIndexOf(':')]).Distinct(StringComparer.Ordinal).ToList();

    private static List<string> RangesOf(LvmGroup group, string name) => group.Volumes
        .Where(part => part.Name == name && !IsRaid(part) || part.Name.StartsWith(name + "_rimage_", StringComparison.Ordinal))
        .SelectMany(part => part.Ranges).ToList();

    // RAID5 and RAID6 have their layout of parity in the name: raid5_ls.
    private static bool IsRaid(LvmVolume volume) => volume.Type.StartsWith(RaidPrefix, StringComparison.Ordinal);

    private static IEnumerable<LvmVolume> Raids(LvmGroup group) =>
        group.Volumes.Where(volume => IsRaid(volume) && (volume.Name is LvmNames.PoolData or LvmNames.PoolMetadata || LvmNames.IsPool(volume.Name) || volume.Id is not null));

    /// <summary>Makes data and metadata aside and puts them together; until the rename there is no pool.</summary>
    private async Task MakeRaidPoolAsync(RaidLayout layout, PoolShape shape, string[] options, LvmGroup group, IWorkSink sink, CancellationToken cancel)
    {
        foreach (var left in group.Volumes.Where(volume => volume.Name is LvmNames.NewPool or LvmNames.NewPoolMetadata))
            await RemoveAsync(left.Name, sink).ConfigureAwait(false);
        await _lvm.RunAsync("lvcreate", ["--yes", .. layout.Arguments, "--size", $"{shape.Data}b", "--name", LvmNames.NewPool, Group], sink, cancel).ConfigureAwait(false);
        await _lvm.RunAsync("lvcreate", ["--yes", .. layout.MetadataArguments, "--size", $"{shape.Metadata}b", "--name", LvmNames.NewPoolMetadata, Group],
            sink, cancel).ConfigureAwait(false);
        await _lvm.RunAsync("lvconvert", ["--yes", "--type", "thin-pool", "--poolmetadata", $"{Group}/{LvmNames.NewPoolMetadata}", .. options,
            $"{Group}/{LvmNames.NewPool}"], sink, cancel).ConfigureAwait(false);
        await RenameAsync(LvmNames.NewPool, LvmNames.Pool, sink).ConfigureAwait(false);
    }

    /// <summary>What is wrong with the RAID of this pool; null where nothing is.</summary>
    private RaidNote? RaidTrouble(LvmGroup group)
    {
        if (pool.Raid.Length == 0)
            return null;
        var raids = Raids(group).Select(volume => (Name: Shown(volume), State: RaidState.Find(Group, volume.Name)))
            .Where(raid => raid.State is not null).Select(raid => (raid.Name, State: raid.State!)).ToList();
        var failed = raids.Where(raid => raid.State.Failed > 0).Select(raid => raid.Name).ToList();
        if (group.MissingDisks > 0 || failed.Count > 0)
            return new RaidNote($"degraded, it works on the disks that are left: {(group.MissingDisks > 0 ? Missing(group) : $"a disk of {Some(failed)} failed")}. " +
                $"Repair-BlockStorage takes it back or rebuilds on another disk; vgextend --metadatasize 64m '{Group}' /dev/DISK gives one", true);
        if (group.Volumes.FirstOrDefault(volume => volume.Name == LvmNames.PoolMetadata) is { } metadata && !IsRaid(metadata))
            return new RaidNote("degraded: its metadata is on one disk only since it was repaired: Repair-BlockStorage", true);
        if (raids.FirstOrDefault(raid => raid.State.Differs) is { Name: not null } differs)
            return new RaidNote($"degraded: {differs.State.Mismatches} sectors of {differs.Name} differ between its disks: Repair-BlockStorage makes them the same", true);
        return raids.FirstOrDefault(raid => raid.State.IsCatchingUp) is { Name: not null } behind
            ? new RaidNote(string.Create(CultureInfo.InvariantCulture, $"{behind.Name} is being brought into step on all disks: {behind.State.InStep * 100:0} %"), false) : null;
    }

    /// <summary>Makes the pool as safe as its RAID is meant to be: failed legs back or anew, metadata on RAID, legs the same.</summary>
    private async Task ProtectAsync(LvmGroup group, IWorkSink sink, CancellationToken cancel)
    {
        if (group.MissingDisks > 0)
        {
            await RebuildAsync(group, sink, cancel).ConfigureAwait(false);
            group = await ReadAsync(sink, CancellationToken.None).ConfigureAwait(false);
        }
        foreach (var name in Raids(group).Where(raid => RaidState.Find(Group, raid.Name) is { Failed: > 0 })
            .Select(raid => raid.Hidden ? LvmNames.Pool : raid.Name).Distinct(StringComparer.Ordinal).ToList())
            await RefreshAsync(name, sink).ConfigureAwait(false);
        if (Layout(group) is { } layout && group.Volumes.FirstOrDefault(volume => volume.Name == LvmNames.PoolMetadata) is { } metadata && !IsRaid(metadata))
            await _lvm.RunAsync("lvconvert", ["--yes", .. layout.MetadataArguments, $"{Group}/{metadata.Name}"], sink, cancel).ConfigureAwait(false);
        foreach (var raid in Raids(group).Where(raid => RaidState.Find(Group, raid.Name) is { Differs: true }).ToList())
            await _lvm.RunAsync("lvchange", ["--syncaction", "repair", $"{Group}/{raid.Name}"], sink, cancel).ConfigureAwait(false);
    }

    /// <summary>Puts legs of disks that are away on other disks, and forgets the disks.</summary>
    private async Task RebuildAsync(LvmGroup group, IWorkSink sink, CancellationToken cancel)
    {
        try
        {
            foreach (var raid in Raids(group).Where(raid => IsPartial(group, raid)).ToList())
                await _lvm.RunAsync("lvconvert", ["--yes", "--repair", $"{Group}/{raid.Name}"], sink, cancel).ConfigureAwait(false);
            await _lvm.RunAsync("vgreduce", ["--removemissing", Group], sink, CancellationToken.None).ConfigureAwait(false);
        }
        catch (BlockStorageException error) when (error.Error == BlockErrors.InsufficientSpace || error.Error == BlockErrors.ToolFailed)
        {
            throw new BlockStorageException(BlockErrors.InsufficientSpace,
                $"Pool '{pool.Name}' cannot be rebuilt on the disks that are left; it goes on working. {error.Message}", pool.Name,
                $"Bring the disk back, or vgextend --metadatasize 64m '{Group}' /dev/DISK; then Repair-BlockStorage", error);
        }
    }

    private static bool IsPartial(LvmGroup group, LvmVolume raid) => group.Volumes.Any(part =>
        part.Name.StartsWith(raid.Name + "_r", StringComparison.Ordinal) && part.Ranges.Any(range => !range.StartsWith('/')));

    private static string Shown(LvmVolume raid) => raid.Name switch
    {
        LvmNames.PoolData => "its data",
        LvmNames.PoolMetadata => "its metadata",
        _ => LvmTags.Read(raid)?.Name ?? raid.Name,
    };

    /// <param name="Text">For people.</param>
    /// <param name="IsDegraded">Another failed disk may lose data; making the pool once more helps.</param>
    private sealed record RaidNote(string Text, bool IsDegraded);
}
