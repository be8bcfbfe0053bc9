using System.Globalization;
using System.Text;
using BlockStorage.Engine.Host;
using BlockStorage.Services;

namespace BlockStorage.Engine.Volumes.File;

/// <summary>The pool itself.</summary>
internal sealed partial class FileVolumeDriver
{
    private const string ProbeSource = ".probe-source";
    private const string ProbeTarget = ".probe-target";

    /// <inheritdoc/>
    public async Task CreatePoolAsync(IWorkSink sink, CancellationToken cancel)
    {
        var known = Sidecars.ReadPool(_layout.PoolFile);
        RequireOwn(known);
        // Only what this call begins may it remove on failure; anything older may hold data.
        var fresh = known is null && !_image.Exists && Native.Stat(_layout.DataFolder) is null;
        // The description comes first: by it the folder is ours to clean up, whatever happens next.
        var madeFolder = MakeFolders(_layout.Folder) || known?.MadeFolder == true;
        try
        {
            Sidecars.Write(_layout.PoolFile, new PoolRecord(_pool, known?.SharesExtents ?? false, madeFolder));
            Native.MakeFolder(_layout.DataFolder);
            if (_pool.Size is { } size)
            {
                await _image.CreateAsync(size, sink, cancel).ConfigureAwait(false);
                await _image.MountAsync(sink, cancel).ConfigureAwait(false);
            }
            RequireOwnData();
            Sidecars.Write(_layout.PoolFile, new PoolRecord(_pool, TryShareExtents(), madeFolder));
            // The marker last: from now on the pool is usable.
            AtomicFile.Write(_layout.Marker, Encoding.UTF8.GetBytes(_pool.Id));
        }
        catch when (fresh)
        {
            await RemoveAfterFailureAsync(madeFolder, sink).ConfigureAwait(false);
            throw;
        }
        _capabilities = null;
    }

    /// <inheritdoc/>
    public async Task DestroyPoolAsync(IWorkSink sink, CancellationToken cancel)
    {
        var record = ReadPoolOrNull();
        if (record is not null && record.Pool.Id != _pool.Id || Native.Stat(_layout.Folder) is null)
            return;
        if (_pool.Size is not null && _image.Exists)
            await _image.MountAsync(sink, cancel).ConfigureAwait(false);
        if (Native.Stat(_layout.DataFolder) is not null)
        {
            RequireOwnData();
            RequireEmpty();
        }
        cancel.ThrowIfCancellationRequested();
        // The marker goes with the image where there is one.
        if (_pool.Size is null)
            Native.Unlink(_layout.Marker);
        await RemoveEmptyAsync(record?.MadeFolder == true).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public async Task OpenPoolAsync(IWorkSink sink, CancellationToken cancel)
    {
        if (MarkerIsOurs())
            return;
        if (_pool.Size is not null && _image.Exists)
        {
            await _image.MountAsync(sink, cancel).ConfigureAwait(false);
            if (MarkerIsOurs())
                return;
            await _image.UnmountAsync(cancel).ConfigureAwait(false);
        }
        throw Unavailable();
    }

    /// <inheritdoc/>
    public Task<PoolStatus> GetPoolAsync(CancellationToken cancel) => RunAsync(() =>
    {
        try
        {
            if (!MarkerIsOurs())
                return new PoolStatus(false, WhyUnusable(), 0, 0, Capabilities.SharesExtents, "");
            var status = Native.StatFileSystem(_layout.DataFolder);
            var available = Available();
            var changed = Native.Stat(_layout.DataFolder)?.ModifiedNanoseconds;
            var health = status.ReadOnly ? "the file system is read-only"
                : ReadPoolOrNull() is null ? "pool.json is missing or damaged" : Ok;
            return new PoolStatus(!status.ReadOnly, health, status.Total, available, Capabilities.SharesExtents,
                string.Create(CultureInfo.InvariantCulture, $"{changed}-{status.Available}"));
        }
        catch (BlockStorageException error)
        {
            return new PoolStatus(false, error.Message, 0, 0, false, "");
        }
    }, cancel);

    /// <inheritdoc/>
    public Task UpdatePoolAsync(PoolSpec spec, CancellationToken cancel) => RunAsync(() =>
    {
        RequireUsable();
        var known = ReadPoolOrNull();
        Sidecars.Write(_layout.PoolFile,
            new PoolRecord(spec, known?.SharesExtents ?? TryShareExtents(), known?.MadeFolder ?? false));
    }, cancel);

    private void RequireOwn(PoolRecord? known)
    {
        if (known is not null && known.Pool.Id != _pool.Id)
            throw new BlockStorageException(BlockErrors.InvalidPath,
                $"The folder '{_layout.Folder}' holds the pool '{known.Pool.Name}'.", _layout.Folder);
    }

    private void RequireOwnData()
    {
        if (Native.Stat(_layout.Marker) is not null && !MarkerIsOurs())
            throw Unavailable();
    }

    private void RequireUsable()
    {
        if (!MarkerIsOurs())
            throw Unavailable();
    }

    private BlockStorageException Unavailable() =>
        new(BlockErrors.PoolUnavailable, $"Pool '{_pool.Name}' cannot be used: {WhyUnusable()}.", _pool.Name);

    private bool MarkerIsOurs() =>
        AtomicFile.Read(_layout.Marker, 64) is { } content && Encoding.UTF8.GetString(content) == _pool.Id;

    private string WhyUnusable()
    {
        if (Native.Stat(_layout.Folder) is null)
            return $"the folder '{_layout.Folder}' is missing or not mounted";
        if (_pool.Size is null)
            return $"'{_layout.DataFolder}' is not the data of this pool (the marker {PoolLayout.MarkerName} is missing or of another)";
        return !_image.Exists ? $"the image '{_layout.Image}' is missing"
            : _image.IsMounted ? $"its file system has no marker {PoolLayout.MarkerName} of this pool"
            : Mounts.IsMountPoint(_layout.DataFolder) ? $"another file system is mounted on '{_layout.DataFolder}'"
            : $"the image '{_layout.Image}' is not mounted";
    }

    private void RequireEmpty()
    {
        var names = Directory.EnumerateFileSystemEntries(_layout.DataFolder)
            .Select(path => Path.GetFileName(path)).Where(name => name != PoolLayout.MarkerName).ToList();
        var kept = names.Where(name => PoolLayout.Parse(name) is not (FileRole.Sidecar or FileRole.Unfinished or FileRole.UnfinishedSidecar)
            && name is not (ProbeSource or ProbeTarget or PoolLayout.MarkerName + AtomicFile.TemporarySuffix)).ToList();
        if (kept.Count > 0)
            throw new BlockStorageException(BlockErrors.PoolNotEmpty,
                $"Pool '{_pool.Name}' still holds {kept.Count} files in '{_layout.DataFolder}', such as {kept[0]}.", _pool.Name);
        foreach (var name in names)
            Native.Unlink(PathOf(name));
    }

    /// <summary>Removes everything of a pool without volumes; the description last, so that it can be done again.</summary>
    private async Task RemoveEmptyAsync(bool withFolder)
    {
        if (_pool.Size is not null)
        {
            await _image.UnmountAsync(CancellationToken.None).ConfigureAwait(false);
            _image.Remove();
        }
        Native.RemoveFolder(_layout.DataFolder);
        Native.Unlink(_layout.PoolFile + AtomicFile.TemporarySuffix);
        Native.Unlink(_layout.PoolFile);
        if (withFolder && !Directory.EnumerateFileSystemEntries(_layout.Folder).Any())
            Native.RemoveFolder(_layout.Folder);
    }

    private async Task RemoveAfterFailureAsync(bool withFolder, IWorkSink sink)
    {
        try
        {
            Native.Unlink(_layout.Marker + AtomicFile.TemporarySuffix);
            await RemoveEmptyAsync(withFolder).ConfigureAwait(false);
        }
        catch (BlockStorageException error)
        {
            // What led here is what the user must hear; the rest is for the next attempt.
            sink.Warning($"Not all of the unfinished pool could be removed: {error.Message}");
        }
    }

    private long Available()
    {
        var available = Native.StatFileSystem(_layout.DataFolder).Available;
        // The image is sparse: what is free in it must also be free below it.
        return _pool.Size is null ? available : Math.Min(available, Native.StatFileSystem(_layout.Folder).Available);
    }

    private bool TryShareExtents()
    {
        var (source, target) = (PathOf(ProbeSource), PathOf(ProbeTarget));
        try
        {
            using var from = Native.Open(source, OpenMode.ReadWrite | OpenMode.Create);
            using var to = Native.Open(target, OpenMode.ReadWrite | OpenMode.Create);
            Native.Write(from, new byte[4096], 0, source);
            return Native.TryClone(from, to, target);
        }
        finally
        {
            Native.Unlink(source);
            Native.Unlink(target);
        }
    }

    private DriverCapabilities ReadCapabilities()
    {
        // Our own image always shares; for a folder it was tried when the pool was made.
        var record = _pool.Size is null ? ReadPoolOrNull() : null;
        var shares = _pool.Size is not null || record?.SharesExtents == true;
        var capabilities = new DriverCapabilities(
            Thin: true, Thick: true, Resize: true, Revert: true, SharesExtents: shares, OnlineSnapshot: shares);
        if (_pool.Size is not null || record is not null)
            _capabilities = capabilities;
        return capabilities;
    }

    private PoolRecord? ReadPoolOrNull()
    {
        try
        {
            return Sidecars.ReadPool(_layout.PoolFile);
        }
        catch (BlockStorageException error) when (error.Error == BlockErrors.VolumeDamaged)
        {
            return null;
        }
    }

    private static bool MakeFolders(string folder)
    {
        var parent = Path.GetDirectoryName(folder);
        if (parent is not null && Native.Stat(parent) is null)
            MakeFolders(parent);
        return Native.MakeFolder(folder);
    }
}
