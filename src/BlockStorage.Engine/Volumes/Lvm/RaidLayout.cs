namespace BlockStorage.Engine.Volumes.Lvm;

/// <summary>How a RAID of LVM lies on the disks of a group (lvmraid(7)).</summary>
/// <param name="Level">raid1, raid5, raid6 or raid10.</param>
/// <param name="Disks">Disks that can take parts of it.</param>
internal sealed record RaidLayout(string Level, int Disks)
{
    private const string Mirror = "raid1";

    /// <summary>The layout of a level; null where there is none.</summary>
    public static RaidLayout? Of(string level, int disks) => level.Length == 0 ? null : new RaidLayout(level, disks);

    /// <summary>Disks that a level needs.</summary>
    public static int LeastDisks(string level) => level switch { Mirror => 2, "raid5" => 3, "raid10" => 4, _ => 5 };

    /// <summary>Disks that hold different data; sizes are multiples of as many extents.</summary>
    public int Stripes => Level switch { Mirror => 1, "raid5" => Disks - 1, "raid10" => Disks / 2, _ => Disks - 2 };

    /// <summary>Disks that a volume lies on.</summary>
    public int Legs => Level switch { Mirror => 2, "raid10" => 2 * Stripes, _ => Disks };

    /// <summary>Disks that may fail.</summary>
    public int Failures => Level == "raid6" ? 2 : 1;

    /// <summary>Arguments that make a volume of it.</summary>
    public string[] Arguments => Level switch
    {
        Mirror => Mirrored(1),
        "raid10" => ["--type", Level, "--mirrors", "1", "--stripes", $"{Stripes}"],
        _ => ["--type", Level, "--stripes", $"{Stripes}"],
    };

    /// <summary>Arguments that make a volume for metadata: its writes are small, and it must outlive as many disks as the data.</summary>
    public string[] MetadataArguments => Mirrored(Failures);

    /// <summary>Bytes of data that fit, given the free bytes of each disk; each part needs an extent for its own metadata.</summary>
    public long Usable(IEnumerable<long> free, long extent)
    {
        var sorted = free.OrderDescending().Select(bytes => Math.Max(0, bytes / extent - 1)).ToList();
        if (sorted.Count < LeastDisks(Level))
            return 0;
        var sum = sorted.Sum();
        return extent * (Level == Mirror ? Math.Min(sum / 2, sum - sorted[0]) : sorted[Legs - 1] * Stripes);
    }

    private static string[] Mirrored(int copies) => ["--type", Mirror, "--mirrors", $"{copies}"];
}
