using System.Management.Automation;
using BlockStorage.Services;

namespace BlockStorage.Commands;

/// <summary>Gets pools with their figures.</summary>
[Cmdlet(VerbsCommon.Get, "BlockPool", DefaultParameterSetName = ParameterSets.Name)]
[Alias("gbpl")]
[OutputType(typeof(BlockPool))]
public sealed class GetBlockPoolCommand : BlockStorageCommand
{
    /// <summary>Names of pools; without it all.</summary>
    [Parameter(ParameterSetName = ParameterSets.Name, Position = 0, ValueFromPipelineByPropertyName = true)]
    [SupportsWildcards]
    [PoolNames]
    [NameTransformation]
    [Alias("Pool")]
    public string[]? Name { get; set; }

    /// <summary>Ids of pools; beside names only those that have both, as in records that were saved.</summary>
    [Parameter(ParameterSetName = ParameterSets.Id, Mandatory = true, ValueFromPipelineByPropertyName = true)]
    [Parameter(ParameterSetName = ParameterSets.Name, ValueFromPipelineByPropertyName = true)]
    public string[]? Id { get; set; }

    /// <inheritdoc/>
    protected override void ProcessRecord() => WriteObject(
        Find(ObjectKind.Pool, Name, Id, (service, cancel) => service.GetPoolsAsync(new ObjectQuery(Name, Id), cancel)),
        enumerateCollection: true);
}
