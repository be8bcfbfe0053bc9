using System.Management.Automation;
using BlockStorage.Services;

namespace BlockStorage.Commands;

/// <summary>Changes settings of pools. What is not given stays as it is.</summary>
[Cmdlet(VerbsCommon.Set, "BlockPool", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.Low,
    DefaultParameterSetName = ParameterSets.Object)]
[OutputType(typeof(BlockPool))]
public sealed class SetBlockPoolCommand : PoolCommand
{
    /// <summary>How many times the physical size may be promised to thin volumes; 1 or more.</summary>
    [Parameter]
    public double? OversubscriptionRatio { get; set; }

    /// <summary>Per cent of the physical size kept free of new volumes.</summary>
    [Parameter]
    public int? ReservedPercent { get; set; }

    /// <summary>Per cent in use from which the pool warns.</summary>
    [Parameter]
    public int? WarningPercent { get; set; }

    /// <summary>Bytes a second with which removed thick volumes are overwritten at most; 0 for no bound.</summary>
    [Parameter]
    [SizeTransformation]
    public long? WipeRate { get; set; }

    /// <summary>thin or thick: what New-BlockVolume makes when not told.</summary>
    [Parameter]
    [Provisionings]
    public string? Provisioning { get; set; }

    /// <summary>error or queue: what writers get when an Lvm pool is full. With queue they wait as long as the kernel lets them.</summary>
    [Parameter]
    [WhenFulls]
    public string? WhenFull { get; set; }

    /// <summary>Free text.</summary>
    [Parameter]
    [AllowEmptyString]
    public string? Description { get; set; }

    /// <summary>Emit the changed pool.</summary>
    [Parameter]
    public SwitchParameter PassThru { get; set; }

    private protected override void Process(BlockPool pool)
    {
        var request = new SetPoolRequest(OversubscriptionRatio, ReservedPercent, WarningPercent, Provisioning, Description, WhenFull,
            SizeTransformationAttribute.Take(WipeRate));
        Change(pool, (service, cancel) => service.SetPoolAsync(pool.Id, request, cancel), Passed<BlockPool>(PassThru));
    }
}
