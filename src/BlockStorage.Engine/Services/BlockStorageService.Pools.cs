using BlockStorage.Engine.Catalog;
using BlockStorage.Engine.Operations;
using BlockStorage.Engine.Scheduling;
using BlockStorage.Engine.Services;
using BlockStorage.Engine.Volumes;
using BlockStorage.Services;

namespace BlockStorage.Engine;

public sealed partial class BlockStorageService
{
    /// <summary>Sizes are rounded up to this, so that every file system and initiator gets whole sectors and pages.</summary>
    internal const long Granularity = 1 << 20;

    /// <inheritdoc/>
    public Task<IReadOnlyList<BlockPool>> GetPoolsAsync(ObjectQuery query, CancellationToken cancel) => Guard(async () =>
    {
        var name = Names.Matcher(query.Name);
        var id = Names.Matcher(query.Id);
        var (pools, volumes, snapshots) = _catalog.Read(catalog =>
            (catalog.List<PoolRecord>(), catalog.List<VolumeRecord>(), catalog.List<SnapshotRecord>()));
        var found = new List<BlockPool>();
        foreach (var pool in pools.Where(pool => name(pool.Name) && id(pool.Id)).OrderBy(pool => pool.Name, StringComparer.OrdinalIgnoreCase))
        {
            var driver = _node.Pool(pool.ToSpec());
            var status = await driver.GetPoolAsync(cancel).ConfigureAwait(false);
            found.Add(Mapping.ToModel(pool, status, driver.Capabilities,
                volumes.Where(volume => volume.PoolId == pool.Id).ToArray(),
                snapshots.Where(snapshot => snapshot.PoolId == pool.Id).ToArray(), _node.Name));
        }
        return (IReadOnlyList<BlockPool>)found;
    });

    /// <inheritdoc/>
    public Task<BlockPlan<BlockPool>> NewPoolAsync(NewPoolRequest request, CancellationToken cancel) => Guard(async () =>
    {
        Names.Check(request.Name);
        if (_catalog.Read(catalog => catalog.ListBy<PoolRecord>("name", request.Name)).FirstOrDefault() is { } existing)
        {
            if (request.IfNotExists)
                return Nothing("Create pool", existing.Name, () => PoolAsync(existing.Id, cancel));
            throw new BlockStorageException(BlockErrors.NameExists, $"There is a pool named '{existing.Name}' already.", existing.Name);
        }
        var pool = await CheckedPoolAsync(request, cancel).ConfigureAwait(false);
        return Plan([new CreatePool(pool) { Disks = request.Disk ?? [] }], (_, stop) => PoolAsync(pool.Id, stop));
    });

    /// <inheritdoc/>
    public Task<BlockPlan<BlockPool>> SetPoolAsync(string id, SetPoolRequest request, CancellationToken cancel) => Guard(() =>
    {
        var old = Find<PoolRecord>(id);
        var changed = old with
        {
            OversubscriptionRatio = request.OversubscriptionRatio ?? old.OversubscriptionRatio,
            ReservedPercent = request.ReservedPercent ?? old.ReservedPercent,
            WarningPercent = request.WarningPercent ?? old.WarningPercent,
            Provisioning = PoolChoices.Provisioning(request.Provisioning) ?? old.Provisioning,
            Queues = PoolChoices.Queues(request.WhenFull) ?? old.Queues,
            WipeRate = PoolChoices.WipeRate(request.WipeRate) ?? old.WipeRate,
            Description = request.Description ?? old.Description,
        };
        CheckFigures(changed);
        if (request.WhenFull is { Length: > 0 } || request.WipeRate is not null)
            _node.VolumeDrivers.First(driver => driver.Name == old.Driver).CheckChoices(changed.ToSpec());
        return Task.FromResult(Plan([new UpdatePool(old, changed)], (_, stop) => PoolAsync(id, stop)));
    });

    /// <inheritdoc/>
    public Task<BlockPlan<BlockPool>> RenamePoolAsync(string id, string newName, CancellationToken cancel) => Guard(() =>
    {
        Names.Check(newName);
        var old = Find<PoolRecord>(id);
        RequireFree<PoolRecord>(newName, id, "pool");
        return Task.FromResult(Plan([new UpdatePool(old, old with { Name = newName })], (_, stop) => PoolAsync(id, stop)));
    });

    /// <inheritdoc/>
    public Task<BlockPlan<bool>> RemovePoolAsync(string id, CancellationToken cancel) => Guard(() =>
        Task.FromResult(IsGone<PoolRecord>(id)
            ? Gone("Remove pool", id)
            : Plan([new RemovePool(Find<PoolRecord>(id))], (_, _) => Task.FromResult(true))));

    /// <inheritdoc/>
    public Task<BlockSizeRange> GetPoolSizesAsync(string poolId, CancellationToken cancel) => Guard(async () =>
    {
        var pool = Find<PoolRecord>(poolId);
        var status = await StatusAsync(pool, cancel).ConfigureAwait(false);
        var capacity = Capacity(pool, status);
        return new BlockSizeRange
        {
            Name = pool.Name,
            Id = pool.Id,
            Server = _node.Name,
            MinimumSize = status.Granularity,
            MaximumSize = Rounded(pool.Provisioning == "thick" ? capacity.ThickAvailable : capacity.ThinAvailable, status),
            Granularity = status.Granularity,
        };
    });

    private async Task<BlockPool> PoolAsync(string id, CancellationToken cancel) =>
        (await GetPoolsAsync(new ObjectQuery(Id: [id]), cancel).ConfigureAwait(false)).FirstOrDefault()
        ?? throw new BlockStorageException(BlockErrors.PoolNotFound, $"Pool {id} does not exist any more.", id);

    private Task<PoolStatus> StatusAsync(PoolRecord pool, CancellationToken cancel) => _node.Pool(pool.ToSpec()).GetPoolAsync(cancel);

    private PoolCapacity Capacity(PoolRecord pool, PoolStatus status) => _catalog.Read(catalog => PoolCapacity.Of(pool, status, catalog));

    private async Task<PoolRecord> CheckedPoolAsync(NewPoolRequest request, CancellationToken cancel)
    {
        var factory = _node.VolumeDrivers.FirstOrDefault(driver => driver.Name.Equals(request.Driver, StringComparison.OrdinalIgnoreCase))
            ?? throw new BlockStorageException(BlockErrors.DriverNotFound, $"There is no volume driver '{request.Driver}'.", request.Driver,
                "Get-BlockStorageDriver -Kind Volume");
        var probe = await factory.ProbeAsync(cancel).ConfigureAwait(false);
        if (!probe.Usable)
            throw new BlockStorageException(BlockErrors.ToolMissing, $"Driver {factory.Name} cannot be used here: {probe.Reason}", factory.Name, probe.Fix);
        var asked = new PoolSpec(
            Guid.NewGuid().ToString(), request.Name, factory.Name, request.Path, request.Size, request.Description ?? "", DateTime.UtcNow)
        {
            Disks = request.Disk ?? [],
            Raid = PoolChoices.Raid(request.Raid) ?? "",
            Queues = PoolChoices.Queues(request.WhenFull) ?? false,
            WipeRate = PoolChoices.WipeRate(request.WipeRate) ?? 0,
        };
        factory.CheckChoices(asked);
        var spec = factory.Check(asked);
        var pool = new PoolRecord
        {
            Id = spec.Id,
            Name = spec.Name,
            Driver = factory.Name,
            Path = spec.Path,
            Size = spec.Size,
            OversubscriptionRatio = request.OversubscriptionRatio ?? 20,
            ReservedPercent = request.ReservedPercent ?? 0,
            WarningPercent = request.WarningPercent ?? 80,
            Provisioning = PoolChoices.Provisioning(request.Provisioning) ?? "thin",
            Raid = spec.Raid,
            Queues = spec.Queues,
            WipeRate = spec.WipeRate,
            Description = spec.Description,
            State = BlockStates.Creating,
            CreatedAt = spec.CreatedAt,
        };
        CheckFigures(pool);
        return pool;
    }

    private static void CheckFigures(PoolRecord pool)
    {
        var wrong = pool switch
        {
            { OversubscriptionRatio: not (>= 1 and <= 1000) } => $"OversubscriptionRatio must be 1 to 1000, not {pool.OversubscriptionRatio}.",
            { ReservedPercent: < 0 or > 100 } => $"ReservedPercent must be 0 to 100, not {pool.ReservedPercent}.",
            { WarningPercent: < 1 or > 100 } => $"WarningPercent must be 1 to 100, not {pool.WarningPercent}.",
            _ => null,
        };
        if (wrong is not null)
            throw new BlockStorageException(BlockErrors.InvalidArgument, wrong, pool.Name, "Get-Help Set-BlockPool -Parameter *");
    }

    private void RequireFree<T>(string name, string exceptId, string noun) where T : CatalogRecord
    {
        if (_catalog.Read(catalog => catalog.ListBy<T>("name", name)).Any(other => other.Id != exceptId))
            throw new BlockStorageException(BlockErrors.NameExists, $"There is a {noun} named '{name}' already; names that differ only in case are the same.", name);
    }

    private static long Rounded(long size, PoolStatus status) => size / status.Granularity * status.Granularity;

    private static long RoundedUp(long size, long granularity) => size > long.MaxValue - granularity
        ? throw new BlockStorageException(BlockErrors.InvalidSize, $"{size} bytes is larger than any volume can be.")
        : (size + granularity - 1) / granularity * granularity;
}
