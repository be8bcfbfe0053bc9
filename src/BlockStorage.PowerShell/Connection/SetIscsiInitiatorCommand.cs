using System.Management.Automation;

namespace BlockStorage.Commands;

/// <summary>Changes the IQN that this machine logs in with from now on.</summary>
[Cmdlet(VerbsCommon.Set, "IscsiInitiator", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.Medium)]
[OutputType(typeof(IscsiInitiator))]
public sealed class SetIscsiInitiatorCommand : BlockStorageCommand
{
    /// <summary>The new IQN.</summary>
    [Parameter(Mandatory = true, Position = 0)]
    public string? Iqn { get; set; }

    /// <summary>Emit the changed initiator.</summary>
    [Parameter]
    public SwitchParameter PassThru { get; set; }

    /// <inheritdoc/>
    protected override void ProcessRecord() => Try(Iqn, () =>
        Change(Iqn, (service, cancel) => service.SetInitiatorAsync(Iqn!, cancel), Passed<IscsiInitiator>(PassThru)));
}
