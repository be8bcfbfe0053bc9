using System.Management.Automation;
using BlockStorage.Services;

namespace BlockStorage.Commands;

/// <summary>Makes a pool of disks or in a folder. With -Size a File pool gets a file system of its own in which snapshots take constant time.</summary>
[Cmdlet(VerbsCommon.New, "BlockPool", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.Medium,
    DefaultParameterSetName = ParameterSets.Record)]
[Alias("nbpl")]
[OutputType(typeof(BlockPool))]
public sealed class NewBlockPoolCommand : BlockStorageCommand
{
    private const string Lvm = "Lvm";

    /// <summary>Names of the new pools.</summary>
    [Parameter(ParameterSetName = ParameterSets.Record, Mandatory = true, Position = 0, ValueFromPipelineByPropertyName = true)]
    public string[]? Name { get; set; }

    /// <summary>Volume driver; without it the best one that works here.</summary>
    [Parameter(ParameterSetName = ParameterSets.Record, ValueFromPipelineByPropertyName = true)]
    [DriverNames]
    [NameTransformation]
    public string? Driver { get; set; }

    /// <summary>Folder that holds the pool, or the volume group of an Lvm pool.</summary>
    [Parameter(ParameterSetName = ParameterSets.Record, ValueFromPipelineByPropertyName = true)]
    public string? Path { get; set; }

    /// <summary>Empty disks that an Lvm pool is made of.</summary>
    [Parameter(ParameterSetName = ParameterSets.Record, ValueFromPipelineByPropertyName = true)]
    public string[]? Disk { get; set; }

    /// <summary>Protects an Lvm pool against failed disks: raid1, raid5, raid6 or raid10, or the number alone.</summary>
    [Parameter(ParameterSetName = ParameterSets.Record, ValueFromPipelineByPropertyName = true)]
    [RaidLevels]
    [NameTransformation]
    public string? Raid { get; set; }

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

    /// <summary>error or queue: what writers get when an Lvm pool is full. With queue they wait as long as the kernel lets them.</summary>
    [Parameter(ParameterSetName = ParameterSets.Record, ValueFromPipelineByPropertyName = true)]
    [WhenFulls]
    [NameTransformation]
    public string? WhenFull { get; set; }

    /// <summary>Bytes a second with which removed thick volumes are overwritten at most; 0 for no bound.</summary>
    [Parameter(ParameterSetName = ParameterSets.Record, ValueFromPipelineByPropertyName = true)]
    [SizeTransformation]
    public long? WipeRate { get; set; }

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
                var ofDisks = Disk is { Length: > 0 };
                if (!ofDisks && string.IsNullOrEmpty(Path))
                    throw new BlockStorageException(BlockErrors.InvalidArgument, "Say where the pool is to be: a folder or disks.", name,
                        $"New-BlockPool '{name}' -Path /folder, or New-BlockPool '{name}' -Disk /dev/DISK");
                var driver = Driver ?? (ofDisks ? Lvm : Read((service, cancel) => service.GetDriversAsync(cancel))
                    .FirstOrDefault(candidate => candidate is { Kind: "Volume", Default: true })?.Name ?? "File");
                // A volume group is a name; a folder may be relative to where the user is.
                var path = driver.Equals(Lvm, StringComparison.OrdinalIgnoreCase) ? Path ?? "" : GetUnresolvedProviderPathFromPSPath(Path);
                var request = new NewPoolRequest(name, driver, path, SizeTransformationAttribute.Take(Size),
                    OversubscriptionRatio, ReservedPercent, WarningPercent, Provisioning, Description, IfNotExists, Disk, Raid, WhenFull,
                    SizeTransformationAttribute.Take(WipeRate));
                Change(name, (service, cancel) => service.NewPoolAsync(request, cancel), pool => pool);
            });
    }
}
