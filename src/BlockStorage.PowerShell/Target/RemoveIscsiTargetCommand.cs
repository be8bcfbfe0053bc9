using System.Management.Automation;

namespace BlockStorage.Commands;

/// <summary>Removes targets and their access rights. Volumes stay.</summary>
[Cmdlet(VerbsCommon.Remove, "IscsiTarget", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.High,
    DefaultParameterSetName = ParameterSets.Object)]
[OutputType(typeof(void))]
public sealed class RemoveIscsiTargetCommand : TargetCommand
{
    /// <summary>End the sessions of initiators that are logged in.</summary>
    [Parameter]
    public SwitchParameter Force { get; set; }

    private protected override void Process(IscsiTarget target) =>
        Change(target, (service, cancel) => service.RemoveTargetAsync(target.Id, Force, cancel));
}
