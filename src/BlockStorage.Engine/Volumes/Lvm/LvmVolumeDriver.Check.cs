using BlockStorage.Engine.Host;
using BlockStorage.Services;

namespace BlockStorage.Engine.Volumes.Lvm;

/// <summary>Whether a thin pool is sound, and how one is started again after its disks were away.</summary>
internal sealed partial class LvmVolumeDriver
{
    private static readonly TimeSpan CheckLimit = TimeSpan.FromMinutes(30);
    private static readonly TimeSpan SnapshotLimit = TimeSpan.FromMinutes(1);

    /// <inheritdoc/>
    public async Task<string> CheckPoolAsync(IWorkSink sink, CancellationToken cancel)
    {
        try
        {
            var group = await ReadAsync(sink, cancel).ConfigureAwait(false);
            var metadata = group.Volumes.FirstOrDefault(volume => volume.Name == LvmNames.PoolMetadata);
            var spare = group.Volumes.FirstOrDefault(volume => volume.Hidden && volume.Name.EndsWith("_pmspare", StringComparison.Ordinal));
            return await CheckNumberAsync(group, sink, cancel).ConfigureAwait(false)
                ?? await CheckMetadataAsync(sink, cancel).ConfigureAwait(false)
                ?? (metadata is not null && (spare?.Size ?? 0) < metadata.Size
                    ? $"the spare for repairs of its metadata has {ByteSize.Format(spare?.Size ?? 0)}, not {ByteSize.Format(metadata.Size)}: lvextend --poolmetadatasize +4m '{Group}/{LvmNames.Pool}'"
                    : Ok);
        }
        catch (BlockStorageException error)
        {
            return error.Message;
        }
    }

    /// <summary>The number of the last change is the same in LVM's metadata and in the pool's.</summary>
    private async Task<string?> CheckNumberAsync(LvmGroup group, IWorkSink sink, CancellationToken cancel)
    {
        for (var attempt = 1; ThinPool.Find(Group) is { Works: true } thin && group.ThinPool() is { } known && thin.Transaction != known.Transaction; attempt++)
        {
            // Somebody may just be changing both.
            if (attempt == 3)
                return $"LVM's metadata is at transaction {known.Transaction}, the thin pool at {thin.Transaction}: ask for help before anything is changed (vgcfgbackup '{Group}')";
            group = await ReadAsync(sink, cancel).ConfigureAwait(false);
        }
        return null;
    }

    /// <summary>thin_check, of an active pool on a snapshot of its metadata. The kernel keeps one; whoever wants it takes the lock.</summary>
    private async Task<string?> CheckMetadataAsync(IWorkSink sink, CancellationToken cancel)
    {
        using var held = FileLock.Wait($"/run/lock/blockstorage-{LvmNames.Hex(pool.Id)}", SnapshotLimit, holder: $"process {Environment.ProcessId}", cancel: cancel);
        if (ThinPool.Find(Group) is not { } thin)
        {
            await _lvm.RunAsync("lvchange", ["--yes", "--activate", "y", $"{Group}/{LvmNames.PoolMetadata}"], sink, cancel).ConfigureAwait(false);
            try
            {
                return await RunCheckAsync([], sink, cancel).ConfigureAwait(false);
            }
            finally
            {
                await StopMetadataAsync(sink).ConfigureAwait(false);
            }
        }
        if (!thin.Works)
            return thin.Trouble;
        // Of one that died between the two.
        if (thin.HasSnapshot)
            await TellPoolAsync("release_metadata_snap", sink).ConfigureAwait(false);
        await TellPoolAsync("reserve_metadata_snap", sink).ConfigureAwait(false);
        try
        {
            return await RunCheckAsync(["--metadata-snap"], sink, cancel).ConfigureAwait(false);
        }
        finally
        {
            await TellPoolAsync("release_metadata_snap", sink).ConfigureAwait(false);
        }
    }

    private async Task<string?> RunCheckAsync(string[] options, IWorkSink sink, CancellationToken cancel)
    {
        var result = await runner.RunAsync(new Command("thin_check", [.. options, PathOf(LvmNames.PoolMetadata)], CheckLimit, Mutates: false), sink, cancel)
            .ConfigureAwait(false);
        var said = (result.Error.Trim() + " " + result.Output.Trim()).Trim().ReplaceLineEndings(" ");
        return result.ExitCode == 0 ? null
            : $"its metadata is damaged ({(said.Length > 300 ? said[^300..] : said)}): copy what can be read, then lvconvert --repair '{Group}/{LvmNames.Pool}'";
    }

    private Task TellPoolAsync(string message, IWorkSink sink) => runner.RunCheckedAsync(
        new Command("dmsetup", ["message", ThinPool.Device(Group), "0", message], SnapshotLimit), sink, CancellationToken.None);

    private Task StopMetadataAsync(IWorkSink sink) =>
        _lvm.RunAsync("lvchange", ["--activate", "n", $"{Group}/{LvmNames.PoolMetadata}"], sink, CancellationToken.None);

    private async Task StartAsync(LvmGroup group, IWorkSink sink, CancellationToken cancel)
    {
        // Of a check that died in the middle.
        if (Mapped(LvmNames.PoolMetadata) is not null)
            await StopMetadataAsync(sink).ConfigureAwait(false);
        try
        {
            await SwitchOnAsync(LvmNames.Pool, sink, cancel).ConfigureAwait(false);
        }
        catch (BlockStorageException error) when (group.MissingDisks > 0)
        {
            throw new BlockStorageException(BlockErrors.PoolUnavailable, $"Pool '{pool.Name}' cannot be used: {Missing(group)}.", pool.Name,
                "Attach them, then Repair-BlockStorage; pvs -o pv_name,pv_uuid,vg_name shows which", error);
        }
    }

    /// <summary>Starts a pool again that the kernel has given up: it reads its metadata afresh, after LVM has checked it.</summary>
    private async Task RestartAsync(LvmGroup group, ThinPool failed, IWorkSink sink, CancellationToken cancel)
    {
        var active = group.Volumes.Where(volume => volume is { IsThin: true, Hidden: false } && Mapped(volume.Name) is not null).Select(volume => volume.Name).ToList();
        foreach (var name in active)
        {
            if (Mapped(name) is { OpenCount: > 0 } device)
                throw new BlockStorageException(BlockErrors.PoolUnavailable,
                    $"Pool '{pool.Name}' cannot be used: {failed.Trouble}; '{PathOf(name)}' is in use: {DeviceHolders.Describe($"/dev/dm-{device.Number.Minor}")}.",
                    pool.Name, "Disconnect-BlockVolume and Unpublish-IscsiTarget of its volumes, then Repair-BlockStorage");
        }
        sink.Warning($"Pool '{pool.Name}' is started again: {failed.Trouble}.");
        string[] paths = [.. active.Append(LvmNames.Pool).Select(name => $"{Group}/{name}")];
        await _lvm.RunAsync("lvchange", ["--activate", "n", .. paths], sink, cancel).ConfigureAwait(false);
        await _lvm.RunAsync("lvchange", ["--yes", "--activate", "y", "--ignoreactivationskip", .. paths], sink, CancellationToken.None).ConfigureAwait(false);
    }

    private static string Missing(LvmGroup group) => $"{group.MissingDisks} of its disks {(group.MissingDisks == 1 ? "is" : "are")} missing";
}
