using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using BlockStorage.Engine.Volumes;
using BlockStorage.Engine.Volumes.Lvm;
using static BlockStorage.Benchmarks.Sandbox;

namespace BlockStorage.Benchmarks;

/// <summary>
/// A volume group with many thin volumes of ours in LVM's metadata. Making a thousand one by one takes the better part of an hour in
/// the lab; LVM reads the same text however it came there. They are never activated.
/// </summary>
internal static partial class CrowdedGroup
{
    // Far above the numbers that LVM gives to volumes it makes meanwhile.
    private const int FirstDevice = 1_000_000;

    /// <summary>Makes the group have this many more volumes than it had at first.</summary>
    public static void Fill(string home, string group, int count)
    {
        var file = Path.Combine(home, "metadata");
        Tool("vgcfgbackup", "--file", file, group);
        var text = Filler().Replace(File.ReadAllText(file), "");
        var extents = (1L << 30) / (long.Parse(ExtentSize().Match(text).Groups[1].Value, CultureInfo.InvariantCulture) * 512);
        var volumes = new StringBuilder();
        for (var index = 0; index < count; index++)
            volumes.Append(Volume(index, extents));
        const string start = "logical_volumes {\n";
        File.WriteAllText(file, text.Replace(start, start + volumes, StringComparison.Ordinal));
        Tool("vgcfgrestore", "--force", "--yes", "--file", file, group);
        File.Delete(file);
    }

    private static string Volume(int index, long extents)
    {
        var id = new Guid(index, 0, 0x4000, 0x80, 0, 0, 0, 0, 0, 0, 0xFF).ToString();
        var tags = string.Join(", ", LvmTags.Of(new ObjectIdentity(BackendKind.Volume, id, $"filler{index}", 1L << 30, "", "", [], false, "thin", DateTime.UnixEpoch, null))
            .Select(tag => $"\"{tag}\""));
        return string.Create(CultureInfo.InvariantCulture, $$"""
            {{LvmNames.Volume(id)}} { # filler
            id = "Filler-0000-0000-0000-0000-0000-{{index:000000}}"
            status = ["READ", "WRITE", "VISIBLE"]
            flags = []
            tags = [{{tags}}]
            segment_count = 1
            segment1 {
            start_extent = 0
            extent_count = {{extents}}
            type = "thin"
            thin_pool = "{{LvmNames.Pool}}"
            transaction_id = 0
            device_id = {{FirstDevice + index}}
            }
            }

            """);
    }

    // As LVM writes them again.
    [GeneratedRegex(@"\tvol-[0-9a-f]{8}000040008000000000000ff \{.*?\n\t\t\}\n", RegexOptions.Singleline)]
    private static partial Regex Filler();

    [GeneratedRegex(@"extent_size = (\d+)")]
    private static partial Regex ExtentSize();
}
