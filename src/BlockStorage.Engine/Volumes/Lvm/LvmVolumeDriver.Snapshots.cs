using BlockStorage.Services;

namespace BlockStorage.Engine.Volumes.Lvm;

/// <summary>Snapshots and the way back to them.</summary>
internal sealed partial class LvmVolumeDriver
{
    /// <inheritdoc/>
    public async Task CreateSnapshotAsync(ObjectIdentity identity, IWorkSink sink, CancellationToken cancel)
    {
        var source = LvmNames.Volume(identity.OriginId);
        var thin = Mapped(source) is { Type: "thin" };
        LvmGroup? group = null;
        if (!thin)
        {
            group = await ReadAsync(sink, cancel).ConfigureAwait(false);
            var volume = Require(group, identity.OriginId);
            if (group.Find(identity.Id) is not null)
                return;
            thin = volume.IsThin;
            source = volume.Name;
        }
        if (thin)
            RequireRoom();
        try
        {
            await TakeAsync(source, LvmNames.Snapshot(identity.Id), LvmTags.Of(identity),
                thin ? [] : CopyOnWrite(group!, identity.Size), sink, cancel).ConfigureAwait(false);
        }
        catch (BlockStorageException error) when (error.Error == BlockErrors.ToolFailed)
        {
            if ((await ReadAsync(sink, cancel).ConfigureAwait(false)).Find(identity.Id) is null)
                throw;
        }
    }

    /// <inheritdoc/>
    public async Task RevertAsync(string volumeId, string snapshotId, IWorkSink sink, CancellationToken cancel)
    {
        var group = await ReadAsync(sink, cancel).ConfigureAwait(false);
        if (await CleanAsync(group, volumeId, sink).ConfigureAwait(false))
            group = await ReadAsync(sink, cancel).ConfigureAwait(false);
        var (volume, snapshot) = (Require(group, volumeId), Require(group, snapshotId));
        if (snapshot.Origin != volume.Name)
            throw new BlockStorageException(BlockErrors.NotSupported,
                $"LVM knows '{snapshot.Name}' as a snapshot of '{snapshot.Origin}', not of '{volume.Name}'.", snapshotId);
        // An open origin would be merged at its next activation only, and what is written until then would be lost.
        await RequireUnheldAsync(volume.Name, cancel).ConfigureAwait(false);
        await RequireUnheldAsync(snapshot.Name, cancel).ConfigureAwait(false);
        if (!volume.IsThin)
        {
            await RevertThickAsync(volume, snapshot, sink, cancel).ConfigureAwait(false);
            return;
        }
        // The merge takes the snapshot away; a second one of the same moment becomes it again.
        var keep = LvmNames.Keep(snapshotId);
        await TakeAsync(snapshot.Name, keep, snapshot.Tags, [], sink, cancel).ConfigureAwait(false);
        await _lvm.RunAsync("lvconvert", ["--yes", "--merge", $"{Group}/{snapshot.Name}"], sink, CancellationToken.None).ConfigureAwait(false);
        await FinishMergeAsync(volume.Name, snapshot.ThinId, sink).ConfigureAwait(false);
        await RenameAsync(keep, snapshot.Name, sink).ConfigureAwait(false);
    }

    /// <summary>Removes what is half-made of an id, and finishes the reverts of a volume that were begun.</summary>
    /// <returns>Whether there was anything.</returns>
    private async Task<bool> CleanAsync(LvmGroup group, string id, IWorkSink sink)
    {
        await ResumeAsync(group.Volumes, sink).ConfigureAwait(false);
        var half = group.Volumes.Where(part => part.Id == id && (part.Name == LvmNames.Half(id) || part.Name == LvmNames.Moment(id))).ToList();
        foreach (var part in half)
            await DropAsync(part, group, CancellationToken.None).ConfigureAwait(false);
        var keeps = group.Volumes.Where(part => part.Id is { } own && part.Name == LvmNames.Keep(own)
            && (own == id || LvmTags.Read(part)?.OriginId == id)).ToList();
        foreach (var keep in keeps)
            await FinishRevertAsync(group, keep, sink).ConfigureAwait(false);
        return half.Count + keeps.Count > 0;
    }

    private async Task FinishRevertAsync(LvmGroup group, LvmVolume keep, IWorkSink sink)
    {
        var snapshot = group.Volumes.FirstOrDefault(part => part.Id == keep.Id && part.Name == LvmNames.Snapshot(keep.Id!));
        var volume = LvmNames.Volume(LvmTags.Read(keep)!.OriginId);
        if (snapshot is { Hidden: false })
        {
            // The merge was never asked for.
            await RemoveAsync(keep.Name, sink).ConfigureAwait(false);
            return;
        }
        if (group.Volumes.Any(part => part.Name == volume && !part.IsThin))
        {
            await FinishThickMergeAsync(volume, keep, sink).ConfigureAwait(false);
            return;
        }
        if (snapshot is not null)
            await FinishMergeAsync(volume, snapshot.ThinId, sink).ConfigureAwait(false);
        await RenameAsync(keep.Name, LvmNames.Snapshot(keep.Id!), sink).ConfigureAwait(false);
    }

    /// <summary>Proves that a volume is what its snapshot was: the kernel's table names the snapshot's number in the pool.</summary>
    private async Task FinishMergeAsync(string volume, int? number, IWorkSink sink)
    {
        bool IsMerged() => Mapped(volume, table: true) is { Type: "thin" } device && device.Text.EndsWith($" {number}", StringComparison.Ordinal);
        for (var attempt = 0; !IsMerged(); attempt++)
        {
            if (attempt == 3)
                throw new BlockStorageException(BlockErrors.DeviceInUse,
                    $"'{Group}/{volume}' is held by something, so it is not set back yet.", pool.Name, "Repair-BlockStorage");
            // Somebody such as udev had it open for a moment: the merge waits for the next activation.
            await RequireUnheldAsync(volume, CancellationToken.None).ConfigureAwait(false);
            await _lvm.RunAsync("lvchange", ["--activate", "n", $"{Group}/{volume}"], sink, CancellationToken.None).ConfigureAwait(false);
            await SwitchOnAsync(volume, sink, CancellationToken.None).ConfigureAwait(false);
        }
    }

    // Left inactive: what nobody reads needs no device.
    private Task TakeAsync(
        string source, string name, IReadOnlyList<string> tags, IReadOnlyList<string> space, IWorkSink sink, CancellationToken cancel) =>
        _lvm.RunAsync("lvcreate", ["--yes", "--snapshot", "--permission", "r", .. space, "--name", name, .. LvmTags.Add(tags), $"{Group}/{source}"],
            sink, cancel);
}
