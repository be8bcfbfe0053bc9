using System.Management.Automation;
using BlockStorage.Services;

namespace BlockStorage.Commands;

/// <summary>Changes the credentials of targets. Sessions that are open stay; the next login needs the new secret.</summary>
[Cmdlet(VerbsCommon.Set, "IscsiTarget", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.Medium,
    DefaultParameterSetName = ParameterSets.Object)]
[OutputType(typeof(IscsiTarget))]
public sealed class SetIscsiTargetCommand : TargetCommand
{
    /// <summary>User name and secret that initiators must prove.</summary>
    [Parameter]
    [Credential]
    public PSCredential? Chap { get; set; }

    /// <summary>User name and secret that the target proves to initiators.</summary>
    [Parameter]
    [Credential]
    public PSCredential? MutualChap { get; set; }

    /// <summary>The target proves nothing to initiators any more.</summary>
    [Parameter]
    public SwitchParameter ClearMutualChap { get; set; }

    /// <summary>Emit the changed target.</summary>
    [Parameter]
    public SwitchParameter PassThru { get; set; }

    private protected override void Process(IscsiTarget target)
    {
        var request = new SetTargetRequest(ToChap(Chap), ToChap(MutualChap), ClearMutualChap);
        Change(target, (service, cancel) => service.SetTargetAsync(target.Id, request, cancel), Passed<IscsiTarget>(PassThru));
    }
}
