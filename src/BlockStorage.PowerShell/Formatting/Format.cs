using System.Globalization;

namespace BlockStorage.Internal;

/// <summary>Texts of table and list views. BlockStorage.Format.ps1xml calls it; scripts use the numbers of the objects instead.</summary>
public static class Format
{
    /// <summary>A size such as 10 GiB; a dash where it is not known.</summary>
    /// <param name="bytes">Bytes.</param>
    /// <returns>The text.</returns>
    public static string Size(long? bytes) => ByteSize.Format(bytes);

    /// <summary>A percentage such as 12 %; a dash where it is not known.</summary>
    /// <param name="percent">Per cent.</param>
    /// <returns>The text.</returns>
    public static string Percent(double? percent) =>
        percent is double known ? string.Create(CultureInfo.InvariantCulture, $"{known:0.#} %") : "-";

    /// <summary>How long ago, in the largest unit: 45s, 12m, 3h, 5d, 2y.</summary>
    /// <param name="time">The moment.</param>
    /// <returns>The text; a dash where it is not known.</returns>
    public static string Age(DateTime? time)
    {
        if (time is not { } known || known == default)
            return "-";
        var age = DateTime.UtcNow - known.ToUniversalTime();
        return age switch
        {
            { TotalSeconds: < 0 } => "0s",
            { TotalMinutes: < 1 } => $"{age.Seconds}s",
            { TotalHours: < 1 } => $"{age.Minutes}m",
            { TotalDays: < 1 } => $"{age.Hours}h",
            { TotalDays: < 365 } => $"{age.Days}d",
            _ => $"{age.Days / 365}y",
        };
    }

    /// <summary>How long something took or has been running, such as 1.2s or 3m 5s.</summary>
    /// <param name="start">Its begin.</param>
    /// <param name="end">Its end; null while it runs.</param>
    /// <returns>The text.</returns>
    public static string Duration(DateTime start, DateTime? end)
    {
        var time = (end?.ToUniversalTime() ?? DateTime.UtcNow) - start.ToUniversalTime();
        return time.TotalMinutes < 1
            ? string.Create(CultureInfo.InvariantCulture, $"{Math.Max(0, time.TotalSeconds):0.0}s")
            : $"{(int)time.TotalMinutes}m {time.Seconds}s";
    }

    /// <summary>A state in the colour of its meaning; the colours come from $PSStyle, which also removes them where they are not wanted.</summary>
    /// <param name="state">The state.</param>
    /// <param name="good">Colour of what works.</param>
    /// <param name="busy">Colour of what is under way.</param>
    /// <param name="bad">Colour of what is wrong.</param>
    /// <param name="reset">Ends a colour.</param>
    /// <returns>The text.</returns>
    public static string State(string? state, string good, string busy, string bad, string reset)
    {
        var colour = state switch
        {
            BlockStates.Available or BlockStates.InUse or BlockStates.Attached or BlockStates.Online or BlockStates.Enabled
                or BlockStates.Succeeded or "connected" or "ok" or "done" => good,
            BlockStates.Error or BlockStates.Lost or BlockStates.Offline or BlockStates.Failed or "missing" or "failed" => bad,
            null or "" or BlockStates.Disabled or "planned" => "",
            _ => busy,
        };
        return colour.Length == 0 ? state ?? "" : colour + state + reset;
    }

    /// <summary>The first that is not empty.</summary>
    /// <param name="first">Shown where there is one.</param>
    /// <param name="second">Shown otherwise.</param>
    /// <returns>The text.</returns>
    public static string First(string? first, string? second) => !string.IsNullOrEmpty(first) ? first : second ?? "";

    /// <summary>Values in one cell.</summary>
    /// <param name="values">Values.</param>
    /// <returns>The text.</returns>
    public static string Join(string[]? values) => string.Join(", ", values ?? []);
}
