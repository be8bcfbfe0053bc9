using BlockStorage.Engine.Catalog;

namespace BlockStorage.Engine.Tests.Catalog;

/// <summary>Records for tests: valid, each with an id of its own.</summary>
internal static class Sample
{
    public static DateTime Moment { get; } = new(2026, 11, 25, 12, 34, 56, 789, DateTimeKind.Utc);

    public static PoolRecord Pool(string name = "p") => new()
    {
        Id = Guid.NewGuid().ToString(),
        Name = name,
        Driver = "File",
        Path = $"/srv/{Guid.NewGuid():N}",
        Size = 1L << 40,
        OversubscriptionRatio = 2.5,
        ReservedPercent = 7,
        WarningPercent = 91,
        Provisioning = "thick",
        Description = "Größe; \"quoted\" 'x'",
        State = BlockStates.Enabled,
        CreatedAt = Moment,
    };

    public static VolumeRecord Volume(string name = "v", string poolId = "pool-1") => new()
    {
        Id = Guid.NewGuid().ToString(),
        Name = name,
        PoolId = poolId,
        Size = 64 << 20,
        Provisioning = "thin",
        ReadOnly = true,
        Description = "one\ntwo",
        Tags = ["a", "b,c", "\""],
        Pending = 5,
        State = BlockStates.Available,
        LastError = "none",
        OperationId = "op",
        CreatedAt = Moment,
    };

    public static SnapshotRecord Snapshot(string name = "s", string volumeId = "volume-1", string poolId = "pool-1") => new()
    {
        Id = Guid.NewGuid().ToString(),
        Name = name,
        VolumeId = volumeId,
        PoolId = poolId,
        Size = 64 << 20,
        Tags = ["daily"],
        ExpiresAt = Moment.AddDays(1),
        Pending = 3,
        State = BlockStates.Available,
        CreatedAt = Moment,
    };

    public static TargetRecord Target(string name = "iqn.2026-01.org.example:t") => new()
    {
        Id = Guid.NewGuid().ToString(),
        Name = name,
        Driver = "Tgt",
        Portals = ["127.0.0.1:3260", "[::1]:3260"],
        VolumeId = "volume-1",
        Lun = 1,
        ReadOnly = true,
        Serial = "0123",
        Automatic = true,
        MutualSecretId = "m",
        State = BlockStates.Available,
        CreatedAt = Moment,
    };

    public static GrantRecord Grant(string targetId = "target-1", string initiator = "iqn.2026-01.org.example:host") => new()
    {
        Id = Guid.NewGuid().ToString(),
        TargetId = targetId,
        Initiator = initiator,
        UserName = "user",
        CreatedAt = Moment,
    };

    public static ConnectionRecord Connection() => new()
    {
        Id = Guid.NewGuid().ToString(),
        Protocol = "iscsi",
        Connector = "Userspace",
        VolumeId = "volume-1",
        SnapshotId = "",
        Iqn = "iqn.2026-01.org.example:t",
        Portal = "127.0.0.1:3260",
        Lun = 1,
        Serial = "0123",
        Size = 64 << 20,
        ReadOnly = true,
        DevicePath = "/dev/loop7",
        Hctl = "0:0:0:1",
        State = BlockStates.Attached,
        CreatedAt = Moment,
    };

    public static OperationRecord Operation(string state = BlockStates.Running, DateTime? ended = null) => new()
    {
        Id = Guid.NewGuid().ToString(),
        Kind = "CreateVolume",
        State = state,
        Target = "v",
        Volume = "v",
        Body = "{}",
        Steps = ["one", "two"],
        Done = 1,
        Undoing = true,
        StopRequested = true,
        Error = "e",
        ProcessId = 42,
        UserName = "root",
        StartedAt = Moment,
        EndedAt = ended,
    };

    public static EventRecord Event(DateTime time) => new()
    {
        Id = Guid.NewGuid().ToString(),
        Time = time,
        Level = "Information",
        Message = "m",
        Volume = "v",
        OperationId = "op",
        UserName = "root",
    };
}
