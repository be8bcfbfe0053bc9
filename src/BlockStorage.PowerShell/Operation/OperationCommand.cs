using System.Management.Automation;
using BlockStorage.Services;

namespace BlockStorage.Commands;

/// <summary>What cmdlets that act on operations share: how operations are named.</summary>
public abstract class OperationCommand : BlockStorageCommand
{
    /// <summary>Operations.</summary>
    [Parameter(ParameterSetName = ParameterSets.Object, Mandatory = true, ValueFromPipeline = true)]
    [ObjectTransformation]
    public BlockOperation[]? InputObject { get; set; }

    /// <summary>Ids of operations.</summary>
    [Parameter(ParameterSetName = ParameterSets.Id, Mandatory = true, Position = 0, ValueFromPipelineByPropertyName = true)]
    [OperationIds]
    public string[]? Id { get; set; }

    /// <summary>Acts on one operation.</summary>
    private protected abstract void Process(BlockOperation operation);

    /// <inheritdoc/>
    protected override void ProcessRecord() => ForEach(InputObject
        ?? Find(ObjectKind.Operation, null, Id, (service, cancel) => service.GetOperationsAsync(new OperationQuery(Id), cancel)), Process);
}
