using System.Management.Automation;
using BlockStorage.Services;

namespace BlockStorage.Commands;

/// <summary>Makes targets that publish nothing yet. Publish-IscsiTarget alone makes the target it needs.</summary>
[Cmdlet(VerbsCommon.New, "IscsiTarget", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.Low,
    DefaultParameterSetName = ParameterSets.Record)]
[OutputType(typeof(IscsiTarget))]
public sealed class NewIscsiTargetCommand : BlockStorageCommand
{
    /// <summary>IQNs of the new targets; without it one is generated.</summary>
    [Parameter(ParameterSetName = ParameterSets.Record, Position = 0, ValueFromPipelineByPropertyName = true)]
    [Alias("Iqn")]
    [NameTransformation]
    public string[]? Name { get; set; }

    /// <summary>User name and secret that initiators must prove; without it they are generated.</summary>
    [Parameter(ParameterSetName = ParameterSets.Record)]
    [Credential]
    public PSCredential? Chap { get; set; }

    /// <summary>User name and secret that the target proves to initiators.</summary>
    [Parameter(ParameterSetName = ParameterSets.Record)]
    [Credential]
    public PSCredential? MutualChap { get; set; }

    /// <summary>Let initiators in without a secret.</summary>
    [Parameter(ParameterSetName = ParameterSets.Record)]
    public SwitchParameter NoChap { get; set; }

    /// <summary>Where the target listens: addresses with or without port, IPv6 in brackets before a port; without it the address of the configuration.</summary>
    [Parameter(ParameterSetName = ParameterSets.Record, ValueFromPipelineByPropertyName = true)]
    [ListTransformation]
    public string[]? Portal { get; set; }

    /// <summary>Who may log in: IQNs, addresses, or * for anyone who knows the secret.</summary>
    [Parameter(ParameterSetName = ParameterSets.Record, ValueFromPipelineByPropertyName = true)]
    [ListTransformation]
    public string[]? Initiator { get; set; }

    /// <summary>Target driver; without it the best one that works here.</summary>
    [Parameter(ParameterSetName = ParameterSets.Record, ValueFromPipelineByPropertyName = true)]
    [DriverNames]
    [NameTransformation]
    public string? Driver { get; set; }

    /// <summary>Emit the target of that IQN where there is one already.</summary>
    [Parameter(ParameterSetName = ParameterSets.Record)]
    public SwitchParameter IfNotExists { get; set; }

    /// <inheritdoc/>
    protected override void ProcessRecord()
    {
        foreach (var name in Name ?? [null!])
            Try(name, () =>
            {
                var request = new NewTargetRequest(name, ToChap(Chap), ToChap(MutualChap), NoChap, Initiator, Driver, IfNotExists, Portal);
                Change(name, (service, cancel) => service.NewTargetAsync(request, cancel), target => target);
            });
    }
}
