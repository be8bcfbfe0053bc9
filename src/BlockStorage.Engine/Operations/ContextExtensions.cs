using BlockStorage.Engine.Catalog;
using BlockStorage.Engine.Connectors;
using BlockStorage.Engine.Targets;
using BlockStorage.Engine.Volumes;

namespace BlockStorage.Engine.Operations;

/// <summary>From records to drivers and specs; shared by operations and by what restores them.</summary>
internal static class ContextExtensions
{
    /// <summary>The record of that id.</summary>
    /// <exception cref="BlockStorageException">Not found: somebody removed it meanwhile.</exception>
    public static T Get<T>(this OperationContext context, string id) where T : CatalogRecord =>
        context.Catalog.Read(catalog => catalog.Get<T>(id));

    /// <summary>The record of that id.</summary>
    /// <exception cref="BlockStorageException">Not found: somebody removed it meanwhile.</exception>
    public static T Get<T>(this ICatalogReader catalog, string id) where T : CatalogRecord => catalog.Find<T>(id)
        ?? throw new BlockStorageException(NotFound<T>(), $"{typeof(T).Name.Replace("Record", "", StringComparison.Ordinal)} {id} does not exist any more.", id);

    /// <summary>The driver of a pool.</summary>
    public static IVolumeDriver Driver(this OperationContext context, string poolId) =>
        context.Node.Pool(context.Get<PoolRecord>(poolId).ToSpec());

    /// <summary>The driver of a pool that is made usable (mounted) first.</summary>
    public static async Task<IVolumeDriver> OpenAsync(this OperationContext context, string poolId, CancellationToken cancel)
    {
        var driver = context.Driver(poolId);
        await driver.OpenPoolAsync(context.Sink, cancel).ConfigureAwait(false);
        return driver;
    }

    /// <summary>What of a pool travels with the data.</summary>
    public static PoolSpec ToSpec(this PoolRecord pool) =>
        new(pool.Id, pool.Name, pool.Driver, pool.Path, pool.Size, pool.Description, pool.CreatedAt) { Raid = pool.Raid, Queues = pool.Queues, WipeRate = pool.WipeRate };

    /// <summary>What of a volume travels with the data.</summary>
    public static ObjectIdentity ToIdentity(this VolumeRecord volume) => new(
        BackendKind.Volume, volume.Id, volume.Name, volume.Size, "", volume.Description, volume.Tags, volume.ReadOnly,
        volume.Provisioning, volume.CreatedAt, null);

    /// <summary>What of a snapshot travels with the data.</summary>
    public static ObjectIdentity ToIdentity(this SnapshotRecord snapshot) => new(
        BackendKind.Snapshot, snapshot.Id, snapshot.Name, snapshot.Size, snapshot.VolumeId, snapshot.Description,
        snapshot.Tags, true, "thin", snapshot.CreatedAt, snapshot.ExpiresAt);

    /// <summary>SCSI unit serial number of an id: its 32 hex digits.</summary>
    public static string ToSerial(string id) => id.Replace("-", "", StringComparison.Ordinal);

    /// <summary>A target as it should be, with the data made reachable. Grants whose secret is lost are left out: nobody gets in by them.</summary>
    public static async Task<ExportSpec> ExportAsync(
        this OperationContext context, TargetRecord target, IReadOnlyList<GrantRecord> grants, CancellationToken cancel)
    {
        LunSpec? lun = null;
        if (target.VolumeId.Length + target.SnapshotId.Length > 0)
        {
            var id = target.SnapshotId.Length > 0 ? target.SnapshotId : target.VolumeId;
            var poolId = target.SnapshotId.Length > 0
                ? context.Get<SnapshotRecord>(id).PoolId
                : context.Get<VolumeRecord>(id).PoolId;
            var driver = await context.OpenAsync(poolId, cancel).ConfigureAwait(false);
            lun = new LunSpec(target.Lun!.Value, await driver.ActivateAsync(id, cancel).ConfigureAwait(false), target.ReadOnly, target.Serial);
        }
        var known = grants
            .Select(grant => (grant, secret: grant.UserName.Length > 0 ? context.Secrets.Load(grant.Id) : null))
            .Where(pair => pair.grant.UserName.Length == 0 || pair.secret is not null)
            .Select(pair => new GrantSpec(pair.grant.Initiator, pair.secret))
            .ToArray();
        return new ExportSpec(target.Id, target.Name, target.Portals.Select(Portal.Parse).ToArray(), lun, known,
            target.MutualSecretId.Length > 0 ? context.Secrets.Load(target.MutualSecretId) : null);
    }

    /// <summary>A target as the catalogue has it.</summary>
    public static Task<ExportSpec> ExportAsync(this OperationContext context, TargetRecord target, CancellationToken cancel) =>
        context.ExportAsync(target, context.Catalog.Read(catalog => catalog.ListBy<GrantRecord>("target_id", target.Id)), cancel);

    /// <summary>A target as the catalogue has it now.</summary>
    public static Task<ExportSpec> ExportAsync(this OperationContext context, string targetId, CancellationToken cancel)
    {
        var (target, grants) = context.Catalog.Read(catalog => (catalog.Get<TargetRecord>(targetId), catalog.ListBy<GrantRecord>("target_id", targetId)));
        return context.ExportAsync(target, grants, cancel);
    }

    /// <summary>Connections of a volume itself, not of its snapshots.</summary>
    public static IReadOnlyList<ConnectionRecord> ConnectionsOf(this OperationContext context, string volumeId) =>
        context.Catalog.Read(catalog => catalog.ListBy<ConnectionRecord>("volume_id", volumeId))
            .Where(connection => connection.SnapshotId.Length == 0)
            .ToArray();

    /// <summary>The target that publishes the volume itself, or null.</summary>
    public static TargetRecord? TargetOf(this OperationContext context, string volumeId) =>
        context.Catalog.Read(catalog => catalog.ListBy<TargetRecord>("volume_id", volumeId))
            .FirstOrDefault(target => target.SnapshotId.Length == 0);

    /// <summary>Writes out what the kernel holds for the connections of a volume.</summary>
    public static async Task FlushAsync(this OperationContext context, string volumeId, CancellationToken cancel)
    {
        foreach (var connection in context.ConnectionsOf(volumeId).Where(connection => !connection.ReadOnly))
        {
            var connector = await context.Node.ConnectorAsync(connection.Connector, connection.Protocol, cancel).ConfigureAwait(false);
            await connector.FlushAsync(connection.Id, cancel).ConfigureAwait(false);
        }
    }

    /// <summary>Refuses when something can write to the volume now and the pool would copy it while it changes.</summary>
    public static async Task RequireQuietAsync(this OperationContext context, VolumeRecord volume, IVolumeDriver driver, CancellationToken cancel)
    {
        if (driver.Capabilities.OnlineSnapshot || volume.ReadOnly)
            return;
        var writer = context.ConnectionsOf(volume.Id).FirstOrDefault(connection => !connection.ReadOnly)?.DevicePath;
        if (writer is null && context.TargetOf(volume.Id) is { ReadOnly: false } target)
        {
            var report = await (await context.Node.TargetDriverAsync(target.Driver, cancel).ConfigureAwait(false))
                .FindAsync(target.Name, cancel).ConfigureAwait(false);
            writer = report.Targets.FirstOrDefault(live => live.Iqn == target.Name)?.Sessions.FirstOrDefault()?.Initiator;
        }
        if (writer is not null)
        {
            throw new BlockStorageException(BlockErrors.SnapshotNeedsQuiesce,
                $"{writer} can write to volume '{volume.Name}' while it is copied, and the copy would be torn.", volume.Name);
        }
    }

    /// <summary>The live side of a connection, or null.</summary>
    public static async Task<LiveConnection?> LiveAsync(this IConnector connector, string id, CancellationToken cancel) =>
        (await connector.ListAsync(cancel).ConfigureAwait(false)).FirstOrDefault(live => live.Id == id);

    private static BlockError NotFound<T>() => typeof(T).Name switch
    {
        nameof(PoolRecord) => BlockErrors.PoolNotFound,
        nameof(SnapshotRecord) => BlockErrors.SnapshotNotFound,
        nameof(TargetRecord) => BlockErrors.TargetNotFound,
        nameof(GrantRecord) => BlockErrors.AccessNotFound,
        nameof(ConnectionRecord) => BlockErrors.ConnectionNotFound,
        nameof(OperationRecord) => BlockErrors.OperationNotFound,
        _ => BlockErrors.VolumeNotFound,
    };
}
