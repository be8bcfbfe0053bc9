using BlockStorage.Engine.Catalog;
using BlockStorage.Engine.Host;
using BlockStorage.Services;

namespace BlockStorage.Engine.Operations;

/// <summary>
/// Runs an operation by the journal: the intent is on disk before a step begins, each step's end is on disk before the
/// next begins, the outcome and the closing of the entry are one transaction.
/// </summary>
internal sealed class OperationRunner(OperationContext context, TimeSpan lockTimeout)
{
    private const int StopPollMilliseconds = 500;

    /// <summary>Runs it under its locks.</summary>
    public async Task RunAsync(Operation operation, CancellationToken cancel)
    {
        var target = $"{operation.Action} {operation.Target}";
        using var locks = await Task.Run(
            () => ResourceLocks.Acquire(context.Root, operation.Locks(), target, lockTimeout, cancel), cancel).ConfigureAwait(false);
        await new OperationRecovery(context).SettleAsync(operation.Locks(), cancel).ConfigureAwait(false);
        await operation.CheckAsync(context, cancel).ConfigureAwait(false);

        var steps = operation.Steps(context);
        var entry = Entry(operation, steps);
        context.Boundary("before intent");
        context.Catalog.Write(catalog =>
        {
            operation.Begin(catalog, entry.Id);
            catalog.Insert(entry);
        });
        context.Boundary("after intent");
        OperationScope.CurrentId = entry.Id;
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        using var watch = WatchForStop(entry.Id, stop);
        try
        {
            for (var index = 0; index < steps.Count; index++)
            {
                stop.Token.ThrowIfCancellationRequested();
                context.Sink.Progress(new WorkProgress(target, steps[index].Text, 100 * index / steps.Count));
                context.Boundary($"before step {index + 1}");
                await steps[index].Do(stop.Token).ConfigureAwait(false);
                context.Boundary($"after step {index + 1}");
                if (index + 1 < steps.Count)
                    entry = Save(entry with { Done = index + 1 });
            }
            await CloseAsync(entry, operation, context).ConfigureAwait(false);
        }
        catch (Exception error)
        {
            throw await FailAsync(entry, steps, operation, error, stop.IsCancellationRequested).ConfigureAwait(false);
        }
        finally
        {
            OperationScope.CurrentId = "";
        }
    }

    /// <summary>Writes the outcome and closes the entry. Shared with recovery.</summary>
    public static async Task CloseAsync(OperationRecord entry, Operation operation, OperationContext context)
    {
        var write = await operation.CompleteAsync(context).ConfigureAwait(false);
        context.Boundary("before outcome");
        context.Catalog.Write(catalog =>
        {
            write(catalog);
            var now = catalog.Find<OperationRecord>(entry.Id)!;
            catalog.Update(now with { State = BlockStates.Succeeded, Done = entry.Steps.Count, EndedAt = DateTime.UtcNow });
            catalog.Insert(Event(entry, "Information", $"{operation.Action}: {operation.Target}"));
        });
        context.Boundary("after outcome");
    }

    /// <summary>Undoes from the step that may have begun down to the first, then writes what is left and closes the entry.</summary>
    public static async Task UndoAsync(
        OperationRecord entry, IReadOnlyList<Step> steps, Operation operation, OperationContext context, string error)
    {
        if (!operation.RollsForward(entry.Done))
        {
            for (var index = Math.Min(entry.Done, steps.Count - 1); index >= 0; index--)
            {
                context.Boundary($"before undo {index + 1}");
                if (steps[index].Undo is { } undo)
                    await undo().ConfigureAwait(false);
            }
        }
        var write = await operation.FailAsync(context, error).ConfigureAwait(false);
        context.Catalog.Write(catalog =>
        {
            write(catalog);
            var now = catalog.Find<OperationRecord>(entry.Id)!;
            catalog.Update(now with { State = BlockStates.Failed, Error = error, Undoing = false, EndedAt = DateTime.UtcNow });
            catalog.Insert(Event(entry, "Error", $"{operation.Action} {operation.Target} failed: {error}"));
        });
    }

    private async Task<BlockStorageException> FailAsync(
        OperationRecord entry, IReadOnlyList<Step> steps, Operation operation, Exception error, bool stopped)
    {
        var told = error switch
        {
            BlockStorageException known => known,
            OperationCanceledException when stopped => new BlockStorageException(BlockErrors.Canceled,
                $"{operation.Action} {operation.Target} was stopped; what it had done was undone.", operation.Target),
            _ => new BlockStorageException(BlockErrors.Unexpected,
                $"{operation.Action} {operation.Target} failed: {error.Message}", operation.Target, cause: error),
        };
        told.OperationId = entry.Id;
        try
        {
            entry = Save(entry with { Undoing = true });
            await UndoAsync(entry, steps, operation, context, told.Message).ConfigureAwait(false);
        }
        catch (Exception undo)
        {
            // The entry stays open: recovery tries again, and Get-BlockOperation shows why.
            context.Sink.Warning($"{operation.Action} {operation.Target} could not be undone: {undo.Message} Repair-BlockStorage tries again.");
            OperationRecovery.Interrupt(context.Catalog, entry.Id, $"{told.Message} Undo failed: {undo.Message}");
        }
        return told;
    }

    private OperationRecord Save(OperationRecord entry)
    {
        context.Boundary("before journal");
        context.Catalog.Write(catalog =>
        {
            // Only StopRequested is written by others; the rest is ours alone.
            var now = catalog.Find<OperationRecord>(entry.Id)!;
            entry = catalog.Update(entry with { Version = now.Version, StopRequested = now.StopRequested });
        });
        context.Boundary("after journal");
        return entry;
    }

    private Timer WatchForStop(string id, CancellationTokenSource stop) => new(_ =>
    {
        try
        {
            if (context.Catalog.Read(catalog => catalog.Find<OperationRecord>(id)) is { StopRequested: true })
                stop.Cancel();
        }
        catch (Exception error) when (error is BlockStorageException or ObjectDisposedException)
        {
            // A poll that fails is tried again at the next tick; the operation itself reports a broken catalogue.
        }
    }, null, StopPollMilliseconds, StopPollMilliseconds);

    private static OperationRecord Entry(Operation operation, IReadOnlyList<Step> steps) => new()
    {
        Id = Guid.NewGuid().ToString(),
        Kind = operation.KindName,
        State = BlockStates.Running,
        Target = operation.Target,
        Volume = operation.VolumeName,
        Body = OperationJson.Write(operation),
        Steps = steps.Select(step => step.Text).ToArray(),
        ProcessId = Environment.ProcessId,
        UserName = Environment.UserName,
        StartedAt = DateTime.UtcNow,
    };

    private static EventRecord Event(OperationRecord entry, string level, string message) => new()
    {
        Id = Guid.NewGuid().ToString(),
        Time = DateTime.UtcNow,
        Level = level,
        Message = message,
        Volume = entry.Volume,
        OperationId = entry.Id,
        UserName = Environment.UserName,
    };
}
