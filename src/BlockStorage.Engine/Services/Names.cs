using System.Text.RegularExpressions;

namespace BlockStorage.Engine.Services;

/// <summary>Rules for what people may call things, and how they ask for them.</summary>
internal static partial class Names
{
    private const int ShortLength = 63;
    private const int SnapshotLength = 127;

    /// <summary>Refuses a name of a pool or volume that could be mistaken for an option, a path or another name.</summary>
    /// <exception cref="BlockStorageException">InvalidName.</exception>
    public static string Check(string name) => Check(name, ShortLength);

    /// <summary>The same for snapshots, whose names hold a volume's name and a time.</summary>
    /// <exception cref="BlockStorageException">InvalidName.</exception>
    public static string CheckSnapshot(string name) => Check(name, SnapshotLength);

    /// <summary>Checks an iSCSI qualified name and gives it in lower case (RFC 7143, 4.2.7; RFC 3722).</summary>
    /// <exception cref="BlockStorageException">InvalidIqn.</exception>
    public static string CheckIqn(string iqn)
    {
        var lower = iqn.ToLowerInvariant();
        return lower.Length <= 223 && Iqn().IsMatch(lower) ? lower
            : throw new BlockStorageException(BlockErrors.InvalidIqn, $"'{Shown(iqn)}' is not an iSCSI qualified name.", Shown(iqn));
    }

    /// <summary>Tells whether any pattern matches; no patterns match everything.</summary>
    public static Func<string, bool> Matcher(IReadOnlyList<string>? patterns)
    {
        if (patterns is null or { Count: 0 })
            return static _ => true;
        var literals = patterns.Where(pattern => !IsPattern(pattern)).ToHashSet(StringComparer.OrdinalIgnoreCase);
        var wild = patterns.Where(IsPattern).Select(ToRegex).ToArray();
        return name => literals.Contains(name) || wild.Any(regex => regex.IsMatch(name));
    }

    /// <summary>True where the text holds a wildcard.</summary>
    public static bool IsPattern(string text) => text.AsSpan().IndexOfAny('*', '?', '[') >= 0;

    private static string Check(string name, int limit)
    {
        if (name.Length == 0)
            throw new BlockStorageException(BlockErrors.InvalidName, "A name must not be empty.", "");
        if (name.Length > limit)
        {
            throw new BlockStorageException(BlockErrors.InvalidName,
                $"'{Shown(name)}' has {name.Length} characters; {limit} are allowed.", Shown(name),
                $"Use 1 to {limit} letters, digits, '.', '_' or '-', beginning with a letter or digit.");
        }
        return Plain().IsMatch(name) ? name
            : throw new BlockStorageException(BlockErrors.InvalidName,
                $"'{Shown(name)}' has characters that a name cannot have.", Shown(name));
    }

    // Control characters must not reach a terminal through an error text.
    private static string Shown(string text) =>
        string.Concat((text.Length <= 40 ? text : text[..40] + "...").Select(c => char.IsControl(c) ? '?' : c));

    private static Regex ToRegex(string pattern)
    {
        var text = Regex.Escape(pattern)
            .Replace(@"\*", ".*", StringComparison.Ordinal)
            .Replace(@"\?", ".", StringComparison.Ordinal)
            .Replace(@"\[", "[", StringComparison.Ordinal);
        try
        {
            // Without backtracking no pattern takes long; .NET refuses those that would grow too large for it.
            return new Regex($"^{text}$", RegexOptions.IgnoreCase | RegexOptions.Singleline | RegexOptions.CultureInvariant | RegexOptions.NonBacktracking);
        }
        catch (Exception error) when (error is RegexParseException or NotSupportedException)
        {
            throw new BlockStorageException(BlockErrors.InvalidArgument, $"'{Shown(pattern)}' is not a wildcard pattern.", Shown(pattern), cause: error);
        }
    }

    [GeneratedRegex(@"\A[A-Za-z0-9][A-Za-z0-9._-]*\z")]
    private static partial Regex Plain();

    [GeneratedRegex(@"\Aiqn\.[0-9]{4}-[0-9]{2}\.[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::[a-z0-9.:_-]+)?\z")]
    private static partial Regex Iqn();
}
