using System.Management.Automation;
using BlockStorage.Services;

namespace BlockStorage.Commands;

/// <summary>What cmdlets that act on volumes share: how volumes are named.</summary>
public abstract class VolumeCommand : BlockStorageCommand
{
    /// <summary>Volumes.</summary>
    [Parameter(ParameterSetName = ParameterSets.Object, Mandatory = true, ValueFromPipeline = true)]
    [ObjectTransformation]
    public BlockVolume[]? InputObject { get; set; }

    /// <summary>Names of volumes.</summary>
    [Parameter(ParameterSetName = ParameterSets.Name, Mandatory = true, Position = 0, ValueFromPipelineByPropertyName = true)]
    [SupportsWildcards]
    [VolumeNames]
    [NameTransformation]
    public string[]? Name { get; set; }

    /// <summary>Ids of volumes; beside names only those that have both, as in records that were saved.</summary>
    [Parameter(ParameterSetName = ParameterSets.Id, Mandatory = true, ValueFromPipelineByPropertyName = true)]
    [Parameter(ParameterSetName = ParameterSets.Name, ValueFromPipelineByPropertyName = true)]
    public string[]? Id { get; set; }

    /// <summary>Acts on one volume.</summary>
    private protected abstract void Process(BlockVolume volume);

    /// <inheritdoc/>
    protected override void ProcessRecord() => ForEach(InputObject
        ?? Find(ObjectKind.Volume, Name, Id, (service, cancel) => service.GetVolumesAsync(new VolumeQuery(Name, Id), cancel)), Process);
}
