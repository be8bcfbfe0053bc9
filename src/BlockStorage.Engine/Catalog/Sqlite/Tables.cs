namespace BlockStorage.Engine.Catalog.Sqlite;

/// <summary>All tables. A new kind of record is one entry here and one CREATE in <see cref="Schema"/>.</summary>
internal static class Tables
{
    private static readonly Table<PoolRecord> Pools = new("pool",
        [
            ("name", r => r.Name), ("driver", r => r.Driver), ("path", r => r.Path), ("size", r => r.Size),
            ("ratio", r => r.OversubscriptionRatio), ("reserved_percent", r => r.ReservedPercent),
            ("warning_percent", r => r.WarningPercent), ("provisioning", r => r.Provisioning),
            ("description", r => r.Description), ("state", r => r.State), ("last_error", r => r.LastError),
            ("operation_id", r => r.OperationId), ("created_at", r => r.CreatedAt),
        ],
        row => new PoolRecord
        {
            Id = row.Text(),
            Version = row.Number(),
            Name = row.Text(),
            Driver = row.Text(),
            Path = row.Text(),
            Size = row.NumberOrNull(),
            OversubscriptionRatio = row.Real(),
            ReservedPercent = (int)row.Number(),
            WarningPercent = (int)row.Number(),
            Provisioning = row.Text(),
            Description = row.Text(),
            State = row.Text(),
            LastError = row.Text(),
            OperationId = row.Text(),
            CreatedAt = row.Time(),
        });

    private static readonly Table<VolumeRecord> Volumes = new("volume",
        [
            ("name", r => r.Name), ("pool_id", r => r.PoolId), ("size", r => r.Size), ("provisioning", r => r.Provisioning),
            ("read_only", r => r.ReadOnly), ("description", r => r.Description), ("tags", r => r.Tags),
            ("pending", r => r.Pending), ("state", r => r.State), ("last_error", r => r.LastError),
            ("operation_id", r => r.OperationId), ("created_at", r => r.CreatedAt),
        ],
        row => new VolumeRecord
        {
            Id = row.Text(),
            Version = row.Number(),
            Name = row.Text(),
            PoolId = row.Text(),
            Size = row.Number(),
            Provisioning = row.Text(),
            ReadOnly = row.Flag(),
            Description = row.Text(),
            Tags = row.Texts(),
            Pending = row.Number(),
            State = row.Text(),
            LastError = row.Text(),
            OperationId = row.Text(),
            CreatedAt = row.Time(),
        });

    private static readonly Table<SnapshotRecord> Snapshots = new("snapshot",
        [
            ("name", r => r.Name), ("volume_id", r => r.VolumeId), ("pool_id", r => r.PoolId), ("size", r => r.Size),
            ("description", r => r.Description), ("tags", r => r.Tags), ("expires_at", r => r.ExpiresAt),
            ("pending", r => r.Pending), ("state", r => r.State), ("last_error", r => r.LastError),
            ("operation_id", r => r.OperationId), ("created_at", r => r.CreatedAt),
        ],
        row => new SnapshotRecord
        {
            Id = row.Text(),
            Version = row.Number(),
            Name = row.Text(),
            VolumeId = row.Text(),
            PoolId = row.Text(),
            Size = row.Number(),
            Description = row.Text(),
            Tags = row.Texts(),
            ExpiresAt = row.TimeOrNull(),
            Pending = row.Number(),
            State = row.Text(),
            LastError = row.Text(),
            OperationId = row.Text(),
            CreatedAt = row.Time(),
        });

    private static readonly Table<TargetRecord> Targets = new("target",
        [
            ("name", r => r.Name), ("driver", r => r.Driver), ("portals", r => r.Portals), ("volume_id", r => r.VolumeId),
            ("snapshot_id", r => r.SnapshotId), ("lun", r => r.Lun), ("read_only", r => r.ReadOnly), ("serial", r => r.Serial),
            ("automatic", r => r.Automatic), ("mutual_secret_id", r => r.MutualSecretId), ("state", r => r.State),
            ("last_error", r => r.LastError), ("operation_id", r => r.OperationId), ("created_at", r => r.CreatedAt),
        ],
        row => new TargetRecord
        {
            Id = row.Text(),
            Version = row.Number(),
            Name = row.Text(),
            Driver = row.Text(),
            Portals = row.Texts(),
            VolumeId = row.Text(),
            SnapshotId = row.Text(),
            Lun = (int?)row.NumberOrNull(),
            ReadOnly = row.Flag(),
            Serial = row.Text(),
            Automatic = row.Flag(),
            MutualSecretId = row.Text(),
            State = row.Text(),
            LastError = row.Text(),
            OperationId = row.Text(),
            CreatedAt = row.Time(),
        });

    private static readonly Table<GrantRecord> Grants = new("access",
        [
            ("target_id", r => r.TargetId), ("initiator", r => r.Initiator), ("user_name", r => r.UserName),
            ("created_at", r => r.CreatedAt),
        ],
        row => new GrantRecord
        {
            Id = row.Text(),
            Version = row.Number(),
            TargetId = row.Text(),
            Initiator = row.Text(),
            UserName = row.Text(),
            CreatedAt = row.Time(),
        });

    private static readonly Table<ConnectionRecord> Connections = new("connection",
        [
            ("protocol", r => r.Protocol), ("connector", r => r.Connector), ("volume_id", r => r.VolumeId),
            ("snapshot_id", r => r.SnapshotId), ("iqn", r => r.Iqn), ("portal", r => r.Portal), ("lun", r => r.Lun),
            ("serial", r => r.Serial), ("size", r => r.Size), ("read_only", r => r.ReadOnly), ("device_path", r => r.DevicePath),
            ("hctl", r => r.Hctl), ("state", r => r.State), ("last_error", r => r.LastError),
            ("operation_id", r => r.OperationId), ("created_at", r => r.CreatedAt),
        ],
        row => new ConnectionRecord
        {
            Id = row.Text(),
            Version = row.Number(),
            Protocol = row.Text(),
            Connector = row.Text(),
            VolumeId = row.Text(),
            SnapshotId = row.Text(),
            Iqn = row.Text(),
            Portal = row.Text(),
            Lun = (int?)row.NumberOrNull(),
            Serial = row.Text(),
            Size = row.Number(),
            ReadOnly = row.Flag(),
            DevicePath = row.Text(),
            Hctl = row.Text(),
            State = row.Text(),
            LastError = row.Text(),
            OperationId = row.Text(),
            CreatedAt = row.Time(),
        });

    private static readonly Table<OperationRecord> Operations = new("operation",
        [
            ("kind", r => r.Kind), ("state", r => r.State), ("target", r => r.Target), ("volume", r => r.Volume),
            ("body", r => r.Body), ("steps", r => r.Steps), ("done", r => r.Done), ("undoing", r => r.Undoing),
            ("stop_requested", r => r.StopRequested), ("error", r => r.Error), ("process_id", r => r.ProcessId),
            ("user_name", r => r.UserName), ("started_at", r => r.StartedAt), ("ended_at", r => r.EndedAt),
        ],
        row => new OperationRecord
        {
            Id = row.Text(),
            Version = row.Number(),
            Kind = row.Text(),
            State = row.Text(),
            Target = row.Text(),
            Volume = row.Text(),
            Body = row.Text(),
            Steps = row.Texts(),
            Done = (int)row.Number(),
            Undoing = row.Flag(),
            StopRequested = row.Flag(),
            Error = row.Text(),
            ProcessId = (int)row.Number(),
            UserName = row.Text(),
            StartedAt = row.Time(),
            EndedAt = row.TimeOrNull(),
        });

    private static readonly Table<EventRecord> Events = new("event",
        [
            ("time", r => r.Time), ("level", r => r.Level), ("message", r => r.Message), ("volume", r => r.Volume),
            ("operation_id", r => r.OperationId), ("user_name", r => r.UserName),
        ],
        row => new EventRecord
        {
            Id = row.Text(),
            Version = row.Number(),
            Time = row.Time(),
            Level = row.Text(),
            Message = row.Text(),
            Volume = row.Text(),
            OperationId = row.Text(),
            UserName = row.Text(),
        });

    private static readonly Table<SettingRecord> Settings = new("setting",
        [("value", r => r.Value)],
        row => new SettingRecord { Id = row.Text(), Version = row.Number(), Value = row.Text() });

    private static readonly Dictionary<Type, object> ByType = new object[]
    {
        Pools, Volumes, Snapshots, Targets, Grants, Connections, Operations, Events, Settings,
    }.ToDictionary(table => table.GetType().GetGenericArguments()[0]);

    /// <summary>The table of a kind of record.</summary>
    public static Table<T> Of<T>() where T : CatalogRecord => (Table<T>)ByType[typeof(T)];
}
