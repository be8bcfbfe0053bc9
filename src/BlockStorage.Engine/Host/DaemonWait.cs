namespace BlockStorage.Engine.Host;

/// <summary>Waiting for a daemon that was just started.</summary>
internal static class DaemonWait
{
    // A process that is between fork and exec shows neither arguments nor environment for a moment.
    private const int Misses = 8;

    /// <summary>Waits until a daemon is ready or has ended.</summary>
    /// <param name="isReady">It answers.</param>
    /// <param name="isThere">Its process is found.</param>
    /// <param name="limit">How long to wait.</param>
    /// <param name="cancel">Stops the waiting.</param>
    /// <returns>Whether it is ready.</returns>
    public static async Task<bool> ReadyAsync(Func<bool> isReady, Func<bool> isThere, TimeSpan limit, CancellationToken cancel)
    {
        var ready = false;
        var missed = 0;
        await Poll.UntilAsync(() =>
        {
            ready = isReady();
            missed = ready || isThere() ? 0 : missed + 1;
            return ready || missed == Misses;
        }, limit, cancel).ConfigureAwait(false);
        return ready;
    }
}
