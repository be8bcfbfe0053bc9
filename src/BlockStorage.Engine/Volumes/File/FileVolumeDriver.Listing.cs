using System.IO.Enumeration;
using BlockStorage.Engine.Host;

namespace BlockStorage.Engine.Volumes.File;

/// <summary>What is in the pool.</summary>
internal sealed partial class FileVolumeDriver
{
    private const string Ok = "ok";
    private const string SidecarMissing = "sidecar missing";
    private static readonly EnumerationOptions AllNames = new() { AttributesToSkip = 0 };

    /// <inheritdoc/>
    public Task<IReadOnlyList<BackendObject>> ListAsync(CancellationToken cancel) =>
        RunAsync<IReadOnlyList<BackendObject>>(() =>
        {
            RequireUsable();
            using var folder = Native.Open(_layout.DataFolder, OpenMode.ReadOnly);
            var entries = new Dictionary<string, Entry>();
            var objects = new List<BackendObject>();
            foreach (var name in new FileSystemEnumerable<string>(_layout.DataFolder, (ref FileSystemEntry entry) => entry.FileName.ToString(), AllNames))
            {
                cancel.ThrowIfCancellationRequested();
                if (name is PoolLayout.MarkerName or ProbeSource or ProbeTarget)
                    continue;
                if (PoolLayout.Parse(name) is { } ours)
                {
                    var entry = entries.GetValueOrDefault(ours.Id);
                    entries[ours.Id] = ours.Role switch
                    {
                        FileRole.Volume or FileRole.Snapshot => entry with { Data = name, Role = ours.Role },
                        FileRole.Sidecar => entry with { Sidecar = name },
                        FileRole.Unfinished => entry with { Unfinished = name },
                        // Beside data it is only a change of texts that is on its way.
                        _ => entry with { UnfinishedSidecar = name },
                    };
                }
                else if (Native.Stat(folder, name) is { } status)
                    objects.Add(new BackendObject(name, BackendKind.Foreign, PathOf(name), status.Size, status.Allocated, Ok, null));
            }
            objects.EnsureCapacity(objects.Count + entries.Count);
            foreach (var (id, entry) in entries)
            {
                // What goes away between the two looks was not there.
                if (Native.Stat(folder, entry.First) is { } status)
                    objects.Add(Describe(id, entry, status));
            }
            return objects;
        }, cancel);

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

    private BackendObject Describe(string id, Entry entry, FileStatus status)
    {
        if (entry.Data is null)
            return new BackendObject(id, BackendKind.Partial, PathOf(entry.First), status.Size, status.Allocated,
                "half-made", null);
        var health = entry.Sidecar is null ? SidecarMissing : entry.Unfinished is null ? Ok : "an unfinished copy lies beside it";
        return new BackendObject(id, entry.Role == FileRole.Volume ? BackendKind.Volume : BackendKind.Snapshot,
            PathOf(entry.Data), status.Size, status.Allocated, health, null);
    }

    private string PathOf(string name) => Path.Combine(_layout.DataFolder, name);

    /// <summary>Names that belong to one id.</summary>
    private readonly record struct Entry(string? Data, FileRole Role, string? Sidecar, string? Unfinished, string? UnfinishedSidecar)
    {
        /// <summary>The one that says most.</summary>
        public string First => Data ?? Unfinished ?? Sidecar ?? UnfinishedSidecar!;
    }
}
