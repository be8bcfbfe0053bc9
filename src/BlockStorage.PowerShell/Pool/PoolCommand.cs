using System.Management.Automation;
using BlockStorage.Services;

namespace BlockStorage.Commands;

/// <summary>What cmdlets that act on pools share: how pools are named.</summary>
public abstract class PoolCommand : BlockStorageCommand
{
    /// <summary>Pools.</summary>
    [Parameter(ParameterSetName = ParameterSets.Object, Mandatory = true, ValueFromPipeline = true)]
    [ObjectTransformation]
    public BlockPool[]? InputObject { get; set; }

    /// <summary>Names of pools.</summary>
    [Parameter(ParameterSetName = ParameterSets.Name, Mandatory = true, Position = 0, ValueFromPipelineByPropertyName = true)]
    [SupportsWildcards]
    [PoolNames]
    [NameTransformation]
    public string[]? Name { get; set; }

    /// <summary>Ids of pools; beside names only those that have both, as in records that were saved.</summary>
    [Parameter(ParameterSetName = ParameterSets.Id, Mandatory = true, ValueFromPipelineByPropertyName = true)]
    [Parameter(ParameterSetName = ParameterSets.Name, ValueFromPipelineByPropertyName = true)]
    public string[]? Id { get; set; }

    /// <summary>Acts on one pool.</summary>
    private protected abstract void Process(BlockPool pool);

    /// <inheritdoc/>
    protected override void ProcessRecord() => ForEach(InputObject
        ?? Find(ObjectKind.Pool, Name, Id, (service, cancel) => service.GetPoolsAsync(new ObjectQuery(Name, Id), cancel)), Process);
}
