using BlockStorage.Engine.Catalog;
using BlockStorage.Engine.Host;

namespace BlockStorage.Engine.Operations;

/// <summary>Finishes or takes back operations whose process has died. Who holds all locks of an open entry knows that it has.</summary>
internal sealed class OperationRecovery(OperationContext context)
{
    private static readonly TimeSpan ChildWait = TimeSpan.FromSeconds(60);

    /// <summary>Open entries, oldest first.</summary>
    public IReadOnlyList<OperationRecord> Open() => context.Catalog.Read(catalog => catalog
        .ListBy<OperationRecord>("state", BlockStates.Running)
        .Concat(catalog.ListBy<OperationRecord>("state", BlockStates.Interrupted))
        .OrderBy(entry => entry.StartedAt)
        .ToArray());

    /// <summary>Settles every open entry whose locks are free; entries at work in other processes stay untouched.</summary>
    public async Task<IReadOnlyList<BlockRepairAction>> SettleAllAsync(CancellationToken cancel)
    {
        var actions = new List<BlockRepairAction>();
        foreach (var entry in Open())
        {
            if (OperationJson.TryRead(entry) is not { } operation)
            {
                actions.Add(Unreadable(entry));
                continue;
            }
            using var locks = ResourceLocks.TryAcquire(context.Root, operation.Locks(), $"recovery of {operation.Action} {operation.Target}");
            if (locks is not null && StillOpen(entry.Id) is { } open)
                actions.Add(await SettleOneAsync(open, operation, cancel).ConfigureAwait(false));
        }
        return actions;
    }

    /// <summary>Settles the open entries that concern the keys, which the caller holds.</summary>
    public async Task SettleAsync(IReadOnlyList<LockKey> held, CancellationToken cancel)
    {
        foreach (var entry in Open())
        {
            if (OperationJson.TryRead(entry) is not { } operation)
                continue;
            var needed = operation.Locks();
            if (!needed.Any(key => !key.Shared && IsHeld(held, key)))
                continue;
            // What of it we do not hold must be free too: then its process is dead.
            using var rest = ResourceLocks.TryAcquire(context.Root, needed.Where(key => !IsHeld(held, key)), "recovery");
            if (rest is not null && StillOpen(entry.Id) is { } open)
                await SettleOneAsync(open, operation, cancel).ConfigureAwait(false);
        }
    }

    /// <summary>Leaves an entry open for a later recovery, with the reason.</summary>
    public static void Interrupt(ICatalog catalog, string id, string error) => catalog.Write(write =>
    {
        if (write.Find<OperationRecord>(id) is { EndedAt: null } now)
            write.Update(now with { State = BlockStates.Interrupted, Error = error });
    });

    /// <summary>Closes an entry that no version here can finish or take back.</summary>
    public static void Abandon(ICatalog catalog, string id) => catalog.Write(write =>
    {
        if (write.Find<OperationRecord>(id) is { EndedAt: null } now)
            write.Update(now with { State = BlockStates.Failed, Error = "No version that is installed here could read it.", EndedAt = DateTime.UtcNow });
    });

    private BlockRepairAction Unreadable(OperationRecord entry) => new()
    {
        Id = entry.Id,
        Name = $"{entry.Kind} {entry.Target}",
        Kind = "Operation",
        Server = context.Node.Name,
        Problem = "This version of BlockStorage cannot read it.",
        Action = "Finish it or take it back.",
        State = "failed",
        Error = "Use the version that began it, or close it with Repair-BlockStorage.",
    };

    private static bool IsHeld(IReadOnlyList<LockKey> held, LockKey key) =>
        held.Any(ours => ours.Kind == key.Kind && ours.Id == key.Id);

    private OperationRecord? StillOpen(string id) => context.Catalog.Read(catalog => catalog.Find<OperationRecord>(id))
        is { State: BlockStates.Running or BlockStates.Interrupted } open ? open : null;

    private async Task<BlockRepairAction> SettleOneAsync(OperationRecord entry, Operation operation, CancellationToken cancel)
    {
        var action = new BlockRepairAction
        {
            Id = entry.Id,
            Name = $"{operation.Action} {operation.Target}",
            Kind = "Operation",
            Server = context.Node.Name,
            Problem = $"Process {entry.ProcessId} ended in the middle of it.",
        };
        var outer = OperationScope.CurrentId;
        try
        {
            await WaitForChildrenAsync(entry.Id, cancel).ConfigureAwait(false);
            OperationScope.CurrentId = entry.Id;
            var steps = operation.Steps(context);
            if (!entry.Undoing && await CanFinishAsync(entry, steps, operation, cancel).ConfigureAwait(false))
            {
                await FinishAsync(entry, steps, operation, cancel).ConfigureAwait(false);
                (action.Action, action.State) = ("Finished it.", "done");
            }
            else
            {
                await OperationRunner.UndoAsync(entry, steps, operation, context,
                    entry.Error.Length > 0 ? entry.Error : "The process ended in the middle of it; it was taken back.").ConfigureAwait(false);
                (action.Action, action.State) = (operation.RollsForward(entry.Done) ? "Set the record to what is there." : "Took it back.", "done");
            }
        }
        catch (Exception error) when (error is not OperationCanceledException)
        {
            (action.Action, action.State, action.Error) = ("Finish it or take it back.", "failed", error.Message);
            Interrupt(context.Catalog, entry.Id, error.Message);
        }
        finally
        {
            OperationScope.CurrentId = outer;
        }
        context.Sink.Verbose($"Recovery: {action.Name}: {action.Action} {action.Error}");
        return action;
    }

    private static async Task<bool> CanFinishAsync(
        OperationRecord entry, IReadOnlyList<Step> steps, Operation operation, CancellationToken cancel)
    {
        if (operation.RollsForward(entry.Done))
            return true;
        for (var index = entry.Done; index < steps.Count; index++)
        {
            if (!await steps[index].Probe(cancel).ConfigureAwait(false))
                return false;
        }
        return true;
    }

    private async Task FinishAsync(OperationRecord entry, IReadOnlyList<Step> steps, Operation operation, CancellationToken cancel)
    {
        try
        {
            for (var index = entry.Done; index < steps.Count; index++)
            {
                if (!await steps[index].Probe(cancel).ConfigureAwait(false))
                    await steps[index].Do(cancel).ConfigureAwait(false);
            }
        }
        catch (BlockStorageException error)
        {
            await OperationRunner.UndoAsync(entry, steps, operation, context, error.Message).ConfigureAwait(false);
            return;
        }
        await OperationRunner.CloseAsync(entry, operation, context).ConfigureAwait(false);
    }

    // A child may outlive its killed parent and still be changing the thing that we are about to probe.
    private static async Task WaitForChildrenAsync(string operationId, CancellationToken cancel)
    {
        foreach (var child in ProcessTable.FindByOperation(operationId))
        {
            if (!await ProcessTable.WaitForExitAsync(child, ChildWait, cancel).ConfigureAwait(false))
            {
                throw new BlockStorageException(BlockErrors.LockTimeout,
                    $"Process {child.Pid} of operation {operationId} is still at work.", operationId);
            }
        }
    }
}
