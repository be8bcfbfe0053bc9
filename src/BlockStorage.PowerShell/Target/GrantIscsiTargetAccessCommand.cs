using System.Management.Automation;

namespace BlockStorage.Commands;

/// <summary>Lets initiators in to targets.</summary>
[Cmdlet(VerbsSecurity.Grant, "IscsiTargetAccess", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.Low,
    DefaultParameterSetName = ParameterSets.Object)]
[OutputType(typeof(IscsiTargetAccess))]
public sealed class GrantIscsiTargetAccessCommand : TargetAccessCommand
{
    /// <summary>IQNs, addresses, or * for anyone who knows the secret.</summary>
    [Parameter(Mandatory = true, Position = 1)]
    [ListTransformation]
    public string[]? Initiator { get; set; }

    /// <summary>CHAP user name and secret; without it they are generated.</summary>
    [Parameter]
    [Credential]
    public PSCredential? Credential { get; set; }

    /// <summary>Let it in without a secret.</summary>
    [Parameter]
    public SwitchParameter NoChap { get; set; }

    /// <summary>Emit the access right.</summary>
    [Parameter]
    public SwitchParameter PassThru { get; set; }

    private protected override void Process(BlockObject item)
    {
        if (item is not IscsiTarget target)
            throw WrongKind(item, "a target");
        foreach (var initiator in Initiator!)
            Try(target, () => Change(target, (service, cancel) =>
                service.GrantAccessAsync(target.Id, initiator, ToChap(Credential), NoChap, cancel), Passed<IscsiTargetAccess>(PassThru)));
    }
}
