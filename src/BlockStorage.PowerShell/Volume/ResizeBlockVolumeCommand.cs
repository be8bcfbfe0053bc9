using System.Management.Automation;
using BlockStorage.Services;

namespace BlockStorage.Commands;

/// <summary>Makes volumes larger, through target and connection, while they are in use; smaller only where it is allowed and nothing is lost.</summary>
[Cmdlet(VerbsCommon.Resize, "BlockVolume", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.Medium,
    DefaultParameterSetName = ParameterSets.Object)]
[Alias("rzbv")]
[OutputType(typeof(BlockVolume), typeof(BlockStorageJob))]
public sealed class ResizeBlockVolumeCommand : VolumeCommand
{
    /// <summary>The size it is to get.</summary>
    [Parameter(Position = 1)]
    [SizeTransformation]
    public long? Size { get; set; }

    /// <summary>How much larger it is to get.</summary>
    [Parameter]
    [SizeTransformation]
    public long? Increase { get; set; }

    /// <summary>Take the largest size that the pool offers.</summary>
    [Parameter]
    public SwitchParameter UseMaximumSize { get; set; }

    /// <summary>The volume may become smaller, where nothing uses it and nothing lies behind the new end.</summary>
    [Parameter]
    public SwitchParameter AllowShrink { get; set; }

    /// <summary>Emit the resized volume.</summary>
    [Parameter]
    public SwitchParameter PassThru { get; set; }

    /// <summary>Resize in a job, one child job a volume.</summary>
    [Parameter]
    public SwitchParameter AsJob { get; set; }

    private protected override bool RunsAsJob => AsJob;

    private ResizeVolumeRequest? _request;

    /// <inheritdoc/>
    protected override void BeginProcessing()
    {
        try
        {
            var given = (Size is null ? 0 : 1) + (Increase is null ? 0 : 1) + (UseMaximumSize ? 1 : 0);
            _request = given == 1
                ? new ResizeVolumeRequest(SizeTransformationAttribute.Take(Size), SizeTransformationAttribute.Take(Increase), UseMaximumSize, AllowShrink)
                : throw new BlockStorageException(BlockErrors.InvalidArgument,
                    "Give exactly one of -Size, -Increase and -UseMaximumSize.", "Size", "Resize-BlockVolume NAME -Increase 5GB");
        }
        catch (BlockStorageException error)
        {
            ThrowTerminatingError(ErrorRecords.From(error));
        }
    }

    private protected override void Process(BlockVolume volume) =>
        Change(volume, (service, cancel) => service.ResizeVolumeAsync(volume.Id, _request!, cancel), Passed<BlockVolume>(PassThru));
}
