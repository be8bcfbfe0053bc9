namespace BlockStorage;

/// <summary>A read-only copy of a volume at one moment.</summary>
public sealed class BlockSnapshot : BlockObject
{
    /// <summary>Name of the volume it was taken of (its origin).</summary>
    public string Volume { get; set; } = "";
    /// <summary>Id of that volume.</summary>
    public string VolumeId { get; set; } = "";
    /// <summary>Name of the pool that holds it.</summary>
    public string Pool { get; set; } = "";
    /// <summary>One of <see cref="BlockStates.Snapshot"/>.</summary>
    public string State { get; set; } = "";
    /// <summary>Size of the volume when it was taken, in bytes.</summary>
    public long Size { get; set; }
    /// <summary>Space it refers to in the pool, shared or not, in bytes; null where the backend cannot tell.</summary>
    public long? UsedSize { get; set; }
    /// <summary>Free text.</summary>
    public string Description { get; set; } = "";
    /// <summary>Labels.</summary>
    public string[] Tag { get; set; } = [];
    /// <summary>When a policy may remove it; null for never.</summary>
    public DateTime? ExpiresAt { get; set; }
    /// <summary>IQN of the target that publishes it, or empty.</summary>
    public string Target { get; set; } = "";
    /// <summary>Block device on this machine while connected, or empty.</summary>
    public string DevicePath { get; set; } = "";
    /// <summary>File or device that holds the data on the server.</summary>
    public string Path { get; set; } = "";
    /// <summary>SCSI unit serial number it is published with.</summary>
    public string Serial { get; set; } = "";
    /// <summary>ok, missing, or what differs between the record and the backend.</summary>
    public string Health { get; set; } = "";
    /// <summary>Why it is in error, or empty.</summary>
    public string LastError { get; set; } = "";
    /// <summary>The operation that owns it now or failed last, or empty.</summary>
    public string OperationId { get; set; } = "";
    /// <summary>When it was taken.</summary>
    public DateTime CreatedAt { get; set; }

    /// <inheritdoc/>
    public override string ToString() => $"{Pool}/{Name}";
}
