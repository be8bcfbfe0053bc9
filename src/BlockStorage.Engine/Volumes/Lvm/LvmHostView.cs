using System.Text.RegularExpressions;
using BlockStorage.Engine.Host;

namespace BlockStorage.Engine.Volumes.Lvm;

/// <summary>
/// Whether the machine's own LVM looks into volumes. A guest may make volume groups on its volume; where that is connected on this
/// machine, udev would activate them here, and one with the name of a group of ours makes that name mean two.
/// </summary>
internal static partial class LvmHostView
{
    /// <summary>Arguments that ask LVM for its settings.</summary>
    public static IReadOnlyList<string> Arguments { get; } =
        ["lvmconfig", "--type", "full", "devices/scan_lvs", "devices/use_devicesfile", "devices/global_filter", "devices/filter"];

    /// <summary>Judges the settings.</summary>
    /// <param name="config">What LVM says of them.</param>
    /// <param name="disks">Physical volumes that LVM sees now.</param>
    /// <param name="connected">Devices that volumes are connected as.</param>
    public static BlockServerCheck Check(string config, IEnumerable<string> disks, IReadOnlyList<string> connected)
    {
        var values = config.Split('\n').Select(line => line.Split('=', 2)).Where(pair => pair.Length == 2)
            .ToDictionary(pair => pair[0].Trim(), pair => pair[1].Trim(), StringComparer.Ordinal);
        var looksInside = values.GetValueOrDefault("scan_lvs") == "1";
        var closed = values.GetValueOrDefault("use_devicesfile") == "1"
            || Closes(values.GetValueOrDefault("global_filter"), connected) || Closes(values.GetValueOrDefault("filter"), connected);
        // Loop devices and connected disks hold what guests wrote; whatever else LVM uses now it must go on seeing.
        var own = disks.Where(disk => disk.StartsWith("/dev/", StringComparison.Ordinal) && !disk.StartsWith("/dev/loop", StringComparison.Ordinal)
            && !connected.Contains(disk)).Distinct().Order(StringComparer.Ordinal);
        var line = looksInside ? "devices/scan_lvs=0"
            : $"devices/global_filter=[{string.Concat(own.Select(disk => $"\"a|^{Regex.Escape(disk)}$|\","))}\"r|.*|\"]";
        var check = DriverChecks.Check("host LVM cannot see volumes", "Kernel", !looksInside && closed,
            "the host's LVM is limited to disks of its own",
            looksInside ? "the host's LVM looks for volume groups inside logical volumes"
                : "the host's LVM takes up volume groups from any disk, also those that guests made on connected volumes",
            $"echo '{line}' >> /etc/lvm/lvmlocal.conf");
        check.State = check.State == "ok" ? "ok" : "warning";
        return check;
    }

    // The first pattern that fits decides; what fits none is taken.
    private static bool Closes(string? filter, IEnumerable<string> connected)
    {
        var patterns = Pattern().Matches(filter ?? "").Select(match => (Takes: match.Groups[1].Value == "a", Text: match.Groups[3].Value)).ToList();
        return patterns is [.., { Takes: false, Text: ".*" }]
            && connected.All(device => !patterns.First(pattern => Fits(device, pattern.Text)).Takes);
    }

    private static bool Fits(string device, string pattern)
    {
        try
        {
            return Regex.IsMatch(device, pattern, RegexOptions.None, TimeSpan.FromSeconds(1));
        }
        catch (ArgumentException)
        {
            // Not understood: taken for one that lets it through, which asks for a look at it.
            return true;
        }
    }

    [GeneratedRegex("\"([ar])(.)(.*?)\\2\"")]
    private static partial Regex Pattern();
}
