using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using BlockStorage.Engine.Host;

namespace BlockStorage.Engine.Volumes.File;

/// <summary>What is in the pool.</summary>
internal sealed partial class FileVolumeDriver
{
    private const string Ok = "ok";
    private const string SidecarMissing = "sidecar missing";

    /// <inheritdoc/>
    public Task<IReadOnlyList<BackendObject>> ListAsync(CancellationToken cancel) =>
        RunAsync<IReadOnlyList<BackendObject>>(() => List(cancel), cancel);

    /// <inheritdoc/>
    public Task<BackendObject?> FindAsync(string id, CancellationToken cancel) => RunAsync(() =>
    {
        RequireUsable();
        if (TryData(id) is not { } data)
            return null;
        ObjectIdentity? identity = null;
        var health = Ok;
        try
        {
            identity = ReadIdentity(data, id);
        }
        catch (BlockStorageException error) when (error.Error == BlockErrors.VolumeDamaged)
        {
            health = Native.Stat(_layout.SidecarOf(id)) is null ? SidecarMissing : $"sidecar damaged: {error.Message}";
        }
        return new BackendObject(id, data.Kind, data.Path, data.Status.Size, data.Status.Allocated, health, identity);
    }, cancel);

    /// <inheritdoc/>
    public Task<ObjectIdentity> ReadIdentityAsync(string id, CancellationToken cancel) => RunAsync(() =>
    {
        RequireUsable();
        return ReadIdentity(Source(id), id);
    }, cancel);

    /// <inheritdoc/>
    public Task UpdateIdentityAsync(ObjectIdentity identity, CancellationToken cancel) => RunAsync(() =>
    {
        RequireUsable();
        var data = Source(identity.Id);
        Sidecars.Write(_layout.SidecarOf(identity.Id), identity with { Size = data.Status.Size });
    }, cancel);

    // Kind and size are what the data is, whatever the sidecar says: it is written after a resize or a revert.
    private ObjectIdentity ReadIdentity(DataFile data, string id) =>
        Sidecars.ReadObject(_layout.SidecarOf(id), id) with { Kind = data.Kind, Size = data.Status.Size };

    private ObjectIdentity? ReadSidecarOrNull(string id)
    {
        try
        {
            return Sidecars.ReadObject(_layout.SidecarOf(id), id);
        }
        catch (BlockStorageException error) when (error.Error == BlockErrors.VolumeDamaged)
        {
            return null;
        }
    }

    // Optimized at once: a command lists once or twice, and the runtime would see that it is hot only after several.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private List<BackendObject> List(CancellationToken cancel)
    {
        RequireUsable();
        using var folder = new FolderReader(_layout.DataFolder);
        var entries = new Dictionary<string, Entry>(StringComparer.Ordinal);
        var byId = entries.GetAlternateLookup<ReadOnlySpan<char>>();
        var objects = new List<BackendObject>();
        while (folder.Next())
        {
            cancel.ThrowIfCancellationRequested();
            if (folder.Name is PoolLayout.MarkerName or ProbeSource or ProbeTarget)
                continue;
            if (PoolLayout.Parse(folder.Name) is { } role)
                CollectionsMarshal.GetValueRefOrAddDefault(byId, PoolLayout.IdOf(folder.Name), out _).Add(role, folder);
            else if (folder.Stat() is { } status)
            {
                var name = folder.Name.ToString();
                objects.Add(new BackendObject(name, BackendKind.Foreign, PathOf(name), status.Size, status.Allocated, Ok, null));
            }
        }
        objects.EnsureCapacity(objects.Count + entries.Count);
        foreach (var (id, entry) in entries)
        {
            if (Describe(id, entry) is { } item)
                objects.Add(item);
        }
        return objects;
    }

    // What goes away between the two looks was not there.
    private BackendObject? Describe(string id, in Entry entry)
    {
        if (entry.Role is not { } role)
        {
            var path = PathOf(entry.Partial ?? id + PoolLayout.Sidecar);
            return Native.Stat(path) is { } status
                ? new BackendObject(id, BackendKind.Partial, path, status.Size, status.Allocated, "half-made", null)
                : null;
        }
        if (entry.Data is not { } data)
            return null;
        var (kind, suffix) = role == FileRole.Volume ? (BackendKind.Volume, PoolLayout.Volume) : (BackendKind.Snapshot, PoolLayout.Snapshot);
        var health = !entry.Sidecar ? SidecarMissing : entry.Copying ? "an unfinished copy lies beside it" : Ok;
        return new BackendObject(id, kind, _layout.Data(id, suffix), data.Size, data.Allocated, health, null);
    }

    private string PathOf(string name) => Path.Combine(_layout.DataFolder, name);

    /// <summary>What there is of one id.</summary>
    private struct Entry
    {
        /// <summary>Volume or Snapshot; null where there is no data.</summary>
        public FileRole? Role { get; private set; }

        /// <summary>What the data is; null where it went away meanwhile.</summary>
        public (long Size, long Allocated)? Data { get; private set; }

        public bool Sidecar { get; private set; }

        /// <summary>A copy that is being made. A description on its way is nothing of that kind.</summary>
        public bool Copying { get; private set; }

        /// <summary>The unfinished name that says most.</summary>
        public string? Partial { get; private set; }

        /// <summary>Takes in the name that was found last.</summary>
        public void Add(FileRole role, FolderReader folder)
        {
            switch (role)
            {
                case FileRole.Volume or FileRole.Snapshot:
                    Role = role;
                    Data = folder.Stat() is { } status ? (status.Size, status.Allocated) : null;
                    break;
                case FileRole.Sidecar:
                    Sidecar = true;
                    break;
                case FileRole.Unfinished:
                    Copying = true;
                    Partial = folder.Name.ToString();
                    break;
                default:
                    Partial ??= folder.Name.ToString();
                    break;
            }
        }
    }
}
