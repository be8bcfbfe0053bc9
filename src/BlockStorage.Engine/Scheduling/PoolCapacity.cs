using BlockStorage.Engine.Catalog;
using BlockStorage.Engine.Volumes;

namespace BlockStorage.Engine.Scheduling;

/// <summary>Arithmetic of what a pool can still take, in bytes.</summary>
/// <param name="Total">Physical size.</param>
/// <param name="Free">Physical free space that is not promised to operations at work or held in reserve.</param>
/// <param name="Provisioned">Sum of the sizes of the volumes.</param>
/// <param name="Limit">How much may be provisioned in all.</param>
internal sealed record PoolCapacity(long Total, long Free, long Provisioned, long Limit)
{
    /// <summary>Physical free space for what takes it at once, where that is less than Free.</summary>
    public long? ThickFree { get; init; }

    /// <summary>Bytes of removed volumes that come back soon.</summary>
    public long Wiping { get; init; }

    /// <summary>Largest thin volume that can be made.</summary>
    public long ThinAvailable => Math.Max(0, Limit - Provisioned);

    /// <summary>Largest thick volume that can be made.</summary>
    public long ThickAvailable => Math.Max(0, Math.Min(PhysicalFree, Limit - Provisioned));

    private long PhysicalFree => Math.Min(Free, ThickFree ?? Free);

    /// <summary>Computes it from the records and the probed status, all of one moment.</summary>
    public static PoolCapacity Of(PoolRecord pool, PoolStatus status, ICatalogReader catalog) => Of(
        pool, status, catalog.ListBy<VolumeRecord>("pool_id", pool.Id), catalog.ListBy<SnapshotRecord>("pool_id", pool.Id));

    /// <summary>Computes it from the records and the probed status, all of one moment.</summary>
    public static PoolCapacity Of(
        PoolRecord pool, PoolStatus status, IEnumerable<VolumeRecord> volumes, IEnumerable<SnapshotRecord> snapshots)
    {
        long provisioned = 0, pending = 0;
        foreach (var volume in volumes)
        {
            provisioned = Saturated(provisioned, volume.Size);
            pending = Saturated(pending, volume.Pending);
        }
        foreach (var snapshot in snapshots)
            pending = Saturated(pending, snapshot.Pending);
        var reserved = (long)(status.Total / 100.0 * pool.ReservedPercent);
        var limit = (status.Total - reserved) * pool.OversubscriptionRatio;
        return new PoolCapacity(
            status.Total, Math.Max(0, Math.Max(0, status.Free - reserved) - pending), provisioned,
            limit >= long.MaxValue ? long.MaxValue : (long)limit)
        {
            ThickFree = status.ThickFree is { } thick ? Math.Max(0, thick - pending) : null,
            Wiping = status.Wiping,
        };
    }

    /// <summary>Refuses what does not fit.</summary>
    /// <param name="size">Size of the new volume, or by how much one grows.</param>
    /// <param name="physical">Bytes that it takes at once.</param>
    /// <param name="pool">Name of the pool.</param>
    /// <exception cref="BlockStorageException">InsufficientSpace, with the figures.</exception>
    public void Require(long size, long physical, string pool)
    {
        if (physical > PhysicalFree)
        {
            throw new BlockStorageException(BlockErrors.InsufficientSpace,
                $"Pool '{pool}' has {ByteSize.Format(PhysicalFree)} free; {ByteSize.Format(physical)} are needed at once." +
                (Wiping > 0 ? $" {ByteSize.Format(Wiping)} of removed volumes are being wiped and come back then." : ""), pool,
                $"Get-BlockVolumeSupportedSize -Pool '{pool}'");
        }
        if (size > ThinAvailable)
        {
            throw new BlockStorageException(BlockErrors.InsufficientSpace,
                $"Pool '{pool}' may provision {ByteSize.Format(Limit)} and has provisioned {ByteSize.Format(Provisioned)}; {ByteSize.Format(size)} more do not fit.",
                pool, $"Get-BlockVolumeSupportedSize -Pool '{pool}'");
        }
    }

    private static long Saturated(long sum, long more) => more > long.MaxValue - sum ? long.MaxValue : sum + more;
}
