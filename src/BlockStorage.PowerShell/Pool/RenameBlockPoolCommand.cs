using System.Management.Automation;

namespace BlockStorage.Commands;

/// <summary>Renames a pool; its data stays where it is.</summary>
[Cmdlet(VerbsCommon.Rename, "BlockPool", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.Medium,
    DefaultParameterSetName = ParameterSets.Object)]
[OutputType(typeof(BlockPool))]
public sealed class RenameBlockPoolCommand : PoolCommand
{
    /// <summary>The new name.</summary>
    [Parameter(Mandatory = true, Position = 1)]
    public string? NewName { get; set; }

    /// <summary>Emit the renamed pool.</summary>
    [Parameter]
    public SwitchParameter PassThru { get; set; }

    private protected override void Process(BlockPool pool) =>
        Change(pool, (service, cancel) => service.RenamePoolAsync(pool.Id, NewName!, cancel), Passed<BlockPool>(PassThru));
}
