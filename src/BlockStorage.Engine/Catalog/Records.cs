namespace BlockStorage.Engine.Catalog;

/// <summary>What every record has. Version grows with each update and is what compare-and-swap compares.</summary>
internal abstract record CatalogRecord
{
    /// <summary>UUID.</summary>
    public required string Id { get; init; }

    /// <summary>Counts updates; set by the catalogue.</summary>
    public long Version { get; init; }
}

/// <summary>A record whose state an operation may own.</summary>
internal abstract record StatefulRecord : CatalogRecord
{
    /// <summary>One of BlockStates.</summary>
    public required string State { get; init; }

    /// <summary>Why it is in error, or empty.</summary>
    public string LastError { get; init; } = "";

    /// <summary>The operation that owns the state or failed last, or empty.</summary>
    public string OperationId { get; init; } = "";

    /// <summary>UTC.</summary>
    public required DateTime CreatedAt { get; init; }
}

/// <summary>A pool.</summary>
internal sealed record PoolRecord : StatefulRecord
{
    public required string Name { get; init; }
    public required string Driver { get; init; }
    public required string Path { get; init; }
    public long? Size { get; init; }
    public double OversubscriptionRatio { get; init; } = 20;
    public int ReservedPercent { get; init; }
    public int WarningPercent { get; init; } = 80;
    public string Provisioning { get; init; } = "thin";

    /// <summary>Level of the RAID that its volumes lie on, or empty.</summary>
    public string Raid { get; init; } = "";

    /// <summary>Writers wait when its thin pool is full.</summary>
    public bool Queues { get; init; }

    /// <summary>Bytes a second with which removed volumes are overwritten at most; 0 for no bound.</summary>
    public long WipeRate { get; init; }

    public string Description { get; init; } = "";
}

/// <summary>A volume.</summary>
internal sealed record VolumeRecord : StatefulRecord
{
    public required string Name { get; init; }
    public required string PoolId { get; init; }
    public required long Size { get; init; }
    public required string Provisioning { get; init; }
    public bool ReadOnly { get; init; }
    public string Description { get; init; } = "";
    public IReadOnlyList<string> Tags { get; init; } = [];

    /// <summary>Bytes that an operation at work will still take from the pool.</summary>
    public long Pending { get; init; }
}

/// <summary>A snapshot.</summary>
internal sealed record SnapshotRecord : StatefulRecord
{
    public required string Name { get; init; }
    public required string VolumeId { get; init; }
    public required string PoolId { get; init; }
    public required long Size { get; init; }
    public string Description { get; init; } = "";
    public IReadOnlyList<string> Tags { get; init; } = [];
    public DateTime? ExpiresAt { get; init; }

    /// <summary>Bytes that an operation at work will still take from the pool.</summary>
    public long Pending { get; init; }
}

/// <summary>A target and what it publishes.</summary>
internal sealed record TargetRecord : StatefulRecord
{
    /// <summary>IQN.</summary>
    public required string Name { get; init; }
    public required string Driver { get; init; }
    public required IReadOnlyList<string> Portals { get; init; }
    public string VolumeId { get; init; } = "";
    public string SnapshotId { get; init; } = "";
    public int? Lun { get; init; }
    public bool ReadOnly { get; init; }
    public string Serial { get; init; } = "";

    /// <summary>Made by publishing, so it goes with unpublishing.</summary>
    public bool Automatic { get; init; }

    /// <summary>Name of the secret file of what the target proves; empty for none.</summary>
    public string MutualSecretId { get; init; } = "";
}

/// <summary>A right to log in. The secret lies in a file named by the id.</summary>
internal sealed record GrantRecord : CatalogRecord
{
    public required string TargetId { get; init; }
    public required string Initiator { get; init; }

    /// <summary>CHAP user name; empty for none.</summary>
    public required string UserName { get; init; }
    public required DateTime CreatedAt { get; init; }
}

/// <summary>A connection of this machine.</summary>
internal sealed record ConnectionRecord : StatefulRecord
{
    public required string Protocol { get; init; }
    public required string Connector { get; init; }
    public string VolumeId { get; init; } = "";
    public string SnapshotId { get; init; } = "";
    public string Iqn { get; init; } = "";
    public string Portal { get; init; } = "";
    public int? Lun { get; init; }
    public string Serial { get; init; } = "";
    public long Size { get; init; }
    public bool ReadOnly { get; init; }
    public string DevicePath { get; init; } = "";
    public string Hctl { get; init; } = "";
}

/// <summary>A journal entry.</summary>
internal sealed record OperationRecord : CatalogRecord
{
    public required string Kind { get; init; }
    public required string State { get; init; }
    public required string Target { get; init; }

    /// <summary>Name of the volume it concerns, or empty.</summary>
    public string Volume { get; init; } = "";

    /// <summary>The operation itself, from which another process rebuilds its steps. Never a secret.</summary>
    public required string Body { get; init; }

    /// <summary>Texts of the steps.</summary>
    public required IReadOnlyList<string> Steps { get; init; }

    /// <summary>Number of steps that are done; the step of this index may have begun.</summary>
    public int Done { get; init; }

    /// <summary>Steps are being undone.</summary>
    public bool Undoing { get; init; }

    /// <summary>Somebody asked it to stop.</summary>
    public bool StopRequested { get; init; }
    public string Error { get; init; } = "";
    public int ProcessId { get; init; }
    public string UserName { get; init; } = "";
    public required DateTime StartedAt { get; init; }
    public DateTime? EndedAt { get; init; }
}

/// <summary>Something that happened.</summary>
internal sealed record EventRecord : CatalogRecord
{
    public required DateTime Time { get; init; }
    public required string Level { get; init; }
    public required string Message { get; init; }
    public string Volume { get; init; } = "";
    public string OperationId { get; init; } = "";
    public string UserName { get; init; } = "";
}

/// <summary>One setting; the id is its name.</summary>
internal sealed record SettingRecord : CatalogRecord
{
    public required string Value { get; init; }
}
