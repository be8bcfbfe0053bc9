using System.Management.Automation;
using BlockStorage.Services;

namespace BlockStorage.Commands;

/// <summary>Changes texts and flags of volumes. What is not given stays as it is.</summary>
[Cmdlet(VerbsCommon.Set, "BlockVolume", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.Low,
    DefaultParameterSetName = ParameterSets.Object)]
[OutputType(typeof(BlockVolume))]
public sealed class SetBlockVolumeCommand : VolumeCommand
{
    /// <summary>Free text.</summary>
    [Parameter]
    [AllowEmptyString]
    public string? Description { get; set; }

    /// <summary>Labels; they replace the old ones, @() removes all.</summary>
    [Parameter]
    [AllowEmptyCollection]
    [ListTransformation]
    public string[]? Tag { get; set; }

    /// <summary>New connections and exports of it are read-only.</summary>
    [Parameter]
    public bool? ReadOnly { get; set; }

    /// <summary>Emit the changed volume.</summary>
    [Parameter]
    public SwitchParameter PassThru { get; set; }

    private protected override void Process(BlockVolume volume)
    {
        var request = new SetVolumeRequest(Description, Tag, ReadOnly);
        Change(volume, (service, cancel) => service.SetVolumeAsync(volume.Id, request, cancel), Passed<BlockVolume>(PassThru));
    }
}
