using BlockStorage.Engine.Catalog;
using BlockStorage.Engine.Volumes;

namespace BlockStorage.Engine.Services;

/// <summary>All records of one moment, with the joins that reading verbs need.</summary>
internal sealed class View
{
    private readonly Dictionary<string, string> _pools;
    private readonly Dictionary<string, int> _snapshotCounts;
    private readonly Dictionary<string, TargetRecord> _targets;
    private readonly Dictionary<string, ConnectionRecord> _connections;
    private readonly Lazy<Dictionary<string, string>> _volumeNames;
    private readonly Lazy<Dictionary<string, string>> _snapshotNames;

    private View(ICatalogReader catalog)
    {
        Pools = catalog.List<PoolRecord>();
        Volumes = catalog.List<VolumeRecord>();
        Snapshots = catalog.List<SnapshotRecord>();
        Targets = catalog.List<TargetRecord>();
        Grants = catalog.List<GrantRecord>();
        Connections = catalog.List<ConnectionRecord>();
        _pools = Pools.ToDictionary(pool => pool.Id, pool => pool.Name, StringComparer.Ordinal);
        _snapshotCounts = Snapshots.GroupBy(snapshot => snapshot.VolumeId).ToDictionary(group => group.Key, group => group.Count(), StringComparer.Ordinal);
        _targets = Targets.Where(target => target.VolumeId.Length > 0)
            .ToDictionary(target => target.SnapshotId.Length > 0 ? target.SnapshotId : target.VolumeId, StringComparer.Ordinal);
        _connections = Connections.Where(connection => connection.VolumeId.Length > 0)
            .ToDictionary(connection => connection.SnapshotId.Length > 0 ? connection.SnapshotId : connection.VolumeId, StringComparer.Ordinal);
        _volumeNames = new(() => Volumes.ToDictionary(volume => volume.Id, volume => volume.Name, StringComparer.Ordinal));
        _snapshotNames = new(() => Snapshots.ToDictionary(snapshot => snapshot.Id, snapshot => snapshot.Name, StringComparer.Ordinal));
    }

    public IReadOnlyList<PoolRecord> Pools { get; }
    public IReadOnlyList<VolumeRecord> Volumes { get; }
    public IReadOnlyList<SnapshotRecord> Snapshots { get; }
    public IReadOnlyList<TargetRecord> Targets { get; }
    public IReadOnlyList<GrantRecord> Grants { get; }
    public IReadOnlyList<ConnectionRecord> Connections { get; }

    /// <summary>Reads it.</summary>
    public static View Read(ICatalogReader catalog) => new(catalog);

    public string PoolName(string id) => _pools.GetValueOrDefault(id, "");

    public string VolumeName(string id) => id.Length == 0 ? "" : _volumeNames.Value.GetValueOrDefault(id, "");

    public string SnapshotName(string id) => id.Length == 0 ? "" : _snapshotNames.Value.GetValueOrDefault(id, "");

    public int SnapshotCount(string volumeId) => _snapshotCounts.GetValueOrDefault(volumeId);

    /// <summary>The target that publishes the volume itself.</summary>
    public TargetRecord? TargetOfVolume(string id) => _targets.GetValueOrDefault(id);

    /// <summary>The target that publishes the snapshot.</summary>
    public TargetRecord? TargetOfSnapshot(string id) => _targets.GetValueOrDefault(id);

    /// <summary>The connection of the volume itself.</summary>
    public ConnectionRecord? ConnectionOfVolume(string id) => _connections.GetValueOrDefault(id);

    /// <summary>The connection of the snapshot.</summary>
    public ConnectionRecord? ConnectionOfSnapshot(string id) => _connections.GetValueOrDefault(id);

    public IReadOnlyList<GrantRecord> GrantsOf(string targetId) => Grants.Where(grant => grant.TargetId == targetId).ToArray();

    /// <summary>Name of what a connection connects.</summary>
    public string NameOf(ConnectionRecord connection) =>
        connection.SnapshotId.Length > 0 ? SnapshotName(connection.SnapshotId)
        : connection.VolumeId.Length > 0 ? VolumeName(connection.VolumeId)
        : connection.Iqn;

    /// <summary>Name of what a target publishes.</summary>
    public string NameOf(TargetRecord target) =>
        target.SnapshotId.Length > 0 ? SnapshotName(target.SnapshotId) : VolumeName(target.VolumeId);
}

/// <summary>What the pools really hold.</summary>
internal sealed class BackendView
{
    private readonly Dictionary<string, BackendObject> _found = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string> _unusable = new(StringComparer.Ordinal);

    public void Add(BackendObject item) => _found[item.Id] = item;

    public void Unusable(string poolId, string health) => _unusable[poolId] = health;

    public BackendObject? Find(string id) => _found.GetValueOrDefault(id);

    /// <summary>ok, or how reality differs from the record.</summary>
    public string Health(string id, string poolId, long size, string state)
    {
        if (_unusable.TryGetValue(poolId, out var health))
            return $"pool: {health}";
        if (!_found.TryGetValue(id, out var item) || item.Kind == BackendKind.Partial)
            return state == BlockStates.Creating ? "ok" : "missing";
        if (item.Health != "ok")
            return item.Health;
        return item.Size == size || state is BlockStates.Extending or BlockStates.Reverting ? "ok"
            : $"has {ByteSize.Format(item.Size)}, not {ByteSize.Format(size)}";
    }
}
