namespace BlockStorage;

/// <summary>A journaled change: what was meant, how far it came, how it ended.</summary>
public sealed class BlockOperation : BlockObject
{
    /// <summary>What it does, such as CreateVolume; the same text as Name.</summary>
    public string Kind { get; set; } = "";
    /// <summary>One of <see cref="BlockStates.Operation"/>.</summary>
    public string State { get; set; } = "";
    /// <summary>The object it changes, with the figures.</summary>
    public string Target { get; set; } = "";
    /// <summary>Name of the volume it concerns, or empty.</summary>
    public string Volume { get; set; } = "";
    /// <summary>Its steps in order.</summary>
    public BlockOperationStep[] Step { get; set; } = [];
    /// <summary>Steps done, in per cent.</summary>
    public int PercentComplete { get; set; }
    /// <summary>Why it failed, or empty.</summary>
    public string Error { get; set; } = "";
    /// <summary>Process that runs it.</summary>
    public int ProcessId { get; set; }
    /// <summary>When it began.</summary>
    public DateTime StartedAt { get; set; }
    /// <summary>When it ended; null while it runs.</summary>
    public DateTime? EndedAt { get; set; }
}

/// <summary>One step of an operation.</summary>
public sealed class BlockOperationStep
{
    /// <summary>What the step does, with the object and its figures.</summary>
    public string Name { get; set; } = "";
    /// <summary>waiting, running, done or undone.</summary>
    public string State { get; set; } = "";

    /// <inheritdoc/>
    public override string ToString() => Name;
}

/// <summary>Something that happened: audit record or message to the user. Its id is that of the operation it belongs to, so that it can be piped to Get-BlockOperation.</summary>
public sealed class BlockStorageEvent : BlockObject
{
    /// <summary>Information, Warning or Error.</summary>
    public string Level { get; set; } = "";
    /// <summary>When.</summary>
    public DateTime Time { get; set; }
    /// <summary>What happened.</summary>
    public string Message { get; set; } = "";
    /// <summary>Name of the volume it concerns, or empty.</summary>
    public string Volume { get; set; } = "";
    /// <summary>The operation it belongs to, or empty.</summary>
    public string OperationId { get; set; } = "";
    /// <summary>User who did it.</summary>
    public string UserName { get; set; } = "";
}

/// <summary>One difference between the record and reality, and what is or was done about it.</summary>
public sealed class BlockRepairAction : BlockObject
{
    /// <summary>What kind of thing it is: Pool, Volume, Snapshot, Target, Connection, Operation, Catalogue.</summary>
    public string Kind { get; set; } = "";
    /// <summary>What differs.</summary>
    public string Problem { get; set; } = "";
    /// <summary>What sets it right.</summary>
    public string Action { get; set; } = "";
    /// <summary>planned, done, failed, or manual where only the operator can.</summary>
    public string State { get; set; } = "";
    /// <summary>Why it failed, or empty.</summary>
    public string Error { get; set; } = "";
}
