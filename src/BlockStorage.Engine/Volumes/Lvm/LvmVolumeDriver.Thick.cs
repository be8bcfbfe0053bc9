using BlockStorage.Engine.Host;
using BlockStorage.Services;
using Microsoft.Win32.SafeHandles;

namespace BlockStorage.Engine.Volumes.Lvm;

/// <summary>
/// Thick volumes: linear ones beside the thin pool. Whatever was on their extents is overwritten before anybody can read it.
/// </summary>
internal sealed partial class LvmVolumeDriver
{
    private const long Slice = 64 << 20;

    private async Task CreateThickAsync(ObjectIdentity identity, IWorkSink sink, CancellationToken cancel)
    {
        var group = await ReadAsync(sink, cancel).ConfigureAwait(false);
        if (group.Find(identity.Id) is not null)
            return;
        await CleanAsync(group, identity.Id, sink).ConfigureAwait(false);
        RequireSpace(group, identity.Size, $"A thick volume of {ByteSize.Format(identity.Size)}");
        await MakeAsync(identity, thick: true, group, (_, _) => Task.CompletedTask, sink, cancel).ConfigureAwait(false);
    }

    /// <summary>Makes a volume by copying: between thick and thin, and of thick ones.</summary>
    private async Task CopyAsync(
        ObjectIdentity identity, LvmVolume source, bool thick, LvmGroup group, IWorkSink sink, CancellationToken cancel)
    {
        if (thick)
            RequireSpace(group, identity.Size, $"A thick copy of {ByteSize.Format(identity.Size)}");
        else
            RequireRoom();
        var from = source.Name;
        // A volume may be written meanwhile; a snapshot of it is one moment.
        if (source.Kind == BackendKind.Volume)
        {
            from = LvmNames.Moment(identity.Id);
            await TakeAsync(source.Name, from, LvmTags.Of(identity), source.IsThin ? [] : CopyOnWrite(group, source.Size), sink, cancel).ConfigureAwait(false);
        }
        try
        {
            await SwitchOnAsync(from, sink, CancellationToken.None).ConfigureAwait(false);
            await MakeAsync(identity, thick, group, (target, path) => Task.Run(
                () => new DeviceCopy($"Copying to {identity.Name}", sink, cancel).Run(PathOf(from), target, path, source.Size), cancel),
                sink, cancel).ConfigureAwait(false);
        }
        finally
        {
            if (source.Kind == BackendKind.Volume)
                await DropAsync(source with { Id = identity.Id, Kind = BackendKind.Partial, Name = from, Origin = source.Name }, group, CancellationToken.None)
                    .ConfigureAwait(false);
        }
    }

    /// <summary>Makes a volume of zeros under the name of a half-made one, fills it and gives it its own name.</summary>
    private async Task MakeAsync(ObjectIdentity identity, bool thick, LvmGroup group,
        Func<SafeFileHandle, string, Task> fill, IWorkSink sink, CancellationToken cancel)
    {
        var half = LvmNames.Half(identity.Id);
        string[] kind = thick ? [.. ThickKind(group), "--size", $"{identity.Size}b", "--zero", "n", "--wipesignatures", "n"]
            : ["--type", "thin", "--virtualsize", $"{identity.Size}b", "--thinpool", LvmNames.Pool];
        await _lvm.RunAsync("lvcreate", ["--yes", .. kind, "--name", half, .. LvmTags.Add(LvmTags.Of(identity)), Group], sink, cancel).ConfigureAwait(false);
        try
        {
            var path = PathOf(half);
            using (var target = Native.Open(path, OpenMode.ReadWrite))
            {
                if (thick)
                    await ZeroAsync(target, path, cancel).ConfigureAwait(false);
                await fill(target, path).ConfigureAwait(false);
                Native.Sync(target, path);
            }
            await RenameAsync(half, LvmNames.Volume(identity.Id), sink).ConfigureAwait(false);
        }
        catch
        {
            await CleanAsync(await ReadAsync(sink, CancellationToken.None).ConfigureAwait(false), identity.Id, sink).ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Grows a thick volume onto extents that were taken and overwritten aside.</summary>
    private async Task ExtendThickAsync(LvmVolume volume, long size, LvmGroup group, CancellationToken cancel)
    {
        if (group.Volumes.Any(other => other.Origin == volume.Name))
            throw new BlockStorageException(BlockErrors.SnapshotDependency,
                $"Volume {volume.Id} is thick and has snapshots; LVM grows it only without.", volume.Id!);
        await CleanAsync(group, volume.Id!, SilentSink.Instance).ConfigureAwait(false);
        RequireSpace(group, size - volume.Size, $"Growing to {ByteSize.Format(size)}");
        var half = LvmNames.Half(volume.Id!);
        await _lvm.RunAsync("lvcreate", ["--yes", .. ThickKind(group, volume), "--size", $"{size - volume.Size}b", "--zero", "n", "--wipesignatures", "n",
            "--name", half, .. LvmTags.Add(volume.Tags), Group, .. DisksOf(group, volume)], SilentSink.Instance, cancel).ConfigureAwait(false);
        var path = PathOf(half);
        try
        {
            using var device = Native.Open(path, OpenMode.ReadWrite);
            await ZeroAsync(device, path, cancel).ConfigureAwait(false);
        }
        catch
        {
            await RemoveAsync(half, SilentSink.Instance).ConfigureAwait(false);
            throw;
        }
        var ranges = RangesOf(await ReadAsync(SilentSink.Instance, CancellationToken.None).ConfigureAwait(false), half);
        await RemoveAsync(half, SilentSink.Instance).ConfigureAwait(false);
        // Exactly these extents: when another command took one of them meanwhile, LVM refuses and nothing has changed.
        await _lvm.RunAsync("lvextend", ["--size", $"{size}b", $"{Group}/{volume.Name}", .. ranges], SilentSink.Instance, CancellationToken.None)
            .ConfigureAwait(false);
    }

    private async Task RevertThickAsync(LvmVolume volume, LvmVolume snapshot, IWorkSink sink, CancellationToken cancel)
    {
        if (Mapped(snapshot.Name) is { Type: "snapshot", Text: var text } && !text.Contains('/'))
            throw new BlockStorageException(BlockErrors.VolumeDamaged, $"Snapshot {snapshot.Id} is lost: {text}.", snapshot.Id!);
        // The merge takes the snapshot away. What it was is kept on an empty thin volume until it is taken anew.
        var keep = LvmNames.Keep(snapshot.Id!);
        await _lvm.RunAsync("lvcreate", ["--yes", "--type", "thin", "--virtualsize", "1m", "--name", keep, .. LvmTags.Add(snapshot.Tags),
            "--thinpool", LvmNames.Pool, Group], sink, cancel).ConfigureAwait(false);
        await _lvm.RunAsync("lvconvert", ["--yes", "--merge", "--background", $"{Group}/{snapshot.Name}"], sink, CancellationToken.None).ConfigureAwait(false);
        await FinishThickMergeAsync(volume.Name, snapshot with { Name = keep }, sink).ConfigureAwait(false);
    }

    /// <summary>Waits until the kernel has copied everything back and LVM has seen it, and takes the snapshot anew.</summary>
    private async Task FinishThickMergeAsync(string volume, LvmVolume keep, IWorkSink sink)
    {
        for (var attempt = 0; ; attempt++)
        {
            var group = await ReadAsync(sink, CancellationToken.None).ConfigureAwait(false);
            var origin = group.Volumes.Single(part => part.Name == volume);
            var snapshot = group.Volumes.FirstOrDefault(part => part.Name == LvmNames.Snapshot(keep.Id!));
            if (snapshot is null)
            {
                await TakeAsync(volume, LvmNames.Snapshot(keep.Id!), keep.Tags, CopyOnWrite(group, origin.Size), sink, CancellationToken.None).ConfigureAwait(false);
                snapshot = origin;
            }
            else if (snapshot.Hidden)
            {
                if (attempt == 600)
                    throw new BlockStorageException(BlockErrors.ToolTimeout, $"'{Group}/{volume}' is still being set back.", pool.Name, "Repair-BlockStorage");
                // A kill between LVM's metadata and the kernel: the merge is written down and not begun.
                if (Mapped(volume, table: true) is not { Type: "snapshot-merge" })
                    await RefreshAsync(volume, sink).ConfigureAwait(false);
                // Looks at the kernel's progress and ends the merge when it is over.
                await _lvm.RunAsync("lvchange", ["--poll", "y", $"{Group}/{volume}"], sink, CancellationToken.None).ConfigureAwait(false);
                await Task.Delay(TimeSpan.FromSeconds(1), CancellationToken.None).ConfigureAwait(false);
                continue;
            }
            await RemoveAsync(LvmNames.Keep(keep.Id!), sink).ConfigureAwait(false);
            return;
        }
    }

    /// <summary>
    /// As much as a full rewrite of the origin takes, and the table of what was kept beside it: LVM cuts off what is too much. With less
    /// the kernel would drop the snapshot one day.
    /// </summary>
    private string[] CopyOnWrite(LvmGroup group, long size)
    {
        RequireSpace(group, size, $"A snapshot of a thick volume of {ByteSize.Format(size)}", raw: true);
        return ["--size", $"{size + size / 16 + (64 << 20)}b"];
    }

    private static Task ZeroAsync(SafeFileHandle device, string path, CancellationToken cancel) => Task.Run(() =>
    {
        var size = Native.DeviceSize(device, path);
        for (var offset = 0L; offset < size; offset += Slice)
        {
            cancel.ThrowIfCancellationRequested();
            Native.ZeroOut(device, offset, Math.Min(Slice, size - offset), path);
        }
    }, cancel);
}
