using System.Management.Automation;
using BlockStorage.Services;

namespace BlockStorage.Commands;

/// <summary>Disconnects: flush, detach, log out, clean up. What is not connected is left alone.</summary>
[Cmdlet(VerbsCommunications.Disconnect, "BlockVolume", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.Medium,
    DefaultParameterSetName = ParameterSets.Object)]
[Alias("dcbv", "Dismount-BlockVolume")]
[OutputType(typeof(void))]
public sealed class DisconnectBlockVolumeCommand : BlockStorageCommand
{
    /// <summary>Connections, or volumes, snapshots and targets that are connected.</summary>
    [Parameter(ParameterSetName = ParameterSets.Object, Mandatory = true, ValueFromPipeline = true)]
    [ObjectTransformation]
    public BlockObject[]? InputObject { get; set; }

    /// <summary>Names of volumes.</summary>
    [Parameter(ParameterSetName = ParameterSets.Volume, Mandatory = true, Position = 0, ValueFromPipelineByPropertyName = true)]
    [SupportsWildcards]
    [VolumeNames]
    [NameTransformation]
    public string[]? Volume { get; set; }

    /// <summary>Block devices.</summary>
    [Parameter(ParameterSetName = ParameterSets.Device, Mandatory = true)]
    [DevicePaths]
    public string[]? DevicePath { get; set; }

    /// <summary>Ids of connections.</summary>
    [Parameter(ParameterSetName = ParameterSets.Id, Mandatory = true, ValueFromPipelineByPropertyName = true)]
    public string[]? Id { get; set; }

    /// <summary>Also when the device is mounted or the link is dead; unwritten data is lost.</summary>
    [Parameter]
    public SwitchParameter Force { get; set; }

    /// <inheritdoc/>
    protected override void ProcessRecord()
    {
        IEnumerable<BlockObject> items = ParameterSetName switch
        {
            ParameterSets.Volume => FindVolumesOrSnapshots(Volume, null),
            ParameterSets.Device => FindConnections(new ConnectionQuery(DevicePath: DevicePath), DevicePath, connection => connection.DevicePath, "device"),
            ParameterSets.Id => FindConnections(new ConnectionQuery(Id: Id), Id, connection => connection.Id, "id"),
            _ => InputObject!,
        };
        ForEach(items, item =>
        {
            // A connection goes by its id even when it is gone meanwhile, so that the service can say that nothing is left to do.
            foreach (var id in item is BlockConnection ? [item.Id] : ConnectionsOf(item).Select(connection => connection.Id))
                Change(item, (service, cancel) => service.DisconnectAsync(id, Force, cancel));
        });
    }
}
