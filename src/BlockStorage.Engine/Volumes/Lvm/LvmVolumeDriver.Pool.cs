using BlockStorage.Engine.Host;
using BlockStorage.Services;

namespace BlockStorage.Engine.Volumes.Lvm;

/// <summary>The pool itself: a volume group with our tag, and a thin pool in it.</summary>
internal sealed partial class LvmVolumeDriver
{
    private const int MetadataOfVolume = 900;

    /// <inheritdoc/>
    public async Task CreatePoolAsync(IWorkSink sink, CancellationToken cancel)
    {
        var group = await _lvm.ReadAsync(sink, cancel).ConfigureAwait(false);
        if (group is not null && LvmTags.PoolOf(group.Tags) is { } other && other != pool.Id)
            throw new BlockStorageException(BlockErrors.InvalidPath, $"The volume group '{Group}' holds another pool.", Group, "Get-BlockPool");
        // Only what this call begins may it remove on failure; anything older may hold data.
        var fresh = group is null || LvmTags.PoolOf(group.Tags) is null;
        if (fresh && group?.ThinPool() is not null)
            throw new BlockStorageException(BlockErrors.InvalidPath,
                $"The volume group '{Group}' has a logical volume '{LvmNames.Pool}' that is not ours.", Group, $"lvs '{Group}'");
        try
        {
            group = group is null ? await MakeGroupAsync(sink, cancel).ConfigureAwait(false) : await TagGroupAsync(group, sink, cancel).ConfigureAwait(false);
            if (group.MetadataSize < PoolShape.DiskMetadata)
                sink.Warning($"The disks of volume group '{Group}' keep {ByteSize.Format(group.MetadataSize)} for LVM's metadata: " +
                    $"room for about {Math.Max(0, group.MetadataFree - group.MetadataSize / 20) / MetadataOfVolume} more volumes and snapshots.");
            if (group.ThinPool() is null)
                await MakeThinPoolAsync(group, sink, cancel).ConfigureAwait(false);
            else if (pool.Raid.Length > 0)
                await ProtectAsync(group, sink, cancel).ConfigureAwait(false);
            await WatchAsync(sink, cancel).ConfigureAwait(false);
        }
        catch when (fresh)
        {
            await RemoveAfterFailureAsync(sink).ConfigureAwait(false);
            throw;
        }
    }

    /// <inheritdoc/>
    public async Task DestroyPoolAsync(IWorkSink sink, CancellationToken cancel)
    {
        var group = await _lvm.ReadAsync(sink, cancel).ConfigureAwait(false);
        if (group is not null && LvmTags.PoolOf(group.Tags) == pool.Id)
        {
            var kept = group.Volumes.Where(volume => volume.IsWhole).ToList();
            if (kept.Count > 0)
                throw new BlockStorageException(BlockErrors.PoolNotEmpty,
                    $"Pool '{pool.Name}' still holds {kept.Count} volumes and snapshots, such as {kept[0].Name}.", pool.Name);
            foreach (var half in group.Volumes.Where(volume => volume is { Kind: BackendKind.Partial, Hidden: false }))
                await EraseAsync(half, group, cancel).ConfigureAwait(false);
            await RemoveGroupAsync(group, sink, cancel).ConfigureAwait(false);
        }
        // Also what a kill left between the group and its disks.
        var report = await _lvm.ReportAllAsync(sink, cancel).ConfigureAwait(false);
        var disks = report.FreeDisks.Where(disk => LvmDisks.IsOurs(disk.Uuid, pool.Id)).Select(disk => disk.Path).ToList();
        if (disks.Count > 0)
            await _lvm.RunOnAsync(disks, "pvremove", ["--yes", .. disks], sink, CancellationToken.None).ConfigureAwait(false);
        ForgetPositions(null);
        _watcher.Remove();
        _lvm.Forget();
    }

    /// <inheritdoc/>
    public async Task OpenPoolAsync(IWorkSink sink, CancellationToken cancel)
    {
        if (ThinPool.Find(Group) is { Works: true, IsFilling: false } && _watcher.IsSettled)
            return;
        var group = await ReadAsync(sink, cancel).ConfigureAwait(false);
        if (ThinPool.Find(Group) is null)
            await StartAsync(group, sink, cancel).ConfigureAwait(false);
        else if (ThinPool.Find(Group) is { Works: false } failed)
            await RestartAsync(group, failed, sink, cancel).ConfigureAwait(false);
        if (ThinPool.Find(Group) is not { } thin)
            throw new BlockStorageException(BlockErrors.PoolUnavailable, $"The thin pool of '{Group}' does not become active.", pool.Name);
        if (!thin.Works)
            throw new BlockStorageException(BlockErrors.PoolUnavailable, $"Pool '{pool.Name}' cannot be used: {thin.Trouble}.", pool.Name);
        if (!_watcher.IsSettled)
            await WatchAsync(sink, cancel).ConfigureAwait(false);
        await GrowAsync(group, thin, sink, cancel).ConfigureAwait(false);
        if (thin.IsFull && ThinPool.Find(Group) is { IsFull: false } && Writers(group) is { Length: > 0 } names)
            sink.Warning($"Pool '{pool.Name}' was full and takes writes again. Writes of these volumes may have failed, check their file systems: {names}.");
    }

    /// <inheritdoc/>
    public async Task<PoolStatus> GetPoolAsync(CancellationToken cancel)
    {
        try
        {
            var listens = PoolWatcher.Listens;
            var group = await _lvm.ReadAsync(SilentSink.Instance, cancel, listens).ConfigureAwait(false);
            if (WhyUnusable(group) is { } why)
                return new PoolStatus(false, why, 0, 0, true, "");
            var thin = ThinPool.Find(Group);
            var left = group!.MetadataLeft;
            var raid = RaidTrouble(group);
            var health = raid is { IsDegraded: true } ? raid.Text
                : group.MissingDisks > 0 ? Missing(group)
                : thin is null ? "its thin pool is not active"
                : thin.Trouble.Length > 0 ? thin.Trouble + (thin.IsFull && Writers(group) is { Length: > 0 } names ? $"; file systems to check then: {names}" : "")
                : left < 2 * LvmTool.LeastMetadata ? $"LVM's metadata is full to {100 - left * 100:0} %: no more volumes from {100 - LvmTool.LeastMetadata * 100:0} % on"
                : !IsWatched(group) ? $"degraded, it does not grow by itself: {(runner.Find("dmeventd") is null ? "apt-get install dmeventd" : NotWatched)}" : raid?.Text ?? Ok;
            var free = Usable(group);
            return new PoolStatus(thin is { Works: true }, health, UsableSize(group), free + (thin?.Free ?? 0), true, group.Sequence, free)
            {
                Granularity = Granularity(group),
                DataPercent = thin?.DataUsed * 100,
                MetadataPercent = thin?.MetadataUsed * 100,
                Outlook = Outlook(group, listens),
                IsDegraded = thin is { Works: true } && (raid is { IsDegraded: true } || !IsWatched(group)),
                Wiping = group.Volumes.Where(volume => volume.IsWiping).Sum(LeftToWipe),
            };
        }
        catch (BlockStorageException error)
        {
            return new PoolStatus(false, error.Message, 0, 0, true, "");
        }
    }

    /// <inheritdoc/>
    public async Task UpdatePoolAsync(PoolSpec spec, CancellationToken cancel)
    {
        if (ThinPool.Find(Group) is { } thin && thin.Queues != spec.Queues)
            await _lvm.RunAsync("lvchange", ["--errorwhenfull", YesNo(!spec.Queues), $"{Group}/{LvmNames.Pool}"], SilentSink.Instance, cancel).ConfigureAwait(false);
        await TagGroupAsync(await ReadAsync(SilentSink.Instance, cancel).ConfigureAwait(false), spec, SilentSink.Instance, cancel).ConfigureAwait(false);
    }

    private async Task<LvmGroup> MakeGroupAsync(IWorkSink sink, CancellationToken cancel)
    {
        if (pool.Disks.Count == 0)
            throw new BlockStorageException(BlockErrors.InvalidPath, $"There is no volume group '{Group}'.", Group,
                $"vgs, or give the disks to make it of: New-BlockPool '{pool.Name}' -Disk /dev/DISK");
        // Without --yes LVM refuses whatever has a signature that came there since it was checked.
        var known = (await _lvm.ReportAllAsync(sink, cancel).ConfigureAwait(false)).FreeDisks.Select(disk => disk.Uuid).ToHashSet();
        for (var i = 0; i < pool.Disks.Count; i++)
        {
            var uuid = LvmDisks.Uuid(pool.Id, i);
            if (!known.Contains(uuid))
                await _lvm.RunOnAsync(pool.Disks, "pvcreate", ["--norestorefile", "--uuid", uuid, "--metadatasize", $"{PoolShape.DiskMetadata}b",
                    pool.Disks[i]], sink, cancel).ConfigureAwait(false);
        }
        await _lvm.RunOnAsync(pool.Disks, "vgcreate", ["--physicalextentsize", $"{PoolShape.Extent}b", .. LvmTags.Add([LvmTags.MadeGroup, .. LvmTags.Of(pool)]),
            Group, .. pool.Disks], sink, cancel).ConfigureAwait(false);
        return await ReadAsync(sink, CancellationToken.None).ConfigureAwait(false);
    }

    private Task<LvmGroup> TagGroupAsync(LvmGroup group, IWorkSink sink, CancellationToken cancel) => TagGroupAsync(group, pool, sink, cancel);

    private async Task<LvmGroup> TagGroupAsync(LvmGroup group, PoolSpec spec, IWorkSink sink, CancellationToken cancel)
    {
        var change = LvmTags.Change(group.Tags, LvmTags.Of(spec));
        if (change.Count == 0)
            return group;
        await _lvm.RunAsync("vgchange", [.. change, Group], sink, cancel).ConfigureAwait(false);
        return await ReadAsync(sink, CancellationToken.None).ConfigureAwait(false);
    }

    private async Task MakeThinPoolAsync(LvmGroup group, IWorkSink sink, CancellationToken cancel)
    {
        var free = Usable(group);
        var shape = PoolShape.Of(free, Granularity(group), pool.Size);
        if (shape.Data < PoolShape.Minimum || shape.Whole > free)
            throw new BlockStorageException(BlockErrors.InsufficientSpace,
                $"A thin pool of {ByteSize.Format(Math.Max(shape.Data, PoolShape.Minimum))} with its metadata needs {ByteSize.Format(shape.Whole)}; " +
                $"the volume group '{Group}' has {ByteSize.Format(free)} free.", Group, $"vgs '{Group}'");
        // LVM itself has it watched at once where dmeventd runs already.
        string[] profile = await _watcher.PrepareAsync(cancel).ConfigureAwait(false) is null ? ["--metadataprofile", _watcher.Profile] : [];
        string[] options = ["--chunksize", $"{shape.Chunk}b", "--poolmetadataspare", "y", "--zero", "y", "--errorwhenfull", YesNo(!pool.Queues), .. profile];
        if (Layout(group) is { } layout)
        {
            await MakeRaidPoolAsync(layout, shape, options, group, sink, cancel).ConfigureAwait(false);
            return;
        }
        // In this form LVM takes --errorwhenfull; with --type thin-pool it refuses it.
        await _lvm.RunAsync("lvcreate", ["--yes", "--thin", "--size", $"{shape.Data}b", "--poolmetadatasize", $"{shape.Metadata}b", .. options,
            "--thinpool", LvmNames.Pool, Group], sink, cancel).ConfigureAwait(false);
    }

    private async Task RemoveGroupAsync(LvmGroup group, IWorkSink sink, CancellationToken cancel)
    {
        var foreign = group.Volumes.Where(volume => IsListed(volume) && volume.Kind == BackendKind.Foreign).ToList();
        foreach (var part in group.Volumes.Where(volume => !volume.Hidden && LvmNames.IsPool(volume.Name)))
            await _lvm.RunAsync("lvremove", ["--yes", $"{Group}/{part.Name}"], sink, cancel).ConfigureAwait(false);
        if (group.Tags.Contains(LvmTags.MadeGroup) && foreign.Count == 0)
            await _lvm.RunAsync("vgremove", [Group], sink, CancellationToken.None).ConfigureAwait(false);
        else
            await _lvm.RunAsync("vgchange", [.. LvmTags.Change(group.Tags, []), Group], sink, CancellationToken.None).ConfigureAwait(false);
    }

    private async Task RemoveAfterFailureAsync(IWorkSink sink)
    {
        try
        {
            await DestroyPoolAsync(sink, CancellationToken.None).ConfigureAwait(false);
        }
        catch (BlockStorageException error)
        {
            // What led here is what the user must hear; the rest is for the next attempt.
            sink.Warning($"Not all of the unfinished pool could be removed: {error.Message}");
        }
    }

    /// <summary>Gives a pool that is filling up more of what is free: a fifth more, or what there is.</summary>
    private async Task GrowAsync(LvmGroup group, ThinPool thin, IWorkSink sink, CancellationToken cancel)
    {
        var unit = Granularity(group);
        var free = Usable(group) / unit * unit;
        if (thin.MetadataUsed >= ThinPool.MetadataWarning && free >= 2 * PoolShape.Minimum)
        {
            await _lvm.RunAsync("lvextend", ["--poolmetadatasize", $"+{PoolShape.Minimum}b", $"{Group}/{LvmNames.Pool}"], sink, cancel).ConfigureAwait(false);
            free -= 2 * PoolShape.Minimum;
        }
        if (thin.DataUsed >= ThinPool.DataWarning && free >= unit)
        {
            var more = Math.Min(free, Math.Max(thin.Size / 5, unit) / unit * unit);
            sink.Verbose($"Growing the thin pool of '{Group}' by {ByteSize.Format(more)}.");
            await _lvm.RunAsync("lvextend", ["--size", $"+{more}b", $"{Group}/{LvmNames.Pool}"], sink, cancel).ConfigureAwait(false);
        }
    }

    private static string YesNo(bool yes) => yes ? "y" : "n";

    private string? WhyUnusable(LvmGroup? group) => group is null && ThinPool.Find(Group) is not null ? $"the disks of its volume group '{Group}' cannot be read"
        : group is null ? $"there is no volume group '{Group}' on this machine"
        : LvmTags.PoolOf(group.Tags) != pool.Id ? $"the volume group '{Group}' is not this pool's"
        : null;
}
