using BlockStorage.Services;

namespace BlockStorage.Commands;

/// <content>How cmdlets that publish and connect get from names to volumes and snapshots, and from those to targets and connections.</content>
public abstract partial class BlockStorageCommand
{
    /// <summary>The volumes or the snapshots of these names.</summary>
    private protected IEnumerable<BlockObject> FindVolumesOrSnapshots(string[]? volumes, string[]? snapshots) => snapshots is null
        ? Find(ObjectKind.Volume, volumes, null, (service, cancel) => service.GetVolumesAsync(new VolumeQuery(volumes), cancel))
        : Find(ObjectKind.Snapshot, snapshots, null, (service, cancel) => service.GetSnapshotsAsync(new SnapshotQuery(snapshots), cancel));

    /// <summary>The targets that publish a volume or snapshot.</summary>
    private protected IReadOnlyList<IscsiTarget> TargetsOf(BlockObject item)
    {
        Func<IscsiTarget, bool> publishes = item switch
        {
            BlockVolume => target => target.VolumeId == item.Id && target.SnapshotId.Length == 0,
            BlockSnapshot => target => target.SnapshotId == item.Id,
            _ => throw WrongKind(item, "a target, volume or snapshot"),
        };
        return [.. Read((service, cancel) => service.GetTargetsAsync(new TargetQuery(), cancel)).Where(publishes)];
    }

    /// <summary>The connections of a volume, snapshot or target.</summary>
    private protected IReadOnlyList<BlockConnection> ConnectionsOf(BlockObject item)
    {
        Func<BlockConnection, bool> connects = item switch
        {
            BlockConnection => connection => connection.Id == item.Id,
            BlockVolume => connection => connection.VolumeId == item.Id && connection.SnapshotId.Length == 0,
            BlockSnapshot => connection => connection.SnapshotId == item.Id,
            IscsiTarget target => connection => string.Equals(connection.Iqn, target.Iqn, StringComparison.Ordinal),
            _ => throw WrongKind(item, "a connection, volume, snapshot or target"),
        };
        return [.. Read((service, cancel) => service.GetConnectionsAsync(new ConnectionQuery(), cancel)).Where(connects)];
    }

    /// <summary>Connections of a query, with an error for each literal that names none.</summary>
    private protected IReadOnlyList<BlockConnection> FindConnections(
        ConnectionQuery query, string[]? wanted, Func<BlockConnection, string> key, string property)
    {
        IReadOnlyList<BlockConnection> found = [];
        Try(null, () =>
        {
            found = Read((service, cancel) => service.GetConnectionsAsync(query, cancel));
            foreach (var missing in ObjectKind.Misses(wanted, found.Select(key)))
                WriteError(ErrorRecords.From(ObjectKind.Connection.Missing(missing, property)));
        });
        return found;
    }
}
