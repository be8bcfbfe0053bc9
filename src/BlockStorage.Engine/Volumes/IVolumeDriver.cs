using System.Text.Json.Serialization;
using BlockStorage.Services;

namespace BlockStorage.Engine.Volumes;

/// <summary>One kind of backend that pools can be of. One folder and one line in DriverRegistry make a new one.</summary>
internal interface IVolumeDriverFactory
{
    /// <summary>Name that users type, such as File.</summary>
    string Name { get; }

    /// <summary>When New-BlockPool chooses it, as words for people.</summary>
    string DefaultFor { get; }

    /// <summary>Whether it works on this machine, and why not.</summary>
    Task<DriverProbe> ProbeAsync(CancellationToken cancel);

    /// <summary>What the machine's own settings should be so that nothing reaches into volumes past us; no part of being usable.</summary>
    /// <param name="connected">Devices that volumes are connected as.</param>
    /// <param name="cancel">Stops it.</param>
    Task<IReadOnlyList<BlockServerCheck>> AdviseAsync(IReadOnlyList<string> connected, CancellationToken cancel) =>
        Task.FromResult<IReadOnlyList<BlockServerCheck>>([]);

    /// <summary>Checks what a user asked for before anything is written; changes nothing.</summary>
    /// <returns>The spec with defaults filled in (an absolute path, a rounded size).</returns>
    /// <exception cref="BlockStorageException">InvalidPath, InvalidSize, InvalidArgument, PrivilegeRequired.</exception>
    PoolSpec Check(PoolSpec spec);

    /// <summary>Refuses what pools of this kind cannot be or do: RAID, waiting when full, a pace of overwriting.</summary>
    /// <exception cref="BlockStorageException">NotSupported.</exception>
    void CheckChoices(PoolSpec spec)
    {
        var lacks = spec.Raid.Length > 0 ? "have no RAID of their own"
            : spec.Queues ? "have no thin pool that could make writers wait"
            : spec.WipeRate > 0 ? "overwrite nothing when a volume is removed" : null;
        if (lacks is not null)
            throw new BlockStorageException(BlockErrors.NotSupported, $"Pools of driver {Name} {lacks}.", spec.Name,
                $"New-BlockPool '{spec.Name}' -Disk /dev/DISK, /dev/DISK");
    }

    /// <summary>The pool that is at a path, by what lies there; null where there is none. Changes nothing.</summary>
    PoolSpec? Identify(string path);

    /// <summary>The driver for one pool. Cheap; touches nothing.</summary>
    IVolumeDriver Open(PoolSpec spec);
}

/// <summary>
/// One pool. Knows nothing of the catalogue. Every method is idempotent, safe against a kill at any instant, and
/// leaves an object either absent or complete; what it left half-made its own DeleteAsync removes.
/// </summary>
internal interface IVolumeDriver
{
    /// <summary>What the pool can do: thin, thick, snapshot, reflink, resize, revert, clone.</summary>
    DriverCapabilities Capabilities { get; }

    /// <summary>Makes the pool itself (folder, image, file system, mount, sidecar).</summary>
    Task CreatePoolAsync(IWorkSink sink, CancellationToken cancel);

    /// <summary>Removes the pool itself. Refuses while it holds volumes. Succeeds when it is gone.</summary>
    Task DestroyPoolAsync(IWorkSink sink, CancellationToken cancel);

    /// <summary>Makes the pool usable (mounts it). Nothing to do when it is.</summary>
    /// <exception cref="BlockStorageException">PoolUnavailable.</exception>
    Task OpenPoolAsync(IWorkSink sink, CancellationToken cancel);

    /// <summary>Figures and health; never throws for a pool that is gone or not mounted, says so instead. Starts nothing.</summary>
    Task<PoolStatus> GetPoolAsync(CancellationToken cancel);

    /// <summary>Looks at the pool more closely than figures tell; may take long.</summary>
    /// <returns>ok, or what is wrong and what to do.</returns>
    Task<string> CheckPoolAsync(IWorkSink sink, CancellationToken cancel) => Task.FromResult("ok");

    /// <summary>Writes the pool's new identity (name, description) beside the data.</summary>
    Task UpdatePoolAsync(PoolSpec spec, CancellationToken cancel);

    /// <summary>Makes a volume: sparse when thin, all space reserved when thick. New space reads as zeros.</summary>
    /// <exception cref="BlockStorageException">InsufficientSpace before anything is written; IoFailed.</exception>
    Task CreateAsync(ObjectIdentity identity, bool thick, IWorkSink sink, CancellationToken cancel);

    /// <summary>Makes a volume with the data of a snapshot or volume of this pool; identity.Size may be larger.</summary>
    Task CreateFromAsync(ObjectIdentity identity, string sourceId, bool thick, IWorkSink sink, CancellationToken cancel);

    /// <summary>
    /// Removes a volume or snapshot and everything half-made of that id. Succeeds when absent. Bytes that must be overwritten may
    /// be so later: until then they are a partial object that is wiping.
    /// </summary>
    Task DeleteAsync(string id, CancellationToken cancel);

    /// <summary>
    /// Removes what a killed operation left beside an object, such as the copy of an unfinished revert; the object
    /// itself stays as it is. Recovery calls it for what an interrupted operation touched.
    /// </summary>
    Task CleanAsync(string id, CancellationToken cancel);

    /// <summary>Makes a volume larger. Succeeds when it already has the size.</summary>
    Task ResizeAsync(string id, long size, bool thick, CancellationToken cancel);

    /// <summary>
    /// Makes a volume smaller when that loses nothing: it has no snapshot, nobody has it open, and it reads as zeros behind the new
    /// end, all proven by the driver. Succeeds when it has the size.
    /// </summary>
    /// <exception cref="BlockStorageException">ShrinkNotAllowed, SnapshotDependency, DeviceInUse; nothing is changed.</exception>
    Task ShrinkAsync(string id, long size, IWorkSink sink, CancellationToken cancel);

    /// <summary>Makes a snapshot; identity.OriginId names the volume.</summary>
    Task CreateSnapshotAsync(ObjectIdentity identity, IWorkSink sink, CancellationToken cancel);

    /// <summary>Sets the volume back to the snapshot, atomically: after a kill the data is all old or all new.</summary>
    Task RevertAsync(string volumeId, string snapshotId, IWorkSink sink, CancellationToken cancel);

    /// <summary>
    /// Everything in the pool in one go: volumes, snapshots, half-made things, foreign files. Cheap for ten thousand
    /// objects: Identity is null; a missing sidecar still shows in Health.
    /// </summary>
    Task<IReadOnlyList<BackendObject>> ListAsync(CancellationToken cancel);

    /// <summary>One object, or null when it is absent or half-made.</summary>
    Task<BackendObject?> FindAsync(string id, CancellationToken cancel);

    /// <summary>What the sidecar of an object says; for rebuilding the catalogue.</summary>
    /// <exception cref="BlockStorageException">VolumeDamaged: missing, damaged or of a newer version.</exception>
    Task<ObjectIdentity> ReadIdentityAsync(string id, CancellationToken cancel);

    /// <summary>Writes a new identity (name, tags ...) beside the data. The data and its path do not change.</summary>
    Task UpdateIdentityAsync(ObjectIdentity identity, CancellationToken cancel);

    /// <summary>Makes the data reachable on this machine and gives the path of the file or device.</summary>
    Task<string> ActivateAsync(string id, CancellationToken cancel);

    /// <summary>Bytes a full copy of the object would take in the pool; 0 where extents are shared.</summary>
    Task<long> GetCopyCostAsync(string id, CancellationToken cancel);
}

/// <summary>A pool as drivers see it.</summary>
/// <param name="Id">UUID.</param>
/// <param name="Name">Name.</param>
/// <param name="Driver">Driver.</param>
/// <param name="Path">Folder or volume group.</param>
/// <param name="Size">Bytes of an own image or thin pool; null where the pool takes what there is.</param>
/// <param name="Description">Free text.</param>
/// <param name="CreatedAt">UTC.</param>
internal sealed record PoolSpec(
    string Id, string Name, string Driver, string Path, long? Size, string Description, DateTime CreatedAt)
{
    /// <summary>Disks that the pool is made of; used while it is made and no part of what it says of itself.</summary>
    [JsonIgnore]
    public IReadOnlyList<string> Disks { get; init; } = [];

    /// <summary>Level of the RAID that volumes lie on, such as raid1; empty for none.</summary>
    [JsonIgnore]
    public string Raid { get; init; } = "";

    /// <summary>Writers wait when the thin pool is full, as long as the kernel lets them.</summary>
    [JsonIgnore]
    public bool Queues { get; init; }

    /// <summary>Bytes a second with which removed volumes are overwritten at most; 0 for no bound.</summary>
    [JsonIgnore]
    public long WipeRate { get; init; }
}

/// <summary>Figures of a pool, in bytes.</summary>
/// <param name="Usable">Volumes in it can be reached now.</param>
/// <param name="Health">ok, or what is wrong.</param>
/// <param name="Total">Physical size.</param>
/// <param name="Free">Physical free space that we may use.</param>
/// <param name="SharesExtents">Snapshots and clones share extents and take constant time.</param>
/// <param name="ChangeNumber">Changes whenever an object appears or goes.</param>
/// <param name="ThickFree">Space for thick volumes, where it is less than Free.</param>
internal sealed record PoolStatus(
    bool Usable, string Health, long Total, long Free, bool SharesExtents, string ChangeNumber, long? ThickFree = null)
{
    /// <summary>Sizes of volumes are multiples of this many bytes, such as an extent.</summary>
    public long Granularity { get; init; } = 1 << 20;

    /// <summary>Part of a thin pool's data in use, 0 to 100; null where there is none.</summary>
    public double? DataPercent { get; init; }

    /// <summary>Part of a thin pool's metadata in use, 0 to 100; null where there is none.</summary>
    public double? MetadataPercent { get; init; }

    /// <summary>It works, and something that should protect it does not; making the pool once more puts it right.</summary>
    public bool IsDegraded { get; init; }

    /// <summary>What happens when it fills up, for warnings.</summary>
    public string Outlook { get; init; } = "";

    /// <summary>Bytes of removed volumes that come back when they are overwritten.</summary>
    public long Wiping { get; init; }
}

/// <summary>What of an object travels with the data.</summary>
/// <param name="Kind">Volume or Snapshot.</param>
/// <param name="Id">UUID.</param>
/// <param name="Name">Name.</param>
/// <param name="Size">Bytes.</param>
/// <param name="OriginId">Volume that a snapshot was taken of; empty for volumes.</param>
/// <param name="Description">Free text.</param>
/// <param name="Tags">Labels.</param>
/// <param name="ReadOnly">Volume flag.</param>
/// <param name="Provisioning">thin or thick.</param>
/// <param name="CreatedAt">UTC.</param>
/// <param name="ExpiresAt">UTC, of snapshots.</param>
internal sealed record ObjectIdentity(
    BackendKind Kind, string Id, string Name, long Size, string OriginId, string Description, IReadOnlyList<string> Tags,
    bool ReadOnly, string Provisioning, DateTime CreatedAt, DateTime? ExpiresAt);

/// <summary>What a pool can hold.</summary>
internal enum BackendKind
{
    /// <summary>A volume of ours.</summary>
    Volume,
    /// <summary>A snapshot of ours.</summary>
    Snapshot,
    /// <summary>Something of ours that a crash left half-made; only DeleteAsync touches it.</summary>
    Partial,
    /// <summary>Something that is not ours; never touched.</summary>
    Foreign,
}

/// <summary>One thing found in a pool.</summary>
/// <param name="Id">UUID; the file name for foreign things.</param>
/// <param name="Kind">What it is.</param>
/// <param name="Path">Where it is.</param>
/// <param name="Size">Bytes that readers see.</param>
/// <param name="Used">Bytes allocated; null where unknown.</param>
/// <param name="Health">ok, or what is wrong, such as a damaged sidecar.</param>
/// <param name="Identity">What the sidecar says; null where it is missing, damaged or not read.</param>
internal sealed record BackendObject(
    string Id, BackendKind Kind, string Path, long Size, long? Used, string Health, ObjectIdentity? Identity)
{
    /// <summary>Health of a partial one that is gone but for its bytes, which are being overwritten.</summary>
    public const string Wiping = "wiping";
}
