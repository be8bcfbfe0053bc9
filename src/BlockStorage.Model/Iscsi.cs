namespace BlockStorage;

/// <summary>An iSCSI target (RFC 7143) that publishes one volume or snapshot. It never holds a secret.</summary>
public sealed class IscsiTarget : BlockObject
{
    /// <summary>iSCSI qualified name; the same text as Name.</summary>
    public string Iqn { get; set; } = "";
    /// <summary>Name of the published volume, or of the snapshot's volume; empty while nothing is published.</summary>
    public string Volume { get; set; } = "";
    /// <summary>Id of that volume.</summary>
    public string VolumeId { get; set; } = "";
    /// <summary>Name of the published snapshot, or empty.</summary>
    public string Snapshot { get; set; } = "";
    /// <summary>Id of that snapshot.</summary>
    public string SnapshotId { get; set; } = "";
    /// <summary>Logical unit number of the published volume; null while nothing is published.</summary>
    public int? Lun { get; set; }
    /// <summary>Size of the logical unit in bytes; null while nothing is published.</summary>
    public long? Size { get; set; }
    /// <summary>Portals as address:port, IPv6 addresses in brackets.</summary>
    public string[] Portal { get; set; } = [];
    /// <summary>Target driver that serves it.</summary>
    public string Driver { get; set; } = "";
    /// <summary>online or offline.</summary>
    public string State { get; set; } = "";
    /// <summary>Who may log in: IQNs, addresses, or * for anyone who knows the secret.</summary>
    public string[] Initiator { get; set; } = [];
    /// <summary>Initiators must prove a CHAP secret.</summary>
    public bool Chap { get; set; }
    /// <summary>The target proves a secret of its own to initiators.</summary>
    public bool MutualChap { get; set; }
    /// <summary>Writes are refused.</summary>
    public bool ReadOnly { get; set; }
    /// <summary>SCSI unit serial number of the logical unit (SPC-4, VPD page 0x80).</summary>
    public string Serial { get; set; } = "";
    /// <summary>Number of live sessions; null where the target is offline.</summary>
    public int? SessionCount { get; set; }
    /// <summary>ok, or what is wrong.</summary>
    public string Health { get; set; } = "";
    /// <summary>The operation that owns it now or failed last, or empty.</summary>
    public string OperationId { get; set; } = "";
    /// <summary>When it was made.</summary>
    public DateTime CreatedAt { get; set; }
}

/// <summary>The right of one initiator to log in to one target.</summary>
public sealed class IscsiTargetAccess : BlockObject
{
    /// <summary>IQN of the target.</summary>
    public string Target { get; set; } = "";
    /// <summary>IQN, address or *; the same text as Name.</summary>
    public string Initiator { get; set; } = "";
    /// <summary>CHAP user name, or empty without CHAP.</summary>
    public string UserName { get; set; } = "";
    /// <summary>Credential, NeedsCredential (the secret is lost) or None (no CHAP).</summary>
    public string Authentication { get; set; } = "";
    /// <summary>When it was granted.</summary>
    public DateTime CreatedAt { get; set; }
}

/// <summary>A target that a portal told of in a discovery session (RFC 7143, SendTargets).</summary>
public sealed class IscsiTargetAddress : BlockObject
{
    /// <summary>iSCSI qualified name; the same text as Name.</summary>
    public string Iqn { get; set; } = "";
    /// <summary>Address of the portal.</summary>
    public string Address { get; set; } = "";
    /// <summary>TCP port of the portal.</summary>
    public int Port { get; set; }
    /// <summary>Portal group tag.</summary>
    public int PortalGroup { get; set; }
}

/// <summary>What this machine is as an initiator.</summary>
public sealed class IscsiInitiator : BlockObject
{
    /// <summary>iSCSI qualified name it logs in with; the same text as Name.</summary>
    public string Iqn { get; set; } = "";
    /// <summary>Connector that New connections use.</summary>
    public string Connector { get; set; } = "";
    /// <summary>Number of connections it has.</summary>
    public int ConnectionCount { get; set; }
}
