namespace BlockStorage;

/// <summary>The spellings of every state, as records, tables and parameters hold them.</summary>
public static class BlockStates
{
    /// <summary>Being made; owned by a live operation or by recovery.</summary>
    public const string Creating = "creating";
    /// <summary>Complete and not connected.</summary>
    public const string Available = "available";
    /// <summary>Kept for a connection that is about to be made.</summary>
    public const string Reserved = "reserved";
    /// <summary>A connection is being made.</summary>
    public const string Attaching = "attaching";
    /// <summary>Connected on this machine.</summary>
    public const string InUse = "in-use";
    /// <summary>A connection is being taken down.</summary>
    public const string Detaching = "detaching";
    /// <summary>The size is being changed.</summary>
    public const string Extending = "extending";
    /// <summary>The type is being changed.</summary>
    public const string Retyping = "retyping";
    /// <summary>The data is moving to another pool or node.</summary>
    public const string Migrating = "migrating";
    /// <summary>A backup is being made.</summary>
    public const string BackingUp = "backing-up";
    /// <summary>A backup is being restored.</summary>
    public const string Restoring = "restoring";
    /// <summary>The volume is being set back to a snapshot.</summary>
    public const string Reverting = "reverting";
    /// <summary>The data is being written to an image.</summary>
    public const string Uploading = "uploading";
    /// <summary>The data is being read from an image.</summary>
    public const string Downloading = "downloading";
    /// <summary>Being removed.</summary>
    public const string Deleting = "deleting";
    /// <summary>Something failed; LastError says what, OperationId which operation.</summary>
    public const string Error = "error";
    /// <summary>A live connection.</summary>
    public const string Attached = "attached";
    /// <summary>A connection whose link or device is gone; disconnecting it cleans up.</summary>
    public const string Lost = "lost";
    /// <summary>A target that initiators can reach now.</summary>
    public const string Online = "online";
    /// <summary>A target or pool that is known but not served or mounted now.</summary>
    public const string Offline = "offline";
    /// <summary>A pool that takes new volumes.</summary>
    public const string Enabled = "enabled";
    /// <summary>A pool that takes no new volumes.</summary>
    public const string Disabled = "disabled";
    /// <summary>An operation at work.</summary>
    public const string Running = "running";
    /// <summary>An operation that reached its end.</summary>
    public const string Succeeded = "succeeded";
    /// <summary>An operation that failed and was undone.</summary>
    public const string Failed = "failed";
    /// <summary>An operation that waits for recovery.</summary>
    public const string Interrupted = "interrupted";

    /// <summary>Every state a volume can have.</summary>
    public static IReadOnlyList<string> Volume { get; } =
    [
        Creating, Available, Reserved, Attaching, InUse, Detaching, Extending, Retyping, Migrating, BackingUp,
        Restoring, Reverting, Uploading, Downloading, Deleting, Error,
    ];

    /// <summary>Every state a snapshot can have.</summary>
    public static IReadOnlyList<string> Snapshot { get; } = [Creating, Available, Deleting, Error];

    /// <summary>Every state an operation can have.</summary>
    public static IReadOnlyList<string> Operation { get; } = [Running, Succeeded, Failed, Interrupted];
}
