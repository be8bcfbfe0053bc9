namespace BlockStorage;

/// <summary>A block volume: a fixed size of 512-byte sectors that can be published and connected.</summary>
public sealed class BlockVolume : BlockObject
{
    /// <summary>Name of the pool that holds it.</summary>
    public string Pool { get; set; } = "";
    /// <summary>One of <see cref="BlockStates.Volume"/>.</summary>
    public string State { get; set; } = "";
    /// <summary>Size that initiators see, in bytes.</summary>
    public long Size { get; set; }
    /// <summary>Space it takes in the pool now, in bytes; null where the backend cannot tell.</summary>
    public long? UsedSize { get; set; }
    /// <summary>UsedSize in per cent of Size on thin volumes; null elsewhere, so that -gt never matches it.</summary>
    public double? UsedPercent { get; set; }
    /// <summary>thin or thick.</summary>
    public string Provisioning { get; set; } = "";
    /// <summary>New connections and exports of it are read-only.</summary>
    public bool ReadOnly { get; set; }
    /// <summary>Free text.</summary>
    public string Description { get; set; } = "";
    /// <summary>Labels.</summary>
    public string[] Tag { get; set; } = [];
    /// <summary>Number of its snapshots.</summary>
    public int SnapshotCount { get; set; }
    /// <summary>IQN of the target that publishes it, or empty.</summary>
    public string Target { get; set; } = "";
    /// <summary>Block device on this machine while connected, or empty.</summary>
    public string DevicePath { get; set; } = "";
    /// <summary>File or device that holds the data on the server.</summary>
    public string Path { get; set; } = "";
    /// <summary>SCSI unit serial number: the 32 hex digits of the id (SPC-4, VPD page 0x80).</summary>
    public string Serial { get; set; } = "";
    /// <summary>ok, missing, or what differs between the record and the backend.</summary>
    public string Health { get; set; } = "";
    /// <summary>Why it is in error, or empty.</summary>
    public string LastError { get; set; } = "";
    /// <summary>The operation that owns it now or failed last, or empty.</summary>
    public string OperationId { get; set; } = "";
    /// <summary>When it was made.</summary>
    public DateTime CreatedAt { get; set; }

    /// <inheritdoc/>
    public override string ToString() => $"{Pool}/{Name}";
}
