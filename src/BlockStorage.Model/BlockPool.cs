namespace BlockStorage;

/// <summary>A place that volumes are cut from. All sizes are bytes.</summary>
public sealed class BlockPool : BlockObject
{
    /// <summary>Volume driver that serves it.</summary>
    public string Driver { get; set; } = "";
    /// <summary>Folder (File) or volume group (Lvm).</summary>
    public string Path { get; set; } = "";
    /// <summary>enabled, disabled or offline.</summary>
    public string State { get; set; } = "";
    /// <summary>ok, or what is wrong.</summary>
    public string Health { get; set; } = "";
    /// <summary>Physical size.</summary>
    public long TotalSize { get; set; }
    /// <summary>Physical space in use, by us or by others.</summary>
    public long UsedSize { get; set; }
    /// <summary>Physical space that is free.</summary>
    public long FreeSize { get; set; }
    /// <summary>UsedSize in per cent of TotalSize.</summary>
    public double UsedPercent { get; set; }
    /// <summary>Data in use of the thin pool, in per cent; null where there is none.</summary>
    public double? DataPercent { get; set; }
    /// <summary>Metadata in use of the thin pool, in per cent; null where there is none. It warns from 60 on, for full metadata costs more than full data.</summary>
    public double? MetadataPercent { get; set; }
    /// <summary>Sum of the sizes of the volumes.</summary>
    public long ProvisionedSize { get; set; }
    /// <summary>Largest volume that can be made now with the default provisioning.</summary>
    public long AvailableSize { get; set; }
    /// <summary>How many times TotalSize may be provisioned to thin volumes; 1 or more.</summary>
    public double OversubscriptionRatio { get; set; }
    /// <summary>Per cent of TotalSize kept free of new volumes, 0 to 100.</summary>
    public int ReservedPercent { get; set; }
    /// <summary>UsedPercent or DataPercent from which the pool warns, 1 to 100.</summary>
    public int WarningPercent { get; set; }
    /// <summary>thin or thick: what New-BlockVolume makes when not told.</summary>
    public string Provisioning { get; set; } = "";
    /// <summary>Bytes a second with which removed thick volumes are overwritten at most; 0 for no bound but that others come first.</summary>
    public long WipeRate { get; set; }
    /// <summary>Bytes of removed volumes that are still to be overwritten; they are free then.</summary>
    public long WipingSize { get; set; }
    /// <summary>How its disks protect what is in it: raid1, raid5, raid6 or raid10 (lvmraid(7)); empty for none.</summary>
    public string Raid { get; set; } = "";
    /// <summary>What writers get when a thin pool has no room: error, or queue: they wait as long as the kernel allows (dm-thin's no_space_timeout). Empty where there is no thin pool.</summary>
    public string WhenFull { get; set; } = "";
    /// <summary>reflink or thin (constant time, shared extents), or copy.</summary>
    public string SnapshotMethod { get; set; } = "";
    /// <summary>Number of volumes.</summary>
    public int VolumeCount { get; set; }
    /// <summary>Number of snapshots.</summary>
    public int SnapshotCount { get; set; }
    /// <summary>Free text.</summary>
    public string Description { get; set; } = "";
    /// <summary>When it was made.</summary>
    public DateTime CreatedAt { get; set; }
}
