using System.Management.Automation;

namespace BlockStorage.Commands;

/// <summary>Sets volumes back to snapshots, atomically. What was written since is lost; the snapshot stays.</summary>
[Cmdlet(VerbsData.Restore, "BlockSnapshot", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.High,
    DefaultParameterSetName = ParameterSets.Object)]
[Alias("rrbs")]
[OutputType(typeof(BlockVolume), typeof(BlockStorageJob))]
public sealed class RestoreBlockSnapshotCommand : SnapshotCommand
{
    /// <summary>Emit the volume.</summary>
    [Parameter]
    public SwitchParameter PassThru { get; set; }

    /// <summary>Restore in a job, one child job a snapshot.</summary>
    [Parameter]
    public SwitchParameter AsJob { get; set; }

    private protected override bool RunsAsJob => AsJob;

    private protected override void Process(BlockSnapshot snapshot) =>
        Change(snapshot, (service, cancel) => service.RestoreSnapshotAsync(snapshot.Id, cancel), Passed<BlockVolume>(PassThru));
}
