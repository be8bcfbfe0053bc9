using System.Management.Automation;
using BlockStorage.Services;

namespace BlockStorage.Commands;

/// <summary>Gets the connections of this machine, probed.</summary>
[Cmdlet(VerbsCommon.Get, "BlockConnection", DefaultParameterSetName = ParameterSets.Volume)]
[OutputType(typeof(BlockConnection))]
public sealed class GetBlockConnectionCommand : BlockStorageCommand
{
    /// <summary>Names of volumes; without it all.</summary>
    [Parameter(ParameterSetName = ParameterSets.Volume, Position = 0, ValueFromPipelineByPropertyName = true)]
    [SupportsWildcards]
    [VolumeNames]
    [NameTransformation]
    public string[]? Volume { get; set; }

    /// <summary>Block devices.</summary>
    [Parameter(ParameterSetName = ParameterSets.Device, Mandatory = true)]
    [DevicePaths]
    public string[]? DevicePath { get; set; }

    /// <summary>IQNs of targets.</summary>
    [Parameter(ParameterSetName = ParameterSets.Target, Mandatory = true)]
    [TargetNames]
    [NameTransformation]
    public string[]? Iqn { get; set; }

    /// <summary>Ids of connections.</summary>
    [Parameter(ParameterSetName = ParameterSets.Id, Mandatory = true, ValueFromPipelineByPropertyName = true)]
    public string[]? Id { get; set; }

    /// <summary>Connections to read anew, or volumes, snapshots and targets whose connections are meant.</summary>
    [Parameter(ParameterSetName = ParameterSets.Object, Mandatory = true, ValueFromPipeline = true)]
    [ObjectTransformation]
    public BlockObject[]? InputObject { get; set; }

    /// <inheritdoc/>
    protected override void ProcessRecord()
    {
        if (InputObject is not null)
            ForEach(InputObject, item => WriteObject(ConnectionsOf(item), enumerateCollection: true));
        else
            WriteObject(ParameterSetName switch
            {
                ParameterSets.Device => FindConnections(new ConnectionQuery(DevicePath: DevicePath), DevicePath, connection => connection.DevicePath, "device"),
                ParameterSets.Target => FindConnections(new ConnectionQuery(Iqn: Iqn), Iqn, connection => connection.Iqn, "IQN"),
                ParameterSets.Id => FindConnections(new ConnectionQuery(Id: Id), Id, connection => connection.Id, "id"),
                _ => FindConnections(new ConnectionQuery(Volume), Volume, connection => connection.Volume, "volume"),
            }, enumerateCollection: true);
    }
}
