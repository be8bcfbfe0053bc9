using System.Management.Automation;
using BlockStorage.Services;

namespace BlockStorage.Commands;

/// <summary>Makes a pool. With -Size a File pool gets a file system of its own in which snapshots take constant time.</summary>
[Cmdlet(VerbsCommon.New, "BlockPool", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.Medium,
    DefaultParameterSetName = ParameterSets.Record)]
[Alias("nbpl")]
[OutputType(typeof(BlockPool))]
public sealed class NewBlockPoolCommand : BlockStorageCommand
{
    /// <summary>Names of the new pools.</summary>
    [Parameter(ParameterSetName = ParameterSets.Record, Mandatory = true, Position = 0, ValueFromPipelineByPropertyName = true)]
    public string[]? Name { get; set; }

    /// <summary>Volume driver; without it the best one that works here.</summary>
    [Parameter(ParameterSetName = ParameterSets.Record, ValueFromPipelineByPropertyName = true)]
    [DriverNames]
    [NameTransformation]
    public string? Driver { get; set; }

    /// <summary>Folder that holds the pool.</summary>
    [Parameter(ParameterSetName = ParameterSets.Record, Mandatory = true, ValueFromPipelineByPropertyName = true)]
    public string? Path { get; set; }

    /// <summary>Size of a file system of its own; without it the pool takes what the folder has.</summary>
    [Parameter(ParameterSetName = ParameterSets.Record, ValueFromPipelineByPropertyName = true)]
    [SizeTransformation]
    public long? Size { get; set; }

    /// <summary>How many times the physical size may be promised to thin volumes; 1 or more.</summary>
    [Parameter(ParameterSetName = ParameterSets.Record, ValueFromPipelineByPropertyName = true)]
    public double? OversubscriptionRatio { get; set; }

    /// <summary>Per cent of the physical size kept free of new volumes.</summary>
    [Parameter(ParameterSetName = ParameterSets.Record, ValueFromPipelineByPropertyName = true)]
    public int? ReservedPercent { get; set; }

    /// <summary>Per cent in use from which the pool warns.</summary>
    [Parameter(ParameterSetName = ParameterSets.Record, ValueFromPipelineByPropertyName = true)]
    public int? WarningPercent { get; set; }

    /// <summary>thin or thick: what New-BlockVolume makes when not told.</summary>
    [Parameter(ParameterSetName = ParameterSets.Record, ValueFromPipelineByPropertyName = true)]
    [Provisionings]
    [NameTransformation]
    public string? Provisioning { get; set; }

    /// <summary>Free text.</summary>
    [Parameter(ParameterSetName = ParameterSets.Record, ValueFromPipelineByPropertyName = true)]
    public string? Description { get; set; }

    /// <summary>Emit the pool of that name where there is one already.</summary>
    [Parameter(ParameterSetName = ParameterSets.Record)]
    public SwitchParameter IfNotExists { get; set; }

    /// <inheritdoc/>
    protected override void ProcessRecord()
    {
        foreach (var name in Name!)
            Try(name, () =>
            {
                var driver = Driver ?? Read((service, cancel) => service.GetDriversAsync(cancel))
                    .FirstOrDefault(candidate => candidate is { Kind: "Volume", Default: true })?.Name ?? "File";
                var request = new NewPoolRequest(name, driver, GetUnresolvedProviderPathFromPSPath(Path), SizeTransformationAttribute.Take(Size),
                    OversubscriptionRatio, ReservedPercent, WarningPercent, Provisioning, Description, IfNotExists);
                Change(name, (service, cancel) => service.NewPoolAsync(request, cancel), pool => pool);
            });
    }
}
