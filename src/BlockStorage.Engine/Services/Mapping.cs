using BlockStorage.Engine.Catalog;
using BlockStorage.Engine.Connectors;
using BlockStorage.Engine.Operations;
using BlockStorage.Engine.Scheduling;
using BlockStorage.Engine.Targets;
using BlockStorage.Engine.Volumes;

namespace BlockStorage.Engine.Services;

/// <summary>From records and what was probed to what users hold.</summary>
internal static class Mapping
{
    public static BlockPool ToModel(
        PoolRecord pool, PoolStatus status, DriverCapabilities can, IReadOnlyList<VolumeRecord> volumes,
        IReadOnlyList<SnapshotRecord> snapshots, string server)
    {
        var capacity = PoolCapacity.Of(pool, status, volumes, snapshots);
        var used = Math.Max(0, status.Total - status.Free);
        return new BlockPool
        {
            Name = pool.Name,
            Id = pool.Id,
            Server = server,
            Driver = pool.Driver,
            Path = pool.Path,
            State = status.Usable ? pool.State : BlockStates.Offline,
            Health = status.Health != "ok" ? status.Health
                : pool.LastError.Length > 0 ? pool.LastError
                : PoolWarning.Of(pool, status) ?? "ok",
            TotalSize = status.Total,
            UsedSize = used,
            FreeSize = status.Free,
            UsedPercent = PoolWarning.UsedPercent(status),
            DataPercent = status.DataPercent is { } data ? Math.Round(data, 1) : null,
            MetadataPercent = status.MetadataPercent is { } metadata ? Math.Round(metadata, 1) : null,
            ProvisionedSize = capacity.Provisioned,
            AvailableSize = pool.Provisioning == "thick" ? capacity.ThickAvailable : capacity.ThinAvailable,
            OversubscriptionRatio = pool.OversubscriptionRatio,
            ReservedPercent = pool.ReservedPercent,
            WarningPercent = pool.WarningPercent,
            Provisioning = pool.Provisioning,
            Raid = pool.Raid,
            WipeRate = pool.WipeRate,
            WipingSize = status.Wiping,
            WhenFull = can.Queues ? pool.Queues ? PoolChoices.Queue : PoolChoices.Error : "",
            SnapshotMethod = status.Usable ? can.SnapshotMethod : "",
            VolumeCount = volumes.Count,
            SnapshotCount = snapshots.Count,
            Description = pool.Description,
            CreatedAt = pool.CreatedAt.ToLocalTime(),
        };
    }

    public static BlockVolume ToModel(
        VolumeRecord volume, string pool, BackendObject? found, string health, int snapshots, TargetRecord? target,
        ConnectionRecord? connection, string server) => new()
        {
            Name = volume.Name,
            Id = volume.Id,
            Server = server,
            Pool = pool,
            State = volume.State,
            Size = volume.Size,
            UsedSize = found?.Used,
            UsedPercent = volume.Provisioning == "thin" && found?.Used is long used ? Math.Round(100.0 * used / volume.Size, 1) : null,
            Provisioning = volume.Provisioning,
            ReadOnly = volume.ReadOnly,
            Description = volume.Description,
            Tag = [.. volume.Tags],
            SnapshotCount = snapshots,
            Target = target?.Name ?? "",
            DevicePath = connection?.DevicePath ?? "",
            Path = found?.Path ?? "",
            Serial = ContextExtensions.ToSerial(volume.Id),
            Health = health,
            LastError = volume.LastError,
            OperationId = volume.OperationId,
            CreatedAt = volume.CreatedAt.ToLocalTime(),
        };

    public static BlockSnapshot ToModel(
        SnapshotRecord snapshot, string volume, string pool, BackendObject? found, string health, TargetRecord? target,
        ConnectionRecord? connection, string server) => new()
        {
            Name = snapshot.Name,
            Id = snapshot.Id,
            Server = server,
            Volume = volume,
            VolumeId = snapshot.VolumeId,
            Pool = pool,
            State = snapshot.State,
            Size = snapshot.Size,
            UsedSize = found?.Used,
            Description = snapshot.Description,
            Tag = [.. snapshot.Tags],
            ExpiresAt = snapshot.ExpiresAt?.ToLocalTime(),
            Target = target?.Name ?? "",
            DevicePath = connection?.DevicePath ?? "",
            Path = found?.Path ?? "",
            Serial = ContextExtensions.ToSerial(snapshot.Id),
            Health = health,
            LastError = snapshot.LastError,
            OperationId = snapshot.OperationId,
            CreatedAt = snapshot.CreatedAt.ToLocalTime(),
        };

    public static IscsiTarget ToModel(
        TargetRecord target, string volume, string snapshot, IReadOnlyList<GrantRecord> grants, bool needsCredential,
        TargetReport report, string server)
    {
        var live = report.Targets.FirstOrDefault(candidate => candidate.Iqn == target.Name);
        var lun = live?.Luns.FirstOrDefault(candidate => candidate.Number == target.Lun);
        var served = live is not null && (target.Lun is null || lun is { Online: true });
        return new IscsiTarget
        {
            Name = target.Name,
            Id = target.Id,
            Server = server,
            Iqn = target.Name,
            Volume = volume,
            VolumeId = target.VolumeId,
            Snapshot = snapshot,
            SnapshotId = target.SnapshotId,
            Lun = target.Lun,
            Size = lun?.Size,
            Portal = [.. target.Portals],
            Driver = target.Driver,
            State = served ? BlockStates.Online : BlockStates.Offline,
            Initiator = grants.Select(grant => grant.Initiator).ToArray(),
            Chap = grants.Any(grant => grant.UserName.Length > 0),
            MutualChap = target.MutualSecretId.Length > 0,
            ReadOnly = target.ReadOnly,
            Serial = target.Serial,
            SessionCount = live?.Sessions.Count,
            Health = needsCredential ? "NeedsCredential"
                : served ? "ok"
                : report.Running ? "the target or its logical unit is missing; Repair-BlockStorage brings it back"
                : "the target service does not run; Repair-BlockStorage starts it",
            OperationId = target.OperationId,
            CreatedAt = target.CreatedAt.ToLocalTime(),
        };
    }

    public static BlockConnection ToModel(ConnectionRecord connection, View view, LiveConnection? live, string server)
    {
        var attached = connection.State == BlockStates.Attached;
        var alive = live is { Alive: true };
        return new BlockConnection
        {
            Name = view.NameOf(connection),
            Id = connection.Id,
            Server = server,
            Volume = view.VolumeName(connection.VolumeId),
            VolumeId = connection.VolumeId,
            Snapshot = view.SnapshotName(connection.SnapshotId),
            SnapshotId = connection.SnapshotId,
            Protocol = connection.Protocol,
            Connector = connection.Connector,
            // After a boot it may have another name.
            DevicePath = live is { DevicePath.Length: > 0 } ? live.DevicePath : connection.DevicePath,
            State = attached && !alive ? BlockStates.Lost : connection.State,
            Size = live is { Size: > 0 } ? live.Size : connection.Size,
            ReadOnly = connection.ReadOnly,
            Iqn = connection.Iqn,
            Portal = connection.Portal,
            Lun = connection.Lun,
            Serial = connection.Serial,
            Hctl = live is { Hctl.Length: > 0 } ? live.Hctl : connection.Hctl,
            ByPath = live?.Way.ByPath ?? "",
            Persistent = live?.Way.Persistent ?? false,
            Multipath = live?.Way.Multipath ?? false,
            PathCount = live?.Way.PathCount ?? 0,
            PathsUp = live?.Way.PathsUp ?? 0,
            MountPoint = live is null ? [] : [.. live.MountPoints],
            Health = Health(attached, live),
            CreatedAt = connection.CreatedAt.ToLocalTime(),
        };
    }

    private static string Health(bool attached, LiveConnection? live) => live switch
    {
        _ when !attached => "ok",
        null => "nothing of it is left on this machine",
        { Alive: false } => live.Reason,
        { Way: var way } when way.PathsUp < way.PathCount => $"degraded: {way.PathsUp} of {way.PathCount} paths carry data. {live.Reason}".TrimEnd(),
        _ => "ok",
    };

    public static BlockOperation ToModel(OperationRecord entry, string server) => new()
    {
        Name = entry.Kind,
        Id = entry.Id,
        Server = server,
        Kind = entry.Kind,
        State = entry.State,
        Target = entry.Target,
        Volume = entry.Volume,
        Step = entry.Steps.Select((text, index) => new BlockOperationStep { Name = text, State = StepState(entry, index) }).ToArray(),
        PercentComplete = entry.State == BlockStates.Succeeded || entry.Steps.Count == 0 ? 100 : 100 * entry.Done / entry.Steps.Count,
        Error = entry.Error,
        ProcessId = entry.ProcessId,
        StartedAt = entry.StartedAt.ToLocalTime(),
        EndedAt = entry.EndedAt?.ToLocalTime(),
    };

    private static string StepState(OperationRecord entry, int index) => entry.State switch
    {
        BlockStates.Succeeded => "done",
        BlockStates.Failed => index <= entry.Done ? "undone" : "waiting",
        _ => index < entry.Done ? "done" : index == entry.Done ? "running" : "waiting",
    };
}
