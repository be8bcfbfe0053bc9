using System.Management.Automation;
using BlockStorage.Services;

namespace BlockStorage.Commands;

/// <summary>Publishes volumes and snapshots over iSCSI, with a generated CHAP secret unless told otherwise.</summary>
[Cmdlet(VerbsData.Publish, "IscsiTarget", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.Low,
    DefaultParameterSetName = ParameterSets.Object)]
[Alias("pbist")]
[OutputType(typeof(IscsiTarget))]
public sealed class PublishIscsiTargetCommand : BlockStorageCommand
{
    /// <summary>Volumes and snapshots.</summary>
    [Parameter(ParameterSetName = ParameterSets.Object, Mandatory = true, ValueFromPipeline = true)]
    [ObjectTransformation]
    public BlockObject[]? InputObject { get; set; }

    /// <summary>Names of volumes.</summary>
    [Parameter(ParameterSetName = ParameterSets.Volume, Mandatory = true, Position = 0, ValueFromPipelineByPropertyName = true)]
    [SupportsWildcards]
    [VolumeNames]
    [NameTransformation]
    public string[]? Volume { get; set; }

    /// <summary>Names of snapshots.</summary>
    [Parameter(ParameterSetName = ParameterSets.Snapshot, Mandatory = true)]
    [SupportsWildcards]
    [SnapshotNames]
    [NameTransformation]
    public string[]? Snapshot { get; set; }

    /// <summary>IQN of a target made before; without it the volume gets one of its own.</summary>
    [Parameter]
    [TargetNames]
    [NameTransformation]
    public string? Target { get; set; }

    /// <summary>Logical unit number; without it the first one.</summary>
    [Parameter]
    public int? Lun { get; set; }

    /// <summary>Where the target listens: addresses with or without port, IPv6 in brackets before a port; without it the address of the configuration.</summary>
    [Parameter]
    [ListTransformation]
    public string[]? Portal { get; set; }

    /// <summary>Who may log in: IQNs, addresses, or * for anyone who knows the secret.</summary>
    [Parameter]
    [ListTransformation]
    public string[]? Initiator { get; set; }

    /// <summary>CHAP user name and secret; without it they are generated.</summary>
    [Parameter]
    [Credential]
    public PSCredential? Credential { get; set; }

    /// <summary>Let initiators in without a secret.</summary>
    [Parameter]
    public SwitchParameter NoChap { get; set; }

    /// <summary>Refuse writes.</summary>
    [Parameter]
    public SwitchParameter ReadOnly { get; set; }

    /// <summary>Target driver; without it the best one that works here.</summary>
    [Parameter]
    [DriverNames]
    [NameTransformation]
    public string? Driver { get; set; }

    /// <inheritdoc/>
    protected override void ProcessRecord() => ForEach(InputObject ?? FindVolumesOrSnapshots(Volume, Snapshot), item =>
    {
        if (item is not (BlockVolume or BlockSnapshot))
            throw WrongKind(item, "a volume or snapshot");
        var request = new PublishRequest((item as BlockVolume)?.Id, (item as BlockSnapshot)?.Id, Target, Lun, Initiator,
            ToChap(Credential), NoChap, ReadOnly, Driver, Portal);
        Change(item, (service, cancel) => service.PublishAsync(request, cancel), target => target);
    });
}
