using System.Management.Automation;

namespace BlockStorage.Commands;

/// <summary>Asks running operations, of any process, to stop and undo.</summary>
[Cmdlet(VerbsLifecycle.Stop, "BlockOperation", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.Medium,
    DefaultParameterSetName = ParameterSets.Object)]
[OutputType(typeof(BlockOperation))]
public sealed class StopBlockOperationCommand : OperationCommand
{
    private protected override void Process(BlockOperation operation) =>
        Change(operation, (service, cancel) => service.StopOperationAsync(operation.Id, cancel), stopped => stopped);
}
