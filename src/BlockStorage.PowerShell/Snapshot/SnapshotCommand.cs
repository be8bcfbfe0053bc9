using System.Management.Automation;
using BlockStorage.Services;

namespace BlockStorage.Commands;

/// <summary>What cmdlets that act on snapshots share: how snapshots are named.</summary>
public abstract class SnapshotCommand : BlockStorageCommand
{
    /// <summary>Snapshots.</summary>
    [Parameter(ParameterSetName = ParameterSets.Object, Mandatory = true, ValueFromPipeline = true)]
    [ObjectTransformation]
    public BlockSnapshot[]? InputObject { get; set; }

    /// <summary>Names of snapshots.</summary>
    [Parameter(ParameterSetName = ParameterSets.Name, Mandatory = true, Position = 0, ValueFromPipelineByPropertyName = true)]
    [SupportsWildcards]
    [SnapshotNames]
    [NameTransformation]
    public string[]? Name { get; set; }

    /// <summary>Only snapshots of these volumes.</summary>
    [Parameter(ParameterSetName = ParameterSets.Name, ValueFromPipelineByPropertyName = true)]
    [SupportsWildcards]
    [VolumeNames]
    [NameTransformation]
    public string[]? Volume { get; set; }

    /// <summary>Ids of snapshots; beside names only those that have both, as in records that were saved.</summary>
    [Parameter(ParameterSetName = ParameterSets.Id, Mandatory = true, ValueFromPipelineByPropertyName = true)]
    [Parameter(ParameterSetName = ParameterSets.Name, ValueFromPipelineByPropertyName = true)]
    public string[]? Id { get; set; }

    /// <summary>Acts on one snapshot.</summary>
    private protected abstract void Process(BlockSnapshot snapshot);

    /// <inheritdoc/>
    protected override void ProcessRecord() => ForEach(InputObject
        ?? Find(ObjectKind.Snapshot, Name, Id, (service, cancel) => service.GetSnapshotsAsync(new SnapshotQuery(Name, Id, Volume), cancel)), Process);
}
