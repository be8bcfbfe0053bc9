using System.Management.Automation;

namespace BlockStorage.Commands;

/// <summary>Removes volumes and their data.</summary>
[Cmdlet(VerbsCommon.Remove, "BlockVolume", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.High,
    DefaultParameterSetName = ParameterSets.Object)]
[Alias("rbv")]
[OutputType(typeof(void), typeof(BlockStorageJob))]
public sealed class RemoveBlockVolumeCommand : VolumeCommand
{
    /// <summary>Remove its snapshots too.</summary>
    [Parameter]
    public SwitchParameter Cascade { get; set; }

    /// <summary>Disconnect and unpublish it first.</summary>
    [Parameter]
    public SwitchParameter Force { get; set; }

    /// <summary>Remove in a job, one child job a volume.</summary>
    [Parameter]
    public SwitchParameter AsJob { get; set; }

    private protected override bool RunsAsJob => AsJob;

    private protected override void Process(BlockVolume volume) =>
        Change(volume, (service, cancel) => service.RemoveVolumeAsync(volume.Id, Cascade, Force, cancel));
}
