namespace BlockStorage.Commands;

/// <summary>Names of the parameter sets that cmdlets share.</summary>
internal static class ParameterSets
{
    /// <summary>The thing itself, from the pipeline. The default, so that a thing that was serialized is never taken for a mere name.</summary>
    public const string Object = "ByObject";
    /// <summary>Names, wildcards allowed.</summary>
    public const string Name = "ByName";
    /// <summary>Ids.</summary>
    public const string Id = "ById";
    /// <summary>Names of volumes, wildcards allowed.</summary>
    public const string Volume = "ByVolume";
    /// <summary>Names of snapshots, wildcards allowed.</summary>
    public const string Snapshot = "BySnapshot";
    /// <summary>IQNs of targets, wildcards allowed.</summary>
    public const string Target = "ByTarget";
    /// <summary>A portal and an IQN.</summary>
    public const string Address = "ByAddress";
    /// <summary>A block device.</summary>
    public const string Device = "ByDevice";
    /// <summary>A pool.</summary>
    public const string Pool = "ByPool";
    /// <summary>What a new thing is made of, such as a line of a CSV file.</summary>
    public const string Record = "Record";
}
