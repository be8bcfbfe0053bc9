using System.Management.Automation;
using BlockStorage.Services;

namespace BlockStorage.Commands;

/// <summary>Gets volumes.</summary>
[Cmdlet(VerbsCommon.Get, "BlockVolume", DefaultParameterSetName = ParameterSets.Name)]
[Alias("gbv")]
[OutputType(typeof(BlockVolume))]
public sealed class GetBlockVolumeCommand : BlockStorageCommand
{
    /// <summary>Names of volumes; without it all.</summary>
    [Parameter(ParameterSetName = ParameterSets.Name, Position = 0, ValueFromPipelineByPropertyName = true)]
    [SupportsWildcards]
    [VolumeNames]
    [NameTransformation]
    public string[]? Name { get; set; }

    /// <summary>Ids of volumes; beside names only those that have both, as in records that were saved.</summary>
    [Parameter(ParameterSetName = ParameterSets.Id, Mandatory = true, ValueFromPipelineByPropertyName = true)]
    [Parameter(ParameterSetName = ParameterSets.Name, ValueFromPipelineByPropertyName = true)]
    public string[]? Id { get; set; }

    /// <summary>Volumes to read anew, or pools whose volumes are meant.</summary>
    [Parameter(ParameterSetName = ParameterSets.Object, Mandatory = true, ValueFromPipeline = true)]
    [ObjectTransformation]
    public BlockObject[]? InputObject { get; set; }

    /// <summary>Only in these pools.</summary>
    [Parameter]
    [SupportsWildcards]
    [PoolNames]
    [NameTransformation]
    public string[]? Pool { get; set; }

    /// <summary>Only in these states.</summary>
    [Parameter]
    [ValidateSet(BlockStates.Creating, BlockStates.Available, BlockStates.Reserved, BlockStates.Attaching, BlockStates.InUse,
        BlockStates.Detaching, BlockStates.Extending, BlockStates.Retyping, BlockStates.Migrating, BlockStates.BackingUp,
        BlockStates.Restoring, BlockStates.Reverting, BlockStates.Uploading, BlockStates.Downloading, BlockStates.Deleting,
        BlockStates.Error)]
    public string[]? State { get; set; }

    /// <summary>Only with one of these labels.</summary>
    [Parameter]
    [ListTransformation]
    public string[]? Tag { get; set; }

    /// <inheritdoc/>
    protected override void ProcessRecord()
    {
        if (InputObject is null)
            Emit(Name, Id, Pool);
        else
            ForEach(InputObject, item =>
            {
                if (item is BlockPool)
                    Emit(null, null, [item.Name]);
                else if (item is BlockVolume)
                    Emit(null, [item.Id], Pool);
                else
                    throw WrongKind(item, "a volume or pool");
            });
    }

    private void Emit(string[]? names, string[]? ids, string[]? pools) => WriteObject(
        Find(ObjectKind.Volume, names, ids, (service, cancel) =>
            service.GetVolumesAsync(new VolumeQuery(names, ids, pools, State, Tag), cancel)),
        enumerateCollection: true);
}
