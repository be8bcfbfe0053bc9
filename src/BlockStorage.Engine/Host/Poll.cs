using System.Diagnostics;

namespace BlockStorage.Engine.Host;

/// <summary>Waiting for something to become true, with a bound.</summary>
internal static class Poll
{
    private const int UsualPause = 50;
    private const int LongestPause = 500;

    /// <summary>Asks again and again, more and more slowly, until the answer is yes or the time is over.</summary>
    /// <returns>Whether it became true.</returns>
    public static async Task<bool> UntilAsync(Func<bool> isTrue, TimeSpan limit, CancellationToken cancel)
    {
        var clock = Stopwatch.StartNew();
        for (var pause = 1L; ; pause = Math.Min(pause * 2, Math.Clamp(clock.ElapsedMilliseconds / 20, UsualPause, LongestPause)))
        {
            var asked = clock.ElapsedMilliseconds;
            if (isTrue())
                return true;
            if (clock.Elapsed >= limit)
                return false;
            // A question that takes long is asked seldom: many who ask would keep what they wait for from its work.
            await Task.Delay((int)Math.Min(Math.Max(pause, clock.ElapsedMilliseconds - asked), LongestPause), cancel).ConfigureAwait(false);
        }
    }
}
