namespace BlockStorage;

/// <summary>A volume, snapshot or foreign logical unit that is a block device on a machine.</summary>
public sealed class BlockConnection : BlockObject
{
    /// <summary>Name of the connected volume or of the snapshot's volume; empty for a foreign target.</summary>
    public string Volume { get; set; } = "";
    /// <summary>Id of that volume.</summary>
    public string VolumeId { get; set; } = "";
    /// <summary>Name of the connected snapshot, or empty.</summary>
    public string Snapshot { get; set; } = "";
    /// <summary>Id of that snapshot.</summary>
    public string SnapshotId { get; set; } = "";
    /// <summary>iscsi or local.</summary>
    public string Protocol { get; set; } = "";
    /// <summary>Connector that made it.</summary>
    public string Connector { get; set; } = "";
    /// <summary>Block device.</summary>
    public string DevicePath { get; set; } = "";
    /// <summary>attaching, attached, detaching or lost.</summary>
    public string State { get; set; } = "";
    /// <summary>Size of the device in bytes.</summary>
    public long Size { get; set; }
    /// <summary>Writes are refused.</summary>
    public bool ReadOnly { get; set; }
    /// <summary>IQN of the target, or empty for local ones.</summary>
    public string Iqn { get; set; } = "";
    /// <summary>Portal as address:port, or empty for local ones.</summary>
    public string Portal { get; set; } = "";
    /// <summary>Logical unit number; null for local ones.</summary>
    public int? Lun { get; set; }
    /// <summary>SCSI unit serial number, proven at connect.</summary>
    public string Serial { get; set; } = "";
    /// <summary>SCSI address host:channel:target:lun where the kernel has one, or empty.</summary>
    public string Hctl { get; set; } = "";
    /// <summary>The link to it below /dev/disk/by-path, which stays the same when the device gets another name; empty where there is none.</summary>
    public string ByPath { get; set; } = "";
    /// <summary>It comes back when the machine boots.</summary>
    public bool Persistent { get; set; }
    /// <summary>The device is a map of the multipath daemon over several sessions.</summary>
    public bool Multipath { get; set; }
    /// <summary>Sessions that it should have; 0 where it has none.</summary>
    public int PathCount { get; set; }
    /// <summary>How many of them can carry data now.</summary>
    public int PathsUp { get; set; }
    /// <summary>Where the device is mounted now.</summary>
    public string[] MountPoint { get; set; } = [];
    /// <summary>ok, or why the connection is lost.</summary>
    public string Health { get; set; } = "";
    /// <summary>When it was made.</summary>
    public DateTime CreatedAt { get; set; }
}
