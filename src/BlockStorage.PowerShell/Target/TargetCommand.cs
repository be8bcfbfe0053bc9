using System.Management.Automation;
using BlockStorage.Services;

namespace BlockStorage.Commands;

/// <summary>What cmdlets that act on targets share: how targets are named.</summary>
public abstract class TargetCommand : BlockStorageCommand
{
    /// <summary>Targets.</summary>
    [Parameter(ParameterSetName = ParameterSets.Object, Mandatory = true, ValueFromPipeline = true)]
    [ObjectTransformation]
    public IscsiTarget[]? InputObject { get; set; }

    /// <summary>IQNs of targets.</summary>
    [Parameter(ParameterSetName = ParameterSets.Name, Mandatory = true, Position = 0, ValueFromPipelineByPropertyName = true)]
    [SupportsWildcards]
    [TargetNames]
    [NameTransformation]
    [Alias("Iqn")]
    public string[]? Name { get; set; }

    /// <summary>Ids of targets; beside names only those that have both, as in records that were saved.</summary>
    [Parameter(ParameterSetName = ParameterSets.Id, Mandatory = true, ValueFromPipelineByPropertyName = true)]
    [Parameter(ParameterSetName = ParameterSets.Name, ValueFromPipelineByPropertyName = true)]
    public string[]? Id { get; set; }

    /// <summary>Acts on one target.</summary>
    private protected abstract void Process(IscsiTarget target);

    /// <inheritdoc/>
    protected override void ProcessRecord() => ForEach(InputObject
        ?? Find(ObjectKind.Target, Name, Id, (service, cancel) => service.GetTargetsAsync(new TargetQuery(Name, Id), cancel)), Process);
}
