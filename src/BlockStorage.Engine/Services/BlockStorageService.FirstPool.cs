using BlockStorage.Engine.Catalog;
using BlockStorage.Engine.Operations;
using BlockStorage.Services;

namespace BlockStorage.Engine;

/// <content>
/// The pool that the first New-BlockVolume makes. Several commands may find no pool at the same time, in one job or in several shells:
/// one of them makes it, the others wait for it.
/// </content>
public sealed partial class BlockStorageService
{
    private static readonly LockKey FirstPool = new(LockKind.Pool, "first");

    /// <summary>The pool as it would be made, or null when somebody made one meanwhile.</summary>
    private async Task<PoolRecord?> PlanFirstPoolAsync(CancellationToken cancel)
    {
        try
        {
            return await CheckedPoolAsync(
                new NewPoolRequest("default", "File", _root.DefaultPoolFolder, Description: "Made by the first New-BlockVolume"), cancel).ConfigureAwait(false);
        }
        catch (BlockStorageException) when (Pools().Count > 0)
        {
            return null;
        }
    }

    /// <summary>The pools, after the first one is complete where it is being made right now.</summary>
    private async Task<IReadOnlyList<PoolRecord>> CompletePoolsAsync(CancellationToken cancel)
    {
        if (Pools() is { } pools && pools.Count > 0 && pools.All(pool => pool.State == BlockStates.Creating))
        {
            using var turn = await FirstPoolTurnAsync(cancel).ConfigureAwait(false);
        }
        return Pools();
    }

    /// <summary>A plan that makes the first pool, if there still is none when it runs, and then a volume in the pool that there is.</summary>
    private BlockPlan<BlockVolume> WithFirstPool(BlockPlan<BlockVolume> plan, Operation createPool, NewVolumeRequest request) => new()
    {
        Action = plan.Action,
        Target = plan.Target,
        Steps = plan.Steps,
        Warnings = plan.Warnings,
        RunAsync = (sink, cancel) => Guard(async () =>
        {
            using (await FirstPoolTurnAsync(cancel).ConfigureAwait(false))
            {
                // Under the lock, a pool that is being made belongs to a process that died.
                await new OperationRecovery(Context(sink)).SettleAllAsync(cancel).ConfigureAwait(false);
                if (Pools().Count == 0)
                {
                    await new OperationRunner(Context(sink), ReadSettings().LockTimeout).RunAsync(createPool, cancel).ConfigureAwait(false);
                    sink.Verbose($"{createPool.Action}: {createPool.Target}: there was none.");
                }
            }
            var again = await NewVolumeAsync(request, cancel).ConfigureAwait(false);
            return await again.RunAsync(sink, cancel).ConfigureAwait(false);
        }),
    };

    private Task<ResourceLocks> FirstPoolTurnAsync(CancellationToken cancel) => Task.Run(
        () => ResourceLocks.Acquire(_root, [FirstPool], "make the first pool", ReadSettings().LockTimeout, cancel), cancel);

    private IReadOnlyList<PoolRecord> Pools() => _catalog.Read(catalog => catalog.List<PoolRecord>());
}
