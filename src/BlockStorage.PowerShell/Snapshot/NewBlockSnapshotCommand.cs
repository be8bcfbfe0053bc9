using System.Management.Automation;
using BlockStorage.Services;

namespace BlockStorage.Commands;

/// <summary>Takes snapshots of volumes.</summary>
[Cmdlet(VerbsCommon.New, "BlockSnapshot", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.Low,
    DefaultParameterSetName = ParameterSets.Object)]
[Alias("nbs", "Checkpoint-BlockVolume")]
[OutputType(typeof(BlockSnapshot), typeof(BlockStorageJob))]
public sealed class NewBlockSnapshotCommand : BlockStorageCommand
{
    /// <summary>Volumes.</summary>
    [Parameter(ParameterSetName = ParameterSets.Object, Mandatory = true, ValueFromPipeline = true)]
    [ObjectTransformation]
    public BlockVolume[]? InputObject { get; set; }

    /// <summary>Names of volumes.</summary>
    [Parameter(ParameterSetName = ParameterSets.Volume, Mandatory = true, Position = 0, ValueFromPipelineByPropertyName = true)]
    [SupportsWildcards]
    [VolumeNames]
    [NameTransformation]
    public string[]? Volume { get; set; }

    /// <summary>Name of the snapshot; {Volume} and {Timestamp} are filled in. Without it {Volume}-{Timestamp}.</summary>
    [Parameter(Position = 1)]
    public string? Name { get; set; }

    /// <summary>Labels.</summary>
    [Parameter]
    [ListTransformation]
    public string[]? Tag { get; set; }

    /// <summary>Free text.</summary>
    [Parameter]
    public string? Description { get; set; }

    /// <summary>When a policy may remove it.</summary>
    [Parameter]
    public DateTime? ExpiresAt { get; set; }

    /// <summary>Emit the snapshot of that name where there is one already.</summary>
    [Parameter]
    public SwitchParameter IfNotExists { get; set; }

    /// <summary>Take them in a job, one child job a volume.</summary>
    [Parameter]
    public SwitchParameter AsJob { get; set; }

    private protected override bool RunsAsJob => AsJob;

    /// <inheritdoc/>
    protected override void ProcessRecord() => ForEach(InputObject
        ?? Find(ObjectKind.Volume, Volume, null, (service, cancel) => service.GetVolumesAsync(new VolumeQuery(Volume), cancel)), Process);

    private void Process(BlockVolume volume)
    {
        var request = new NewSnapshotRequest(volume.Id, Name, Tag, Description, ExpiresAt?.ToUniversalTime(), IfNotExists);
        Change(volume, (service, cancel) => service.NewSnapshotAsync(request, cancel), snapshot => snapshot);
    }
}
