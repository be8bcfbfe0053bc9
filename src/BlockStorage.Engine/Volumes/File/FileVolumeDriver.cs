using BlockStorage.Engine.Host;
using BlockStorage.Services;
using Microsoft.Win32.SafeHandles;

namespace BlockStorage.Engine.Volumes.File;

/// <summary>
/// A folder that holds volumes as files. Data is made under an unfinished name; the rename to its own name is the
/// moment at which an object exists. The sidecar is written before that and removed last, so that whatever a kill
/// leaves is either complete or seen as half-made.
/// </summary>
internal sealed partial class FileVolumeDriver : IVolumeDriver
{
    private const int ReadOnlyFile = 0x100;
    private const string Thick = "thick";
    private readonly PoolImage _image;
    private readonly PoolLayout _layout;
    private readonly PoolSpec _pool;
    private DriverCapabilities? _capabilities;

    /// <summary>Takes a pool; touches nothing.</summary>
    public FileVolumeDriver(PoolSpec pool, ICommandRunner runner)
    {
        _pool = pool;
        _layout = new PoolLayout(pool.Path);
        _image = new PoolImage(_layout, runner);
    }

    /// <inheritdoc/>
    public DriverCapabilities Capabilities => _capabilities ?? ReadCapabilities();

    /// <inheritdoc/>
    public Task CreateAsync(ObjectIdentity identity, bool thick, IWorkSink sink, CancellationToken cancel) =>
        RunAsync(() => Make(identity, PoolLayout.Volume, () =>
        {
            if (thick)
                RequireSpace(identity.Size, $"A thick volume of {ByteSize.Format(identity.Size)}");
        }, (handle, path) => Extend(handle, 0, identity.Size, thick, path, cancel)), cancel);

    /// <inheritdoc/>
    public Task CreateFromAsync(ObjectIdentity identity, string sourceId, bool thick, IWorkSink sink, CancellationToken cancel) =>
        RunAsync(() =>
        {
            RequireUsable();
            var source = Source(sourceId);
            if (identity.Size < source.Status.Size)
                throw new BlockStorageException(BlockErrors.ShrinkNotAllowed,
                    $"A copy of {ByteSize.Format(source.Status.Size)} cannot have {ByteSize.Format(identity.Size)}.", identity.Name);
            Make(identity, PoolLayout.Volume, () => RequireSpace(CopyCost(source, identity.Size, thick),
                $"A copy of {ByteSize.Format(source.Status.Size)}"), (handle, path) =>
            {
                Fill(source, handle, path, $"Copying to {identity.Name}", sink, cancel);
                Extend(handle, source.Status.Size, identity.Size, thick, path, cancel);
            });
        }, cancel);

    /// <inheritdoc/>
    public Task CreateSnapshotAsync(ObjectIdentity identity, IWorkSink sink, CancellationToken cancel) => RunAsync(() =>
    {
        RequireUsable();
        var source = Source(identity.OriginId);
        Make(identity with { Size = source.Status.Size }, PoolLayout.Snapshot,
            () => RequireSpace(CopyCost(source, source.Status.Size, thick: false), $"A snapshot of {ByteSize.Format(source.Status.Size)} by copying"),
            (handle, path) =>
            {
                Fill(source, handle, path, $"Taking snapshot {identity.Name}", sink, cancel);
                Native.SetPermissions(handle, ReadOnlyFile, path);
            });
    }, cancel);

    /// <inheritdoc/>
    public Task RevertAsync(string volumeId, string snapshotId, IWorkSink sink, CancellationToken cancel) => RunAsync(() =>
    {
        RequireUsable();
        Clean(volumeId);
        var volume = Source(volumeId);
        var snapshot = Source(snapshotId);
        var sidecar = ReadSidecarOrNull(volumeId);
        var thick = sidecar?.Provisioning == Thick;
        RequireSpace(CopyCost(snapshot, snapshot.Status.Size, thick), $"Reverting {ByteSize.Format(snapshot.Status.Size)}");

        MakeData(volume.Path + PoolLayout.Unfinished, volume.Path, (handle, path) =>
        {
            Fill(snapshot, handle, path, $"Reverting {sidecar?.Name ?? volumeId}", sink, cancel);
            Extend(handle, snapshot.Status.Size, snapshot.Status.Size, thick, path, cancel);
        });
        if (sidecar is not null)
            Sidecars.Write(_layout.SidecarOf(volumeId), sidecar with { Size = snapshot.Status.Size });
    }, cancel);

    /// <inheritdoc/>
    public Task ResizeAsync(string id, long size, bool thick, CancellationToken cancel) => RunAsync(() =>
    {
        RequireUsable();
        Clean(id);
        var volume = Source(id);
        if (size < volume.Status.Size)
            throw new BlockStorageException(BlockErrors.ShrinkNotAllowed,
                $"The volume has {ByteSize.Format(volume.Status.Size)} and cannot become {ByteSize.Format(size)}.", id);
        if (thick)
            RequireSpace(size - volume.Status.Allocated, $"Growing to {ByteSize.Format(size)}");
        using (var handle = Native.Open(volume.Path, OpenMode.ReadWrite))
        {
            try
            {
                Extend(handle, volume.Status.Size, size, thick, volume.Path, cancel);
            }
            catch
            {
                // Gives back what was reserved behind the end.
                Native.SetSize(handle, volume.Status.Size, volume.Path);
                throw;
            }
            Native.Sync(handle, volume.Path);
        }
        if (ReadSidecarOrNull(id) is { } sidecar && sidecar.Size != size)
            Sidecars.Write(_layout.SidecarOf(id), sidecar with { Size = size });
    }, cancel);

    /// <inheritdoc/>
    public Task ShrinkAsync(string id, long size, IWorkSink sink, CancellationToken cancel) => RunAsync(() =>
    {
        RequireUsable();
        Clean(id);
        var volume = Source(id);
        if (volume.Status.Size > size)
        {
            // Of this file we know only processes; targets, loop devices and connections are the catalogue's to know.
            if (ProcessTable.HoldersOf(new HashSet<string> { volume.Path }) is [var holder, ..])
                throw new BlockStorageException(BlockErrors.DeviceInUse, $"'{volume.Path}' is in use: process {holder.Pid} ({holder.Name}).", id);
            using var handle = Native.Open(volume.Path, OpenMode.ReadWrite);
            ZeroProof.Require(handle, size, volume.Status.Size, volume.Path, id, sink, cancel);
            Native.SetSize(handle, size, volume.Path);
            Native.Sync(handle, volume.Path);
        }
        if (ReadSidecarOrNull(id) is { } sidecar && sidecar.Size > size)
            Sidecars.Write(_layout.SidecarOf(id), sidecar with { Size = size });
    }, cancel);

    /// <inheritdoc/>
    public Task DeleteAsync(string id, CancellationToken cancel) => RunAsync(() =>
    {
        RequireUsable();
        RequireId(id);
        Clean(id);
        Native.Unlink(_layout.Data(id, PoolLayout.Volume));
        Native.Unlink(_layout.Data(id, PoolLayout.Snapshot));
        // Last, so that after a kill the id is still seen here and can be deleted again.
        Native.Unlink(_layout.SidecarOf(id));
        Native.SyncFolder(_layout.DataFolder);
    }, cancel);

    /// <inheritdoc/>
    public Task CleanAsync(string id, CancellationToken cancel) => RunAsync(() =>
    {
        RequireUsable();
        RequireId(id);
        Clean(id);
    }, cancel);

    /// <inheritdoc/>
    public Task<string> ActivateAsync(string id, CancellationToken cancel) => RunAsync(() =>
    {
        RequireUsable();
        return Source(id).Path;
    }, cancel);

    /// <inheritdoc/>
    public Task<long> GetCopyCostAsync(string id, CancellationToken cancel) => RunAsync(() =>
    {
        RequireUsable();
        var source = Source(id);
        return CopyCost(source, source.Status.Size, thick: false);
    }, cancel);

    private void Make(ObjectIdentity identity, string suffix, Action requireSpace, Action<SafeFileHandle, string> fill)
    {
        RequireUsable();
        RequireId(identity.Id);
        var data = _layout.Data(identity.Id, suffix);
        if (Native.Stat(data) is not null)
            return;
        Clean(identity.Id);
        requireSpace();
        try
        {
            MakeData(data + PoolLayout.Unfinished, data, (handle, path) =>
            {
                fill(handle, path);
                Sidecars.Write(_layout.SidecarOf(identity.Id), identity);
            });
        }
        catch when (Native.Stat(data) is null)
        {
            Native.Unlink(_layout.SidecarOf(identity.Id));
            throw;
        }
    }

    /// <summary>Makes data under an unfinished name and puts it in place when all of it is durable.</summary>
    private void MakeData(string unfinished, string data, Action<SafeFileHandle, string> fill)
    {
        try
        {
            using (var handle = Native.Open(unfinished, OpenMode.ReadWrite | OpenMode.Create | OpenMode.Exclusive))
            {
                fill(handle, unfinished);
                Native.Sync(handle, unfinished);
            }
            Native.Rename(unfinished, data);
        }
        catch
        {
            Native.Unlink(unfinished);
            throw;
        }
        Native.SyncFolder(_layout.DataFolder);
    }

    private void Fill(
        DataFile source, SafeFileHandle target, string path, string activity, IWorkSink sink, CancellationToken cancel)
    {
        using var from = Native.Open(source.Path, OpenMode.ReadOnly);
        if (!Capabilities.SharesExtents)
            new SparseCopy(activity, sink, cancel).Run(from, target, source.Status.Size, source.Status.Allocated, path);
        else if (!Native.TryClone(from, target, path))
            // A copy would not be what the pool promised: one moment, in no time, for no space.
            throw new BlockStorageException(BlockErrors.NotSupported,
                $"The file system of '{path}' does not share the extents of '{source.Path}'.", _pool.Name);
    }

    private static void Extend(SafeFileHandle handle, long from, long size, bool thick, string path, CancellationToken cancel)
    {
        const long step = 4L << 30;
        // From the start, because what was copied has holes. The size comes last: it is all there or not at all.
        for (var offset = 0L; thick && offset < size; offset += step)
        {
            cancel.ThrowIfCancellationRequested();
            Native.Allocate(handle, offset, Math.Min(step, size - offset), path);
        }
        if (size > from)
            Native.SetSize(handle, size, path);
    }

    private void Clean(string id)
    {
        foreach (var path in _layout.UnfinishedOf(id))
            Native.Unlink(path);
    }

    private long CopyCost(DataFile source, long size, bool thick)
    {
        var shared = Capabilities.SharesExtents ? source.Status.Allocated : 0;
        return Math.Max(0, (thick ? size : source.Status.Allocated) - shared);
    }

    private void RequireSpace(long bytes, string what)
    {
        var available = Available();
        if (bytes > available)
            throw new BlockStorageException(BlockErrors.InsufficientSpace,
                $"{what} needs {ByteSize.Format(bytes)}; pool '{_pool.Name}' has {ByteSize.Format(available)} free.", _pool.Name);
    }

    private static void RequireId(string id)
    {
        if (!PoolLayout.IsId(id))
            throw new BlockStorageException(BlockErrors.InvalidArgument, $"'{id}' is not an id.", id);
    }

    private DataFile Source(string id) => TryData(id) ?? throw new BlockStorageException(BlockErrors.VolumeDamaged,
        $"Pool '{_pool.Name}' holds no data of {id}.", id);

    private DataFile? TryData(string id)
    {
        RequireId(id);
        foreach (var (suffix, kind) in new[] { (PoolLayout.Volume, BackendKind.Volume), (PoolLayout.Snapshot, BackendKind.Snapshot) })
        {
            var path = _layout.Data(id, suffix);
            if (Native.Stat(path) is { } status)
                return new DataFile(path, kind, status);
        }
        return null;
    }

    // The kernel answers at once or takes its time; either way the caller's thread is free.
    private static Task RunAsync(Action work, CancellationToken cancel) => Task.Run(work, cancel);

    private static Task<T> RunAsync<T>(Func<T> work, CancellationToken cancel) => Task.Run(work, cancel);

    private sealed record DataFile(string Path, BackendKind Kind, FileStatus Status);
}
