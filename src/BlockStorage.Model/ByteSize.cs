using System.Globalization;
using System.Numerics;

namespace BlockStorage;

/// <summary>Sizes as people write and read them. Units are powers of 1024, like PowerShell's own literals.</summary>
public static class ByteSize
{
    private const string Units = "KMGTPE";

    /// <summary>Reads 10GB, 10GiB, 10G, 1.5TB or a number of bytes.</summary>
    /// <param name="text">The text; case and blanks around it do not count.</param>
    /// <returns>Bytes, more than zero.</returns>
    /// <exception cref="BlockStorageException">InvalidSize.</exception>
    public static long Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        var trimmed = text.Trim();
        if (trimmed.EndsWith('%'))
            throw Bad(text, "A percentage is not a size.", "Use -UseMaximumSize for all that is free.");

        var digits = 0;
        while (digits < trimmed.Length && (char.IsAsciiDigit(trimmed[digits]) || trimmed[digits] is '.' or '+' or '-'))
            digits++;
        var suffix = trimmed[digits..].Trim().ToUpperInvariant();
        if (!decimal.TryParse(trimmed.AsSpan(0, digits), NumberStyles.AllowDecimalPoint | NumberStyles.AllowLeadingSign,
                CultureInfo.InvariantCulture, out var number))
            throw Bad(text, $"'{Shown(text)}' is not a size.");

        if (suffix is "IB" || !TryUnit(suffix, out var exponent))
            throw Bad(text, $"'{Shown(text)}' has an unknown unit.");
        if (exponent == 0 && number != decimal.Truncate(number))
            throw Bad(text, $"'{Shown(text)}' is not a whole number of bytes.");

        var scale = BigInteger.Pow(1024, exponent);
        decimal bytes;
        try
        {
            bytes = decimal.Truncate(number * (decimal)scale);
        }
        catch (OverflowException)
        {
            throw Bad(text, $"'{Shown(text)}' is larger than {Format(long.MaxValue)}.");
        }
        return Check(bytes, text);
    }

    /// <summary>Accepts a number of bytes.</summary>
    /// <param name="bytes">Bytes.</param>
    /// <returns>The same, more than zero and whole.</returns>
    /// <exception cref="BlockStorageException">InvalidSize.</exception>
    public static long Check(double bytes)
    {
        var shown = bytes.ToString(CultureInfo.InvariantCulture);
        if (double.IsNaN(bytes) || bytes >= 9.2e18)
            throw Bad(shown, $"{shown} is larger than {Format(long.MaxValue)}.");
        if (bytes != Math.Truncate(bytes))
            throw Bad(shown, $"{shown} is not a whole number of bytes.");
        return Check(bytes <= -9e18 ? -1m : (decimal)bytes, shown);
    }

    /// <summary>Writes a size with the largest fitting unit and three digits, such as 10 GiB or 1.5 TiB.</summary>
    /// <param name="bytes">Bytes.</param>
    /// <returns>The text.</returns>
    public static string Format(long bytes)
    {
        var size = (double)bytes;
        var unit = -1;
        while (Math.Abs(size) >= 1024 && unit < Units.Length - 1)
        {
            size /= 1024;
            unit++;
        }
        if (unit < 0)
            return string.Create(CultureInfo.InvariantCulture, $"{bytes} B");
        var digits = Math.Abs(size) < 10 ? "0.##" : Math.Abs(size) < 100 ? "0.#" : "0";
        return $"{size.ToString(digits, CultureInfo.InvariantCulture)} {Units[unit]}iB";
    }

    /// <summary>Writes a size, or a dash where it is not known.</summary>
    /// <param name="bytes">Bytes or null.</param>
    /// <returns>The text.</returns>
    public static string Format(long? bytes) => bytes is long known ? Format(known) : "-";

    private static bool TryUnit(string suffix, out int exponent)
    {
        exponent = 0;
        if (suffix is "" or "B")
            return true;
        exponent = Units.IndexOf(suffix[0], StringComparison.Ordinal) + 1;
        return exponent > 0 && suffix[1..] is "" or "B" or "IB";
    }

    private static long Check(decimal bytes, string text)
    {
        if (bytes <= 0)
            throw Bad(text, $"A size must be more than zero, not '{Shown(text)}'.");
        if (bytes > long.MaxValue)
            throw Bad(text, $"'{Shown(text)}' is larger than {Format(long.MaxValue)}.");
        return (long)bytes;
    }

    private static string Shown(string text) => text.Length <= 40 ? text : text[..40] + "...";

    private static BlockStorageException Bad(string text, string message, string? nextStep = null) =>
        new(BlockErrors.InvalidSize, message, Shown(text), nextStep);
}
