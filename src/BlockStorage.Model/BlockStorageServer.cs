namespace BlockStorage;

/// <summary>A machine that owns pools and targets.</summary>
public sealed class BlockStorageServer : BlockObject
{
    /// <summary>connected for a machine that can be used now.</summary>
    public string State { get; set; } = "";
    /// <summary>Version of the module there.</summary>
    public string Version { get; set; } = "";
    /// <summary>Operating system.</summary>
    public string OperatingSystem { get; set; } = "";
    /// <summary>Kernel release.</summary>
    public string Kernel { get; set; } = "";
    /// <summary>Folder that holds its state.</summary>
    public string StateRoot { get; set; } = "";
    /// <summary>Number of pools.</summary>
    public int PoolCount { get; set; }
    /// <summary>Number of volumes.</summary>
    public int VolumeCount { get; set; }
}

/// <summary>One thing that a machine needs to serve, and whether it has it.</summary>
public sealed class BlockServerCheck : BlockObject
{
    /// <summary>Driver, Tool, Kernel, Privilege, Catalogue or Pool.</summary>
    public string Kind { get; set; } = "";
    /// <summary>ok, missing or warning.</summary>
    public string State { get; set; } = "";
    /// <summary>Version found, or empty.</summary>
    public string Version { get; set; } = "";
    /// <summary>What was found or what is wrong.</summary>
    public string Detail { get; set; } = "";
    /// <summary>What to run or install to set it right, or empty.</summary>
    public string Fix { get; set; } = "";
}

/// <summary>A driver and what it can do on this machine.</summary>
public sealed class BlockStorageDriver : BlockObject
{
    /// <summary>Volume, Target or Connector.</summary>
    public string Kind { get; set; } = "";
    /// <summary>It works on this machine now.</summary>
    public bool Usable { get; set; }
    /// <summary>It is what is used when no driver is named.</summary>
    public bool Default { get; set; }
    /// <summary>What it can do, such as thin, snapshot, reflink, chap, resize.</summary>
    public string[] Capability { get; set; } = [];
    /// <summary>Why it is not usable, or empty.</summary>
    public string Reason { get; set; } = "";
    /// <summary>What to run or install to make it usable, or empty.</summary>
    public string Fix { get; set; } = "";
    /// <summary>Version of the tool underneath, or empty.</summary>
    public string Version { get; set; } = "";
}

/// <summary>Settings of a machine.</summary>
public sealed class BlockStorageConfiguration : BlockObject
{
    /// <summary>Address that the target listens on. Default 127.0.0.1: nobody outside this machine can log in.</summary>
    public string PortalAddress { get; set; } = "";
    /// <summary>TCP port of the portal of new targets; 0 for that of the targets that exist, else the first free one from 3260.</summary>
    public int PortalPort { get; set; }
    /// <summary>Start of generated IQNs (RFC 3720 type iqn.): date of the domain and reversed domain.</summary>
    public string IqnPrefix { get; set; } = "";
    /// <summary>IQN that this machine logs in with.</summary>
    public string InitiatorIqn { get; set; } = "";
    /// <summary>Pool that New-BlockVolume uses when none is named; empty for the scheduler's choice.</summary>
    public string DefaultPool { get; set; } = "";
    /// <summary>Seconds that a command waits for a lock before it says who holds it.</summary>
    public int LockTimeoutSeconds { get; set; }
    /// <summary>Days that finished operations and events are kept.</summary>
    public int HistoryDays { get; set; }
    /// <summary>Folder that holds all state. Set by BLOCKSTORAGE_HOME, not by Set-BlockStorageConfiguration.</summary>
    public string StateRoot { get; set; } = "";
}

/// <summary>Sizes that a new volume in a pool or a resize of a volume can have, in bytes.</summary>
public sealed class BlockSizeRange : BlockObject
{
    /// <summary>Smallest size.</summary>
    public long MinimumSize { get; set; }
    /// <summary>Largest size now.</summary>
    public long MaximumSize { get; set; }
    /// <summary>Sizes are rounded up to a multiple of this.</summary>
    public long Granularity { get; set; }
    /// <summary>Size now, of a volume; null for a pool.</summary>
    public long? CurrentSize { get; set; }
}
