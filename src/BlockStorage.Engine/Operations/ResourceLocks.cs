using BlockStorage.Engine.Host;

namespace BlockStorage.Engine.Operations;

/// <summary>The locks of one operation, taken in one order everywhere so that no two can wait for each other.</summary>
internal sealed class ResourceLocks : IDisposable
{
    private readonly List<FileLock> _held = [];

    /// <summary>Takes all of them.</summary>
    /// <param name="root">Where lock files lie.</param>
    /// <param name="keys">What to lock.</param>
    /// <param name="what">What for, told to those who wait.</param>
    /// <param name="timeout">How long to wait for each.</param>
    /// <param name="cancel">Stops waiting.</param>
    public static ResourceLocks Acquire(
        StateRoot root, IEnumerable<LockKey> keys, string what, TimeSpan timeout, CancellationToken cancel)
    {
        StateRoot.EnsureFolder(root.Home);
        StateRoot.EnsureFolder(root.LockFolder);
        var locks = new ResourceLocks();
        try
        {
            foreach (var key in Ordered(keys))
                locks._held.Add(FileLock.Wait(Path.Combine(root.LockFolder, key.FileName), timeout, key.Shared, Holder(what), cancel));
            return locks;
        }
        catch
        {
            locks.Dispose();
            throw;
        }
    }

    /// <summary>Takes all of them if all are free.</summary>
    public static ResourceLocks? TryAcquire(StateRoot root, IEnumerable<LockKey> keys, string what)
    {
        StateRoot.EnsureFolder(root.LockFolder);
        var locks = new ResourceLocks();
        foreach (var key in Ordered(keys))
        {
            if (FileLock.Try(Path.Combine(root.LockFolder, key.FileName), key.Shared, Holder(what)) is not { } taken)
            {
                locks.Dispose();
                return null;
            }
            locks._held.Add(taken);
        }
        return locks;
    }

    /// <summary>Removes lock files of processes that were killed; they lock nothing any more.</summary>
    public static void SweepDead(StateRoot root)
    {
        if (!Directory.Exists(root.LockFolder))
            return;
        foreach (var file in Directory.EnumerateFiles(root.LockFolder))
        {
            // Without a name it was killed before it could write it, or is just about to: trying is harmless.
            if (FileLock.HolderProcess(file) is not int pid || ProcessTable.Get(pid) is null)
                FileLock.Try(file)?.Dispose();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var held in Enumerable.Reverse(_held))
            held.Dispose();
        _held.Clear();
    }

    private static IEnumerable<LockKey> Ordered(IEnumerable<LockKey> keys) => keys
        .GroupBy(key => (key.Kind, key.Id))
        .Select(group => group.OrderBy(key => key.Shared).First())
        .OrderBy(key => key.Kind)
        .ThenBy(key => key.Id, StringComparer.Ordinal);

    private static string Holder(string what) => $"{FileLock.ProcessWord} {Environment.ProcessId} ({what})";
}
