using System.Globalization;

namespace BlockStorage.Engine.Tests.Crash;

/// <summary>Which of many cases run. BLOCKSTORAGE_SWEEP=all is every one, K/N is the K-th of N shares.</summary>
internal static class Sweep
{
    /// <summary>What is chosen, such as "3/50".</summary>
    public static string Choice { get; } = Environment.GetEnvironmentVariable("BLOCKSTORAGE_SWEEP") is { Length: > 0 } asked and not "all" ? asked : "0/1";

    /// <summary>The chosen ones of the cases.</summary>
    public static IEnumerable<T> Of<T>(IEnumerable<T> cases)
    {
        var parts = Choice.Split('/').Select(part => int.Parse(part, CultureInfo.InvariantCulture)).ToArray();
        return cases.Where((_, index) => index % parts[1] == parts[0] % parts[1]);
    }
}
