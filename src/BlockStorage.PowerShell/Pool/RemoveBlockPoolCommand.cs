using System.Management.Automation;

namespace BlockStorage.Commands;

/// <summary>Removes pools that hold nothing.</summary>
[Cmdlet(VerbsCommon.Remove, "BlockPool", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.High,
    DefaultParameterSetName = ParameterSets.Object)]
[OutputType(typeof(void))]
public sealed class RemoveBlockPoolCommand : PoolCommand
{
    private protected override void Process(BlockPool pool) =>
        Change(pool, (service, cancel) => service.RemovePoolAsync(pool.Id, cancel));
}
