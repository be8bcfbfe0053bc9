using BlockStorage.Engine.Operations;
using BlockStorage.Engine.Services;
using BlockStorage.Services;

namespace BlockStorage.Engine;

public sealed partial class BlockStorageService
{
    /// <inheritdoc/>
    public Task<BlockPlan<IReadOnlyList<BlockRepairAction>>> RepairAsync(CancellationToken cancel) => RepairAsync(force: false, cancel);

    /// <inheritdoc/>
    public Task<BlockPlan<IReadOnlyList<BlockRepairAction>>> RepairAsync(bool force, CancellationToken cancel) => Guard(async () =>
    {
        IReadOnlyList<Repair> repairs;
        try
        {
            repairs = await new RepairFinder(Context(Host.SilentSink.Instance), force).FindAsync(cancel).ConfigureAwait(false);
        }
        catch (BlockStorageException error) when (error.Error == BlockErrors.CatalogDamaged)
        {
            repairs = [new Repair("Catalogue", _root.CatalogFile, error.Message, "Keep the damaged file aside, begin a new one, and read the pools that are known.", RebuildAsync)];
        }
        return new BlockPlan<IReadOnlyList<BlockRepairAction>>
        {
            Action = "Repair",
            Target = $"{repairs.Count} difference{(repairs.Count == 1 ? "" : "s")} on {_node.Name}",
            Steps = repairs.Select(repair => new PlanStep($"{repair.Kind} {repair.Name}: {repair.Problem} {repair.Action}")).ToArray(),
            RunAsync = (sink, stop) => Guard(async () =>
            {
                var done = new List<BlockRepairAction>();
                foreach (var repair in repairs)
                    done.AddRange(await RunAsync(repair, sink, stop).ConfigureAwait(false));
                _catalog.Write(catalog => catalog.Prune(DateTime.UtcNow.AddDays(-Settings.Read(catalog).HistoryDays)));
                return (IReadOnlyList<BlockRepairAction>)done;
            }),
        };
    });

    private async Task<IReadOnlyList<BlockRepairAction>> RunAsync(Repair repair, IWorkSink sink, CancellationToken cancel)
    {
        var action = repair.ToModel(_node.Name);
        if (repair.DoAsync is null)
        {
            action.State = "manual";
            return [action];
        }
        try
        {
            sink.Progress(new WorkProgress("Repair", $"{repair.Kind} {repair.Name}", -1));
            action.State = "done";
            return [action, .. await repair.DoAsync(Context(sink), cancel).ConfigureAwait(false)];
        }
        catch (BlockStorageException error)
        {
            (action.State, action.Error) = ("failed", error.Message);
            return [action];
        }
    }

    // What a lost catalogue can be rebuilt from: the pool list beside it and the sidecars in the pools.
    private async Task<IReadOnlyList<BlockRepairAction>> RebuildAsync(OperationContext context, CancellationToken cancel)
    {
        var aside = _catalog.SetAside();
        context.Sink.Warning($"The damaged catalogue is kept as {aside}.");
        _catalog.Write(_ => { });
        var done = new List<BlockRepairAction>();
        var seen = new HashSet<(string, string, string)>();
        // Pools first, then their images are mounted, then what is in them: each shows only after the one before.
        while ((await new RepairFinder(context).FindAsync(cancel).ConfigureAwait(false))
            .Where(repair => seen.Add((repair.Kind, repair.Name, repair.Problem))).ToArray() is { Length: > 0 } repairs)
        {
            foreach (var repair in repairs)
                done.AddRange(await RunAsync(repair, context.Sink, cancel).ConfigureAwait(false));
        }
        return done;
    }
}
