using BlockStorage.Engine.Catalog;
using BlockStorage.Engine.Catalog.Sqlite;
using BlockStorage.Engine.Host;
using BlockStorage.Engine.Nodes;
using BlockStorage.Engine.Operations;
using BlockStorage.Engine.Services;
using BlockStorage.Services;

namespace BlockStorage.Engine;

/// <summary>The service of this machine: decides, orders, proves. One method for each verb; see <see cref="IBlockStorageService"/>.</summary>
public sealed partial class BlockStorageService : IBlockStorageService
{
    private readonly StateRoot _root;
    private readonly SqliteCatalog _catalog;
    private readonly INode _node;
    private readonly SecretStore _secrets;
    private readonly Action<string> _boundary;

    internal BlockStorageService(StateRoot root, INode node, Action<string>? boundary = null)
    {
        _root = root;
        _node = node;
        _catalog = new SqliteCatalog(root);
        _secrets = new SecretStore(root);
        _boundary = boundary ?? (static _ => { });
    }

    /// <summary>The service over the state folder that the environment names. Cheap: nothing is opened before it is needed.</summary>
    /// <returns>A thread-safe service.</returns>
    public static IBlockStorageService Open()
    {
        var root = StateRoot.FromEnvironment();
        return new BlockStorageService(root, new LocalNode(root));
    }

    /// <inheritdoc/>
    public Task<IReadOnlyList<BlockRepairAction>> RecoverAsync(IWorkSink sink, CancellationToken cancel) => Guard(async () =>
    {
        ResourceLocks.SweepDead(_root);
        var recovery = new OperationRecovery(Context(sink));
        return recovery.Open().Count == 0 ? [] : await recovery.SettleAllAsync(cancel).ConfigureAwait(false);
    });

    /// <inheritdoc/>
    public ValueTask DisposeAsync()
    {
        _catalog.Dispose();
        return ValueTask.CompletedTask;
    }

    private OperationContext Context(IWorkSink sink) => new(_catalog, _node, _secrets, _root, sink) { Boundary = _boundary };

    private Settings ReadSettings() => _catalog.Read(Settings.Read);

    /// <summary>A plan of operations run one after the other.</summary>
    private BlockPlan<T> Plan<T>(IReadOnlyList<Operation> operations, Func<IWorkSink, CancellationToken, Task<T>> result, IReadOnlyList<string>? warnings = null)
    {
        var main = operations[^1];
        var context = Context(SilentSink.Instance);
        return new BlockPlan<T>
        {
            Action = main.Action,
            Target = main.Target,
            Steps = operations.SelectMany(operation => operation.Steps(context)).Select(step => new PlanStep(step.Text)).ToArray(),
            Warnings = warnings ?? [],
            RunAsync = (sink, cancel) => Guard(async () =>
            {
                var runner = new OperationRunner(Context(sink), ReadSettings().LockTimeout);
                foreach (var operation in operations)
                    await runner.RunAsync(operation, cancel).ConfigureAwait(false);
                // The change is complete and stays; stopping now must not make it look as if it were not.
                return await result(sink, CancellationToken.None).ConfigureAwait(false);
            }),
        };
    }

    /// <summary>A plan for what is already so.</summary>
    private static BlockPlan<T> Nothing<T>(string action, string target, Func<Task<T>> result) => new()
    {
        Action = action,
        Target = target,
        Steps = [],
        RunAsync = (_, _) => result(),
    };

    /// <summary>A plan for a change of the catalogue alone.</summary>
    private BlockPlan<T> Record<T>(string action, string target, string step, Action<ICatalogTransaction> write, Func<Task<T>> result) => new()
    {
        Action = action,
        Target = target,
        Steps = [new PlanStep(step)],
        RunAsync = (_, _) => Guard(async () =>
        {
            _catalog.Write(write);
            return await result().ConfigureAwait(false);
        }),
    };

    /// <summary>Runs on a worker thread and lets out no exception but ours and cancellation.</summary>
    private static async Task<T> Guard<T>(Func<Task<T>> body)
    {
        try
        {
            return await Task.Run(body).ConfigureAwait(false);
        }
        catch (Exception error) when (error is not (BlockStorageException or OperationCanceledException))
        {
            throw new BlockStorageException(BlockErrors.Unexpected, $"{error.GetType().Name}: {error.Message}", cause: error);
        }
    }

    private bool IsGone<T>(string id) where T : CatalogRecord => _catalog.Read(catalog => catalog.Find<T>(id)) is null;

    /// <summary>A plan for taking away what is not there any more.</summary>
    private static BlockPlan<bool> Gone(string action, string id) => Nothing(action, id, () => Task.FromResult(true));

    private T Find<T>(string id) where T : CatalogRecord => _catalog.Read(catalog => catalog.Get<T>(id));
}
