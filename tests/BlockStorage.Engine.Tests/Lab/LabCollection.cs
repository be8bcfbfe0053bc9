namespace BlockStorage.Engine.Tests.Lab;

/// <summary>Lab suites run one after the other: they share the six scratch disks, LVM and the targets of one kernel.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class LabCollection
{
    public const string Name = "Lab";

    /// <summary>Paths of the scratch disks.</summary>
    internal static IReadOnlyList<string> Disks =>
        Environment.GetEnvironmentVariable("LAB_DISKS")?.Split(' ') ?? throw new InvalidOperationException("Not in the lab: see tests/lab/README.md.");
}
