using BlockStorage.Engine.Catalog;

namespace BlockStorage.Engine.Operations;

/// <summary>One step. Every part is idempotent, because a crash may leave it done, half done or not done.</summary>
/// <param name="Text">What it does and on what, with the figures.</param>
/// <param name="Do">Does it. Cancelling leaves nothing that Undo does not remove.</param>
/// <param name="Undo">Takes it back, also when it was never or half done; null where there is nothing to take back.</param>
/// <param name="Probe">Is it done? Looks at the thing itself.</param>
internal sealed record Step(
    string Text, Func<CancellationToken, Task> Do, Func<Task>? Undo, Func<CancellationToken, Task<bool>> Probe);

/// <summary>
/// A change: what it locks, what it writes into the catalogue before and after, and its steps. It is kept as JSON in the
/// journal, so that another process can finish it or take it back; therefore its properties are all it knows.
/// </summary>
internal abstract record Operation
{
    /// <summary>Such as "Create volume".</summary>
    public abstract string Action { get; }

    /// <summary>The object with its figures, such as "db1 (10 GiB, thin) in pool default".</summary>
    public abstract string Target { get; }

    /// <summary>Name of the volume it concerns, or empty.</summary>
    public virtual string VolumeName => "";

    /// <summary>What it locks.</summary>
    public abstract IReadOnlyList<LockKey> Locks();

    /// <summary>True where recovery finishes it; false where recovery takes it back unless every step is done.</summary>
    /// <param name="done">Number of steps that are done.</param>
    public virtual bool RollsForward(int done) => false;

    /// <summary>The steps in order.</summary>
    public abstract IReadOnlyList<Step> Steps(OperationContext context);

    /// <summary>Looks at reality under the lock, before anything is written.</summary>
    /// <exception cref="BlockStorageException">It cannot be done now.</exception>
    public virtual Task CheckAsync(OperationContext context, CancellationToken cancel) => Task.CompletedTask;

    /// <summary>Writes the intent: claims names, states and space. Runs in the transaction of the journal entry.</summary>
    public abstract void Begin(ICatalogTransaction catalog, string operationId);

    /// <summary>Probes what came out and gives what to write. Runs in the transaction that closes the journal entry.</summary>
    public abstract Task<Action<ICatalogTransaction>> CompleteAsync(OperationContext context);

    /// <summary>Probes what is left after a failure and gives what to write.</summary>
    /// <param name="context">Context.</param>
    /// <param name="error">Why it failed.</param>
    public abstract Task<Action<ICatalogTransaction>> FailAsync(OperationContext context, string error);

    /// <summary>Kind in the journal: the name of the type.</summary>
    public string KindName => GetType().Name;
}
