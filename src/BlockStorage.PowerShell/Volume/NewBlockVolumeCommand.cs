using System.Management.Automation;
using BlockStorage.Services;

namespace BlockStorage.Commands;

/// <summary>Makes volumes. On a machine without a pool it makes the pool "default" first.</summary>
[Cmdlet(VerbsCommon.New, "BlockVolume", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.Low,
    DefaultParameterSetName = ParameterSets.Record)]
[Alias("nbv")]
[OutputType(typeof(BlockVolume), typeof(BlockStorageJob))]
public sealed class NewBlockVolumeCommand : BlockStorageCommand
{
    /// <summary>Names of the new volumes.</summary>
    [Parameter(ParameterSetName = ParameterSets.Record, Mandatory = true, Position = 0, ValueFromPipelineByPropertyName = true)]
    public string[]? Name { get; set; }

    /// <summary>Size, such as 10GB, '10GiB' or '1.5TB'; beside -FromSnapshot and -FromVolume a larger size than theirs.</summary>
    [Parameter(ParameterSetName = ParameterSets.Record, Position = 1, ValueFromPipelineByPropertyName = true)]
    [SizeTransformation]
    public long? Size { get; set; }

    /// <summary>Take the largest size that the pool offers.</summary>
    [Parameter(ParameterSetName = ParameterSets.Record)]
    public SwitchParameter UseMaximumSize { get; set; }

    /// <summary>Snapshot whose data the volume begins with.</summary>
    [Parameter(ParameterSetName = ParameterSets.Record, ValueFromPipelineByPropertyName = true)]
    [SnapshotNames]
    [NameTransformation(PreferId = true)]
    public string? FromSnapshot { get; set; }

    /// <summary>Volume whose data the volume begins with.</summary>
    [Parameter(ParameterSetName = ParameterSets.Record, ValueFromPipelineByPropertyName = true)]
    [VolumeNames]
    [NameTransformation(PreferId = true)]
    public string? FromVolume { get; set; }

    /// <summary>Pool; without it the scheduler's choice.</summary>
    [Parameter(ParameterSetName = ParameterSets.Record, ValueFromPipelineByPropertyName = true)]
    [PoolNames]
    [NameTransformation]
    public string? Pool { get; set; }

    /// <summary>thin takes space as it is written, thick has all its space from the start; without it the pool's own.</summary>
    [Parameter(ParameterSetName = ParameterSets.Record, ValueFromPipelineByPropertyName = true)]
    [Provisionings]
    [NameTransformation]
    public string? Provisioning { get; set; }

    /// <summary>Labels; in one text they are separated by ';'.</summary>
    [Parameter(ParameterSetName = ParameterSets.Record, ValueFromPipelineByPropertyName = true)]
    [ListTransformation]
    public string[]? Tag { get; set; }

    /// <summary>Free text.</summary>
    [Parameter(ParameterSetName = ParameterSets.Record, ValueFromPipelineByPropertyName = true)]
    public string? Description { get; set; }

    /// <summary>Emit the volume of that name where there is one already.</summary>
    [Parameter(ParameterSetName = ParameterSets.Record)]
    public SwitchParameter IfNotExists { get; set; }

    /// <summary>Make them in a job, one child job a volume.</summary>
    [Parameter(ParameterSetName = ParameterSets.Record)]
    public SwitchParameter AsJob { get; set; }

    private protected override bool RunsAsJob => AsJob;

    /// <inheritdoc/>
    protected override void ProcessRecord()
    {
        foreach (var name in Name!)
            Try(name, () =>
            {
                var size = SizeTransformationAttribute.Take(Size);
                CheckSources(name, size);
                var request = new NewVolumeRequest(name, size, UseMaximumSize, FromSnapshot, FromVolume, Pool, Provisioning, Tag,
                    Description, IfNotExists);
                Change(name, (service, cancel) => service.NewVolumeAsync(request, cancel), volume => volume);
            });
    }

    private void CheckSources(string name, long? size)
    {
        var sources = (FromSnapshot is null ? 0 : 1) + (FromVolume is null ? 0 : 1);
        if (sources > 1 || (UseMaximumSize && (size is not null || sources > 0)) || (sources == 0 && size is null && !UseMaximumSize))
            throw new BlockStorageException(BlockErrors.InvalidArgument,
                $"Volume '{name}' needs exactly one of -Size, -UseMaximumSize, -FromSnapshot and -FromVolume (-Size may stand beside -From...).",
                name, $"New-BlockVolume {name} -Size 10GB");
    }
}
