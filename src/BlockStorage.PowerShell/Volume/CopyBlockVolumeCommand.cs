using System.Management.Automation;
using BlockStorage.Services;

namespace BlockStorage.Commands;

/// <summary>Makes new volumes with the data of others; in constant time where the pool shares extents.</summary>
[Cmdlet(VerbsCommon.Copy, "BlockVolume", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.Low,
    DefaultParameterSetName = ParameterSets.Object)]
[OutputType(typeof(BlockVolume), typeof(BlockStorageJob))]
public sealed class CopyBlockVolumeCommand : VolumeCommand
{
    /// <summary>Name of the new volume.</summary>
    [Parameter(Mandatory = true, Position = 1)]
    public string? NewName { get; set; }

    /// <summary>Pool of the new volume; without it the pool of the old one.</summary>
    [Parameter]
    [PoolNames]
    [NameTransformation]
    public string? Pool { get; set; }

    /// <summary>Copy in a job, one child job a volume.</summary>
    [Parameter]
    public SwitchParameter AsJob { get; set; }

    private protected override bool RunsAsJob => AsJob;

    private protected override void Process(BlockVolume volume)
    {
        var request = new NewVolumeRequest(NewName!, FromVolume: volume.Id, Pool: Pool);
        Change(volume, (service, cancel) => service.NewVolumeAsync(request, cancel), copy => copy);
    }
}
