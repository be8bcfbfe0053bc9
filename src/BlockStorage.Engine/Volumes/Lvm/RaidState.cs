using System.Globalization;
using BlockStorage.Engine.Host;

namespace BlockStorage.Engine.Volumes.Lvm;

/// <summary>How a RAID fares, as the kernel says now (its dm-raid documentation, "Status Output").</summary>
/// <param name="Legs">A letter a leg: A in step, a not yet, D failed, - not there.</param>
/// <param name="InStep">Part that is the same on all legs, 0 to 1; while it is checked, the part that has been.</param>
/// <param name="Action">idle, resync, recover, check, repair or frozen.</param>
/// <param name="Mismatches">Sectors that differed when it was checked last.</param>
internal sealed record RaidState(string Legs, double InStep, string Action, long Mismatches)
{
    private const int Words = 6;

    /// <summary>Legs that hold nothing which can be used.</summary>
    public int Failed => Legs.Count(leg => leg is 'D' or '-');

    /// <summary>Legs are being brought into step.</summary>
    public bool IsCatchingUp => Failed == 0 && (Action is "resync" or "recover" || Legs.Contains('a', StringComparison.Ordinal));

    /// <summary>What a check has found is not mended yet.</summary>
    public bool Differs => Mismatches > 0 && Action is not ("check" or "repair");

    /// <summary>Asks the kernel; null while it is not active.</summary>
    public static RaidState? Find(string group, string volume)
    {
        var name = LvmNames.Mapped(group, volume);
        // Behind copy-on-write snapshots it has another name.
        return new[] { name, name + "-real" }.Select(found => Native.FindMapped(found)).FirstOrDefault(device => device is { Type: "raid" })
            is { } raid ? Read(raid.Text) : null;
    }

    /// <summary>Reads: level, number of legs, a letter each, part in step, action, mismatches.</summary>
    /// <exception cref="FormatException">It is something else.</exception>
    internal static RaidState Read(string status)
    {
        var words = status.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        if (words.Length < Words || words[3].Split('/') is not [var part, var all])
            throw new FormatException($"'{status}' is no status of a RAID.");
        var whole = double.Parse(all, CultureInfo.InvariantCulture);
        return new RaidState(words[2], whole > 0 ? double.Parse(part, CultureInfo.InvariantCulture) / whole : 1, words[4],
            long.Parse(words[5], CultureInfo.InvariantCulture));
    }
}
