namespace BlockStorage.Engine.Operations;

/// <summary>Kinds of things that are locked, in the order in which locks are taken.</summary>
internal enum LockKind
{
    /// <summary>A pool.</summary>
    Pool,
    /// <summary>A volume.</summary>
    Volume,
    /// <summary>A snapshot.</summary>
    Snapshot,
    /// <summary>A target.</summary>
    Target,
    /// <summary>A connection.</summary>
    Connection,
}

/// <summary>One thing to lock.</summary>
/// <param name="Kind">Kind.</param>
/// <param name="Id">Id.</param>
/// <param name="Shared">Others may hold it shared at the same time.</param>
internal sealed record LockKey(LockKind Kind, string Id, bool Shared = false)
{
    /// <summary>Name of the lock file.</summary>
    public string FileName => $"{Kind.ToString().ToLowerInvariant()}-{Id}";

    /// <summary>A pool is shared by what happens in it and held alone by what happens to it.</summary>
    public static LockKey PoolShared(string id) => new(LockKind.Pool, id, Shared: true);
}
