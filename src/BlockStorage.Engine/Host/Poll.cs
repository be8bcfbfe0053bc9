using System.Diagnostics;

namespace BlockStorage.Engine.Host;

/// <summary>Waiting for something to become true, with a bound.</summary>
internal static class Poll
{
    /// <summary>Asks again and again, more and more slowly, until the answer is yes or the time is over.</summary>
    /// <returns>Whether it became true.</returns>
    public static async Task<bool> UntilAsync(Func<bool> isTrue, TimeSpan limit, CancellationToken cancel)
    {
        var clock = Stopwatch.StartNew();
        for (var pause = 1; !isTrue(); pause = Math.Min(pause * 2, 50))
        {
            if (clock.Elapsed >= limit)
                return false;
            await Task.Delay(pause, cancel).ConfigureAwait(false);
        }
        return true;
    }
}
