using System.Globalization;

namespace BlockStorage.Engine.Tests.Crash;

/// <summary>Which of many cases run. BLOCKSTORAGE_SWEEP=all is every one, K/N is the K-th of N shares.</summary>
internal static class Sweep
{
    private const string All = "all";
    private static readonly string Asked = Environment.GetEnvironmentVariable("BLOCKSTORAGE_SWEEP") is { Length: > 0 } asked ? asked : All;

    /// <summary>What is chosen, such as "3/50".</summary>
    public static string Choice { get; } = Asked == All ? "0/1" : Asked;

    /// <summary>Whether it is the turn of one of a few cases, of which every day without BLOCKSTORAGE_SWEEP has one.</summary>
    public static bool IsTurn(int index, int count) =>
        Environment.GetEnvironmentVariable("BLOCKSTORAGE_SWEEP") is { Length: > 0 } || DateTime.UtcNow.DayOfYear % count == index;

    /// <summary>The chosen ones of the cases.</summary>
    public static IEnumerable<T> Of<T>(IEnumerable<T> cases)
    {
        var parts = Choice.Split('/').Select(part => int.Parse(part, CultureInfo.InvariantCulture)).ToArray();
        return cases.Where((_, index) => index % parts[1] == parts[0] % parts[1]);
    }
}
