using System.Management.Automation;

namespace BlockStorage.Commands;

/// <summary>Renames a volume; device, IQN and serial number stay.</summary>
[Cmdlet(VerbsCommon.Rename, "BlockVolume", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.Medium,
    DefaultParameterSetName = ParameterSets.Object)]
[OutputType(typeof(BlockVolume))]
public sealed class RenameBlockVolumeCommand : VolumeCommand
{
    /// <summary>The new name.</summary>
    [Parameter(Mandatory = true, Position = 1)]
    public string? NewName { get; set; }

    /// <summary>Emit the renamed volume.</summary>
    [Parameter]
    public SwitchParameter PassThru { get; set; }

    private protected override void Process(BlockVolume volume) =>
        Change(volume, (service, cancel) => service.RenameVolumeAsync(volume.Id, NewName!, cancel), Passed<BlockVolume>(PassThru));
}
