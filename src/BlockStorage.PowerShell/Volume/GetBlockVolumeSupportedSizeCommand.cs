using System.Management.Automation;
using BlockStorage.Services;

namespace BlockStorage.Commands;

/// <summary>Gets the sizes that a new volume in a pool, or a resize of a volume, can have now.</summary>
[Cmdlet(VerbsCommon.Get, "BlockVolumeSupportedSize", DefaultParameterSetName = ParameterSets.Object)]
[OutputType(typeof(BlockSizeRange))]
public sealed class GetBlockVolumeSupportedSizeCommand : BlockStorageCommand
{
    /// <summary>Volumes or pools.</summary>
    [Parameter(ParameterSetName = ParameterSets.Object, Mandatory = true, ValueFromPipeline = true)]
    [ObjectTransformation]
    public BlockObject[]? InputObject { get; set; }

    /// <summary>Names of volumes.</summary>
    [Parameter(ParameterSetName = ParameterSets.Volume, Mandatory = true, Position = 0, ValueFromPipelineByPropertyName = true)]
    [SupportsWildcards]
    [VolumeNames]
    [NameTransformation]
    public string[]? Volume { get; set; }

    /// <summary>Names of pools.</summary>
    [Parameter(ParameterSetName = ParameterSets.Pool, Mandatory = true, ValueFromPipelineByPropertyName = true)]
    [SupportsWildcards]
    [PoolNames]
    [NameTransformation]
    public string[]? Pool { get; set; }

    /// <inheritdoc/>
    protected override void ProcessRecord()
    {
        IEnumerable<BlockObject> items = ParameterSetName switch
        {
            ParameterSets.Volume => Find(ObjectKind.Volume, Volume, null, (service, cancel) => service.GetVolumesAsync(new VolumeQuery(Volume), cancel)),
            ParameterSets.Pool => Find(ObjectKind.Pool, Pool, null, (service, cancel) => service.GetPoolsAsync(new ObjectQuery(Pool), cancel)),
            _ => InputObject!,
        };
        ForEach(items, item => WriteObject(Read((service, cancel) => item switch
        {
            BlockVolume => service.GetVolumeSizesAsync(item.Id, cancel),
            BlockPool => service.GetPoolSizesAsync(item.Id, cancel),
            _ => throw WrongKind(item, "a volume or pool"),
        })));
    }
}
