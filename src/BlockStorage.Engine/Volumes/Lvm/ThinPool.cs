using System.Globalization;
using BlockStorage.Engine.Host;

namespace BlockStorage.Engine.Volumes.Lvm;

/// <summary>How a thin pool fares, as the kernel says now.</summary>
/// <param name="DataUsed">Part of the data in use, 0 to 1.</param>
/// <param name="MetadataUsed">Part of the metadata in use, 0 to 1.</param>
/// <param name="Trouble">What is wrong, or empty.</param>
/// <param name="Works">It takes reads and writes.</param>
/// <param name="Size">Bytes of data.</param>
internal sealed record ThinPool(double DataUsed, double MetadataUsed, string Trouble, bool Works, long Size)
{
    private const string Full = "full: writers get errors until it grows or volumes are removed";
    private const string FullAndWaiting = "full: writers wait, and get errors when it has not grown in time";

    /// <summary>From where a pool is told to be filling up, and is grown where there is room.</summary>
    public const double DataWarning = 0.80;

    /// <summary>Metadata that is full costs more than data that is full, so it is watched earlier.</summary>
    public const double MetadataWarning = 0.60;

    /// <summary>From where nothing new is made in it.</summary>
    public const double DataLimit = 0.95;

    /// <summary>The same of metadata; LVM refuses from here on by itself where 4 MiB or less are a quarter of it.</summary>
    public const double MetadataLimit = 0.75;

    /// <summary>Bytes that are not in use.</summary>
    public long Free => (long)(Size * (1 - DataUsed));

    /// <summary>It should grow.</summary>
    public bool IsFilling => DataUsed >= DataWarning || MetadataUsed >= MetadataWarning;

    /// <summary>Number of the last change, as the kernel has it.</summary>
    public long Transaction { get; init; }

    /// <summary>A snapshot of the metadata is reserved.</summary>
    public bool HasSnapshot { get; init; }

    /// <summary>How full it is, for people.</summary>
    public string Figures => string.Create(CultureInfo.InvariantCulture, $"data {DataUsed * 100:0.#} %, metadata {MetadataUsed * 100:0.#} %");

    /// <summary>Writes are refused for want of space.</summary>
    public bool IsFull => Trouble is Full or FullAndWaiting;

    /// <summary>Writers wait when it is full.</summary>
    public bool Queues { get; init; }

    /// <summary>Asks the kernel; null while the pool is not active.</summary>
    public static ThinPool? Find(string group) => Native.FindMapped(Device(group)) is { Type: "thin-pool" } device ? Read(device.Text, device.Size) : null;

    /// <summary>Name of its device: while it has no volumes LVM activates it under its own name.</summary>
    public static string Device(string group)
    {
        var name = LvmNames.Mapped(group, LvmNames.Pool);
        return Native.FindMapped(name + "-tpool") is null ? name : name + "-tpool";
    }

    /// <summary>Reads: transaction, used/total metadata blocks, used/total data blocks, root, mode, options.</summary>
    internal static ThinPool Read(string status, long size)
    {
        var words = status.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        if (words.Length < 5)
            return new ThinPool(0, 0, $"its disks failed ({status}): the next command starts it again once they are back and nothing holds its volumes", false, size);
        var queues = words.Contains("queue_if_no_space");
        var trouble = words.Contains("out_of_data_space") ? queues ? FullAndWaiting : Full
            : words.Contains("needs_check") ? "its metadata needs a check: lvconvert --repair"
            : words.Contains("ro") ? "read-only: its metadata is full or damaged" : "";
        return new ThinPool(Part(words[2]), Part(words[1]), trouble, !words.Contains("ro"), size)
        {
            Transaction = long.Parse(words[0], CultureInfo.InvariantCulture),
            HasSnapshot = words[3] != "-",
            Queues = queues,
        };
    }

    private static double Part(string used) => used.Split('/') is [var part, var all]
        ? double.Parse(part, CultureInfo.InvariantCulture) / double.Parse(all, CultureInfo.InvariantCulture) : 0;
}
