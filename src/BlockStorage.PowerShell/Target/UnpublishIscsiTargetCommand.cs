using System.Management.Automation;
using BlockStorage.Services;

namespace BlockStorage.Commands;

/// <summary>Stops publishing. A target that Publish-IscsiTarget made goes; one that New-IscsiTarget made stays empty.</summary>
[Cmdlet(VerbsData.Unpublish, "IscsiTarget", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.Medium,
    DefaultParameterSetName = ParameterSets.Object)]
[Alias("ubist")]
[OutputType(typeof(BlockVolume), typeof(BlockSnapshot))]
public sealed class UnpublishIscsiTargetCommand : BlockStorageCommand
{
    /// <summary>Targets, or volumes and snapshots that are published.</summary>
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

    /// <summary>IQNs of targets.</summary>
    [Parameter(ParameterSetName = ParameterSets.Target, Mandatory = true)]
    [SupportsWildcards]
    [TargetNames]
    [NameTransformation]
    public string[]? Target { get; set; }

    /// <summary>End the sessions of initiators that are logged in.</summary>
    [Parameter]
    public SwitchParameter Force { get; set; }

    /// <summary>Emit the volume or snapshot that is no longer published.</summary>
    [Parameter]
    public SwitchParameter PassThru { get; set; }

    /// <inheritdoc/>
    protected override void ProcessRecord()
    {
        IEnumerable<BlockObject> items = InputObject ?? (Target is null
            ? FindVolumesOrSnapshots(Volume, Snapshot)
            : Find(ObjectKind.Target, Target, null, (service, cancel) => service.GetTargetsAsync(new TargetQuery(Target), cancel)));
        ForEach(items, item =>
        {
            foreach (var target in item is IscsiTarget one ? [one] : TargetsOf(item))
            {
                if (Change(item, (service, cancel) => service.UnpublishAsync(target.Id, Force, cancel)) && PassThru)
                    EmitPublished(target);
            }
        });
    }

    private void EmitPublished(IscsiTarget target)
    {
        if (target.SnapshotId.Length > 0)
            WriteObject(Read((service, cancel) => service.GetSnapshotsAsync(new SnapshotQuery(Id: [target.SnapshotId]), cancel)), enumerateCollection: true);
        else if (target.VolumeId.Length > 0)
            WriteObject(Read((service, cancel) => service.GetVolumesAsync(new VolumeQuery(Id: [target.VolumeId]), cancel)), enumerateCollection: true);
    }
}
