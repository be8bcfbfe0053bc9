using System.Management.Automation;
using BlockStorage.Services;

namespace BlockStorage.Commands;

/// <summary>Gets journaled changes, newest first: what was meant, how far it came, how it ended.</summary>
[Cmdlet(VerbsCommon.Get, "BlockOperation")]
[OutputType(typeof(BlockOperation))]
public sealed class GetBlockOperationCommand : BlockStorageCommand
{
    /// <summary>Ids of operations.</summary>
    [Parameter(Position = 0, ValueFromPipelineByPropertyName = true)]
    [Alias("OperationId")]
    [OperationIds]
    public string[]? Id { get; set; }

    /// <summary>States.</summary>
    [Parameter]
    [ValidateSet(BlockStates.Running, BlockStates.Succeeded, BlockStates.Failed, BlockStates.Interrupted)]
    public string[]? State { get; set; }

    /// <summary>Only those begun from this moment on.</summary>
    [Parameter]
    public DateTime? Since { get; set; }

    /// <summary>Only those about these volumes.</summary>
    [Parameter]
    [SupportsWildcards]
    [VolumeNames]
    [NameTransformation]
    public string[]? Volume { get; set; }

    /// <inheritdoc/>
    protected override void ProcessRecord() => WriteObject(
        Find(ObjectKind.Operation, null, Id, (service, cancel) => service.GetOperationsAsync(
            new OperationQuery(Id, State, Volume, Since?.ToUniversalTime()), cancel)),
        enumerateCollection: true);
}
