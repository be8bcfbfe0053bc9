using BlockStorage.Engine.Catalog;
using BlockStorage.Engine.Scheduling;
using BlockStorage.Engine.Volumes;

namespace BlockStorage.Engine.Operations;

/// <summary>What an operation takes of a pool.</summary>
internal static class PoolRoom
{
    /// <summary>Refuses what does not fit, and notes among the events that the pool fills up.</summary>
    /// <param name="catalog">The transaction that begins the operation.</param>
    /// <param name="operation">The operation.</param>
    /// <param name="operationId">Its id.</param>
    /// <param name="poolId">Pool.</param>
    /// <param name="status">Figures of the pool.</param>
    /// <param name="size">By how much more is provisioned.</param>
    /// <param name="physical">Bytes that are taken at once.</param>
    /// <exception cref="BlockStorageException">InsufficientSpace, with the figures.</exception>
    public static void Take(
        this ICatalogTransaction catalog, Operation operation, string operationId, string poolId, PoolStatus status, long size, long physical)
    {
        var pool = catalog.Get<PoolRecord>(poolId);
        PoolCapacity.Of(pool, status, catalog).Require(size, physical, pool.Name);
        if (PoolWarning.Of(pool, status) is not { } warning)
            return;
        catalog.Insert(new EventRecord
        {
            Id = Guid.NewGuid().ToString(),
            Time = DateTime.UtcNow,
            Level = "Warning",
            Message = $"Pool '{pool.Name}' fills up: {warning}.",
            Volume = operation.VolumeName,
            OperationId = operationId,
            UserName = Environment.UserName,
        });
    }
}
