using System.Management.Automation;

namespace BlockStorage.Commands;

/// <summary>Removes snapshots.</summary>
[Cmdlet(VerbsCommon.Remove, "BlockSnapshot", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.High,
    DefaultParameterSetName = ParameterSets.Object)]
[Alias("rbs")]
[OutputType(typeof(void), typeof(BlockStorageJob))]
public sealed class RemoveBlockSnapshotCommand : SnapshotCommand
{
    /// <summary>Disconnect and unpublish it first.</summary>
    [Parameter]
    public SwitchParameter Force { get; set; }

    /// <summary>Remove in a job, one child job a snapshot.</summary>
    [Parameter]
    public SwitchParameter AsJob { get; set; }

    private protected override bool RunsAsJob => AsJob;

    private protected override void Process(BlockSnapshot snapshot) =>
        Change(snapshot, (service, cancel) => service.RemoveSnapshotAsync(snapshot.Id, Force, cancel));
}
