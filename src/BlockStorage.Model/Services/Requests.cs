namespace BlockStorage.Services;

/// <summary>Which objects are meant. Empty lists mean all.</summary>
/// <param name="Name">Names; wildcards * and ? and [] work.</param>
/// <param name="Id">Ids.</param>
public record ObjectQuery(IReadOnlyList<string>? Name = null, IReadOnlyList<string>? Id = null);

/// <summary>Which volumes are meant.</summary>
public sealed record VolumeQuery(
    IReadOnlyList<string>? Name = null, IReadOnlyList<string>? Id = null, IReadOnlyList<string>? Pool = null,
    IReadOnlyList<string>? State = null, IReadOnlyList<string>? Tag = null) : ObjectQuery(Name, Id);

/// <summary>Which snapshots are meant.</summary>
public sealed record SnapshotQuery(
    IReadOnlyList<string>? Name = null, IReadOnlyList<string>? Id = null, IReadOnlyList<string>? Volume = null,
    IReadOnlyList<string>? Tag = null) : ObjectQuery(Name, Id);

/// <summary>Which targets are meant.</summary>
public sealed record TargetQuery(
    IReadOnlyList<string>? Name = null, IReadOnlyList<string>? Id = null, IReadOnlyList<string>? Volume = null)
    : ObjectQuery(Name, Id);

/// <summary>Which connections are meant.</summary>
public sealed record ConnectionQuery(
    IReadOnlyList<string>? Volume = null, IReadOnlyList<string>? Id = null, IReadOnlyList<string>? DevicePath = null,
    IReadOnlyList<string>? Iqn = null);

/// <summary>Which operations are meant.</summary>
public sealed record OperationQuery(
    IReadOnlyList<string>? Id = null, IReadOnlyList<string>? State = null, IReadOnlyList<string>? Volume = null,
    DateTime? Since = null);

/// <summary>Which events are meant.</summary>
public sealed record EventQuery(
    IReadOnlyList<string>? Level = null, IReadOnlyList<string>? Volume = null, DateTime? Since = null);

/// <summary>
/// A pool to make. Disk names disks that a driver of disks makes it of; Path may be empty then. Raid is raid1, raid5, raid6, raid10 or
/// the number alone; WhenFull is error or queue. WipeRate is bytes a second, 0 for no bound.
/// </summary>
public sealed record NewPoolRequest(
    string Name, string Driver, string Path, long? Size = null, double? OversubscriptionRatio = null,
    int? ReservedPercent = null, int? WarningPercent = null, string? Provisioning = null, string? Description = null,
    bool IfNotExists = false, IReadOnlyList<string>? Disk = null, string? Raid = null, string? WhenFull = null, long? WipeRate = null);

/// <summary>What to change of a pool; null leaves it as it is.</summary>
public sealed record SetPoolRequest(
    double? OversubscriptionRatio = null, int? ReservedPercent = null, int? WarningPercent = null,
    string? Provisioning = null, string? Description = null, string? WhenFull = null, long? WipeRate = null);

/// <summary>A volume to make; exactly one of Size, UseMaximumSize, FromSnapshot and FromVolume, Size also beside From.</summary>
public sealed record NewVolumeRequest(
    string Name, long? Size = null, bool UseMaximumSize = false, string? FromSnapshot = null, string? FromVolume = null,
    string? Pool = null, string? Provisioning = null, IReadOnlyList<string>? Tag = null, string? Description = null,
    bool IfNotExists = false);

/// <summary>What to change of a volume; null leaves it as it is.</summary>
public sealed record SetVolumeRequest(string? Description = null, IReadOnlyList<string>? Tag = null, bool? ReadOnly = null);

/// <summary>The size a volume is to get; exactly one of the first three.</summary>
/// <param name="Size">The size itself.</param>
/// <param name="Increase">How much larger.</param>
/// <param name="UseMaximumSize">As large as the pool allows.</param>
/// <param name="AllowShrink">It may become smaller, where it is proven that nothing is lost.</param>
public sealed record ResizeVolumeRequest(long? Size = null, long? Increase = null, bool UseMaximumSize = false, bool AllowShrink = false);

/// <summary>A snapshot to take. Name may hold {Volume} and {Timestamp}.</summary>
public sealed record NewSnapshotRequest(
    string VolumeId, string? Name = null, IReadOnlyList<string>? Tag = null, string? Description = null,
    DateTime? ExpiresAt = null, bool IfNotExists = false);

/// <summary>What to change of a snapshot; null leaves it as it is.</summary>
public sealed record SetSnapshotRequest(
    string? Description = null, IReadOnlyList<string>? Tag = null, DateTime? ExpiresAt = null, bool ClearExpiry = false);

/// <summary>A CHAP user name and secret. ToString never shows the secret.</summary>
public sealed record ChapCredential(string UserName, string Secret)
{
    /// <summary>The user name.</summary>
    public override string ToString() => $"{UserName} (secret not shown)";
}

/// <summary>A target to make, without anything published on it.</summary>
public sealed record NewTargetRequest(
    string? Iqn = null, ChapCredential? Chap = null, ChapCredential? MutualChap = null, bool NoChap = false,
    IReadOnlyList<string>? Initiator = null, string? Driver = null, bool IfNotExists = false, IReadOnlyList<string>? Portal = null);

/// <summary>What to change of a target; null leaves it as it is.</summary>
public sealed record SetTargetRequest(ChapCredential? Chap = null, ChapCredential? MutualChap = null, bool ClearMutualChap = false);

/// <summary>What to publish; exactly one of VolumeId and SnapshotId.</summary>
public sealed record PublishRequest(
    string? VolumeId = null, string? SnapshotId = null, string? TargetIqn = null, int? Lun = null,
    IReadOnlyList<string>? Initiator = null, ChapCredential? Credential = null, bool NoChap = false,
    bool ReadOnly = false, string? Driver = null, IReadOnlyList<string>? Portal = null);

/// <summary>What to connect; exactly one of VolumeId, SnapshotId, TargetIqn (ours) and Iqn with Portal (any).</summary>
public sealed record ConnectRequest(
    string? VolumeId = null, string? SnapshotId = null, string? Iqn = null, string? Address = null, int? Port = null,
    int? Lun = null, string? Protocol = null, ChapCredential? Credential = null, bool ReadOnly = false,
    TimeSpan? Timeout = null, bool Persistent = false, bool Multipath = false);

/// <summary>A portal to ask for its targets.</summary>
public sealed record DiscoveryRequest(string Address, int? Port = null, ChapCredential? Credential = null, TimeSpan? Timeout = null);

/// <summary>What to change of the configuration; null leaves it as it is.</summary>
public sealed record SetConfigurationRequest(
    string? PortalAddress = null, int? PortalPort = null, string? IqnPrefix = null, string? DefaultPool = null,
    int? LockTimeoutSeconds = null, int? HistoryDays = null);
