using System.Text;

namespace BlockStorage.Engine.Targets.Iscsi;

/// <summary>Key=value pairs of login and text PDUs (RFC 7143, 6.1), in order; a key may come more than once.</summary>
internal static class IscsiText
{
    /// <summary>More than any answer that we ask for.</summary>
    public const int Limit = 4 << 20;

    /// <summary>Writes pairs, each ended by NUL.</summary>
    public static byte[] Format(IEnumerable<(string Key, string Value)> pairs) =>
        Encoding.UTF8.GetBytes(string.Concat(pairs.Select(pair => $"{pair.Key}={pair.Value}\0")));

    /// <summary>Reads pairs; what is no pair is left out.</summary>
    public static IReadOnlyList<(string Key, string Value)> Parse(ReadOnlySpan<byte> data) =>
        Encoding.UTF8.GetString(data).Split('\0', StringSplitOptions.RemoveEmptyEntries)
            .Select(pair => pair.Split('=', 2))
            .Where(pair => pair.Length == 2)
            .Select(pair => (pair[0], pair[1]))
            .ToArray();

    /// <summary>The first value of a key, or null.</summary>
    public static string? Find(this IReadOnlyList<(string Key, string Value)> pairs, string key)
    {
        foreach (var pair in pairs)
        {
            if (pair.Key == key)
                return pair.Value;
        }
        return null;
    }
}
