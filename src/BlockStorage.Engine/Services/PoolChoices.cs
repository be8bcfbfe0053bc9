namespace BlockStorage.Engine.Services;

/// <summary>Words that users choose from when they make or change a pool.</summary>
internal static class PoolChoices
{
    /// <summary>A full thin pool makes writers wait.</summary>
    public const string Queue = "queue";

    /// <summary>A full thin pool gives writers an error.</summary>
    public const string Error = "error";

    private const long LeastRate = 1 << 20;
    private const string RaidWord = "raid";

    /// <summary>thin or thick; null when nothing was asked for.</summary>
    public static string? Provisioning(string? word) => OneOf(word, "Provisioning", "thin", "thick");

    /// <summary>raid1, raid5, raid6 or raid10, of which the number is enough; null when nothing was asked for.</summary>
    public static string? Raid(string? word) => OneOf(
        word is { Length: > 0 } && char.IsAsciiDigit(word[0]) ? RaidWord + word : word, "Raid", "raid1", "raid5", "raid6", "raid10");

    /// <summary>Whether a full pool makes writers wait; null when nothing was asked for.</summary>
    public static bool? Queues(string? word) => OneOf(word, "WhenFull", Error, Queue) is { } found ? found == Queue : null;

    /// <summary>Bytes a second, none or at least a MiB; null when nothing was asked for.</summary>
    public static long? WipeRate(long? rate) => rate is null or 0 or >= LeastRate ? rate
        : throw new BlockStorageException(BlockErrors.InvalidArgument, $"WipeRate is 1 MiB a second or more, or 0 for no bound, not {rate}.", $"{rate}",
            "Use -WipeRate 100MB or -WipeRate 0.");

    private static string? OneOf(string? word, string parameter, params string[] words)
    {
        if (string.IsNullOrEmpty(word))
            return null;
        return words.FirstOrDefault(known => known.Equals(word, StringComparison.OrdinalIgnoreCase))
            ?? throw new BlockStorageException(BlockErrors.InvalidArgument,
                $"{parameter} is {string.Join(", ", words[..^1])} or {words[^1]}, not '{word}'.", word,
                $"Use {string.Join(" or ", words.Select(known => $"-{parameter} {known}"))}.");
    }
}
