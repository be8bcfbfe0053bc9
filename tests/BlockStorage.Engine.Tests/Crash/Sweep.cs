using System.Globalization;

namespace BlockStorage.Engine.Tests.Crash;

/// <summary>
/// Which of many cases run. BLOCKSTORAGE_SWEEP=all is every one, K/N is the K-th of N shares; without it today's share runs, another
/// one each day, so that all come round.
/// </summary>
internal static class Sweep
{
    // One case a day: a point takes many seconds in the lab.
    private const int Days = 50;

    /// <summary>What is chosen, such as "3/50".</summary>
    public static string Choice { get; } = Environment.GetEnvironmentVariable("BLOCKSTORAGE_SWEEP") switch
    {
        null or "" => $"{DateTime.UtcNow.DayOfYear % Days}/{Days}",
        "all" => "0/1",
        var share => share,
    };

    /// <summary>The chosen ones of the cases.</summary>
    public static IEnumerable<T> Of<T>(IEnumerable<T> cases)
    {
        var parts = Choice.Split('/').Select(part => int.Parse(part, CultureInfo.InvariantCulture)).ToArray();
        return cases.Where((_, index) => index % parts[1] == parts[0] % parts[1]);
    }
}
