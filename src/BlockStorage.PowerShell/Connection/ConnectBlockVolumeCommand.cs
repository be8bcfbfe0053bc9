using System.Management.Automation;
using BlockStorage.Services;

namespace BlockStorage.Commands;

/// <summary>Makes volumes, snapshots and targets block devices of this machine.</summary>
[Cmdlet(VerbsCommunications.Connect, "BlockVolume", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.Low,
    DefaultParameterSetName = ParameterSets.Object)]
[Alias("ccbv", "Mount-BlockVolume")]
[OutputType(typeof(BlockConnection), typeof(BlockStorageJob))]
public sealed class ConnectBlockVolumeCommand : BlockStorageCommand
{
    /// <summary>Volumes, snapshots, targets, or targets that Find-IscsiTarget found.</summary>
    [Parameter(ParameterSetName = ParameterSets.Object, Mandatory = true, ValueFromPipeline = true)]
    [ObjectTransformation]
    public BlockObject[]? InputObject { get; set; }

    /// <summary>Names of volumes.</summary>
    [Parameter(ParameterSetName = ParameterSets.Volume, Mandatory = true, Position = 0, ValueFromPipelineByPropertyName = true)]
    [SupportsWildcards]
    [VolumeNames]
    [NameTransformation]
    public string[]? Volume { get; set; }

    /// <summary>Names of snapshots.</summary>
    [Parameter(ParameterSetName = ParameterSets.Snapshot, Mandatory = true)]
    [SupportsWildcards]
    [SnapshotNames]
    [NameTransformation]
    public string[]? Snapshot { get; set; }

    /// <summary>IQNs of targets of ours.</summary>
    [Parameter(ParameterSetName = ParameterSets.Target, Mandatory = true)]
    [SupportsWildcards]
    [TargetNames]
    [NameTransformation]
    public string[]? Target { get; set; }

    /// <summary>Address of the portal of any target.</summary>
    [Parameter(ParameterSetName = ParameterSets.Address, Mandatory = true)]
    public string? Address { get; set; }

    /// <summary>IQN of any target.</summary>
    [Parameter(ParameterSetName = ParameterSets.Address, Mandatory = true)]
    public string? Iqn { get; set; }

    /// <summary>TCP port of the portal; without it 3260.</summary>
    [Parameter(ParameterSetName = ParameterSets.Address)]
    [ValidateRange(1, 65535)]
    public int? Port { get; set; }

    /// <summary>Logical unit number; without it the first one that the target has.</summary>
    [Parameter]
    public int? Lun { get; set; }

    /// <summary>iscsi or local; without it iSCSI where the volume is published, else local.</summary>
    [Parameter]
    [ValidateSet("iscsi", "local")]
    public string? Protocol { get; set; }

    /// <summary>CHAP user name and secret; not needed for targets of ours.</summary>
    [Parameter]
    [Credential]
    public PSCredential? Credential { get; set; }

    /// <summary>Refuse writes.</summary>
    [Parameter]
    public SwitchParameter ReadOnly { get; set; }

    /// <summary>Bring the connection back whenever the machine boots.</summary>
    [Parameter]
    public SwitchParameter Persistent { get; set; }

    /// <summary>One session for each portal of the target, joined by the multipath daemon.</summary>
    [Parameter]
    public SwitchParameter Multipath { get; set; }

    /// <summary>Seconds that connecting may take.</summary>
    [Parameter]
    [ValidateRange(1, int.MaxValue)]
    public int? Timeout { get; set; }

    /// <summary>Connect in a job, one child job a volume.</summary>
    [Parameter]
    public SwitchParameter AsJob { get; set; }

    private protected override bool RunsAsJob => AsJob;

    /// <inheritdoc/>
    protected override void ProcessRecord()
    {
        if (ParameterSetName == ParameterSets.Address)
        {
            Try(Iqn, () => Connect(Iqn!, new ConnectRequest(Iqn: Iqn, Address: Address, Port: Port)));
            return;
        }
        IEnumerable<BlockObject> items = InputObject ?? (Target is null
            ? FindVolumesOrSnapshots(Volume, Snapshot)
            : Find(ObjectKind.Target, Target, null, (service, cancel) => service.GetTargetsAsync(new TargetQuery(Target), cancel)));
        ForEach(items, item => Connect(item, item switch
        {
            BlockVolume => new ConnectRequest(VolumeId: item.Id),
            BlockSnapshot => new ConnectRequest(SnapshotId: item.Id),
            IscsiTarget target => new ConnectRequest(Iqn: target.Iqn),
            IscsiTargetAddress found => new ConnectRequest(Iqn: found.Iqn, Address: found.Address, Port: found.Port),
            _ => throw WrongKind(item, "a volume, snapshot, target or target address"),
        }));
    }

    private void Connect(object item, ConnectRequest what)
    {
        var request = what with
        {
            Lun = Lun,
            Protocol = Protocol,
            Credential = ToChap(Credential),
            ReadOnly = ReadOnly,
            Timeout = ToTimeSpan(Timeout),
            Persistent = Persistent,
            Multipath = Multipath,
        };
        Change(item, (service, cancel) => service.ConnectAsync(request, cancel), connection => connection);
    }
}
