namespace BlockStorage.Engine.Volumes.Lvm;

/// <summary>Sizes of a new thin pool.</summary>
/// <param name="Data">Bytes of data.</param>
/// <param name="Chunk">Bytes that are allocated and copied at once.</param>
/// <param name="Metadata">Bytes of metadata; the spare takes as much again.</param>
internal sealed record PoolShape(long Data, long Chunk, long Metadata)
{
    /// <summary>Extents of groups that we make: volumes have the size that was asked for.</summary>
    public const long Extent = 1 << 20;

    /// <summary>Bytes at the start of each disk for LVM's own metadata: LVM's 1 MiB holds some thousand volumes and cannot grow.</summary>
    public const long DiskMetadata = 64 << 20;

    /// <summary>Smallest thin pool.</summary>
    public const long Minimum = 64 << 20;

    private const long LeastChunk = 64 << 10;
    private const long MostChunks = 1 << 26;
    private const long LeastMetadata = 16 << 20;
    private const long MostMetadata = 15L << 30;
    private const int BytesPerChunk = 128;

    /// <summary>Computes it.</summary>
    /// <param name="free">Free bytes of the volume group.</param>
    /// <param name="extent">Its extent.</param>
    /// <param name="size">Bytes of data that were asked for; null for most of what is free, with room kept for growth and thick volumes.</param>
    public static PoolShape Of(long free, long extent, long? size)
    {
        var data = size ?? free / 100 * 85;
        var chunk = LeastChunk;
        while (data / chunk > MostChunks)
            chunk *= 2;
        // Twice what mapping each chunk once takes: snapshots map them again.
        var metadata = Up(Math.Min(MostMetadata, LeastMetadata + data / chunk * BytesPerChunk), extent);
        var unit = Math.Max(extent, chunk);
        return new PoolShape(size is null ? data / unit * unit : Up(data, unit), chunk, metadata);
    }

    /// <summary>All that it takes of a volume group.</summary>
    public long Whole => Data + 2 * Metadata;

    private static long Up(long size, long unit) => (size + unit - 1) / unit * unit;
}
