using BlockStorage.Engine.Connectors;
using BlockStorage.Engine.Targets;
using BlockStorage.Engine.Targets.Iscsi;
using BlockStorage.Engine.Volumes;
using BlockStorage.Services;

namespace BlockStorage.Engine.Nodes;

/// <summary>
/// Everything the controller asks of a storage machine. The contracts behind it take and give plain records, so that
/// a remote node is a proxy for each and nothing above changes.
/// </summary>
internal interface INode
{
    /// <summary>Name of the machine.</summary>
    string Name { get; }

    /// <summary>Volume drivers that exist, usable or not.</summary>
    IReadOnlyList<IVolumeDriverFactory> VolumeDrivers { get; }

    /// <summary>Target drivers that exist, best first.</summary>
    IReadOnlyList<ITargetDriver> TargetDrivers { get; }

    /// <summary>Connectors that exist, best first for each protocol.</summary>
    IReadOnlyList<IConnector> Connectors { get; }

    /// <summary>The driver of a pool.</summary>
    IVolumeDriver Pool(PoolSpec spec);

    /// <summary>The target driver of that name, or the first usable one for an empty name.</summary>
    Task<ITargetDriver> TargetDriverAsync(string? name, CancellationToken cancel);

    /// <summary>The connector of that name, or the first usable one of the protocol for an empty name.</summary>
    Task<IConnector> ConnectorAsync(string? name, string protocol, CancellationToken cancel);

    /// <summary>Asks a portal for its targets from this machine.</summary>
    Task<IReadOnlyList<DiscoveredTarget>> DiscoverAsync(
        Portal portal, string initiator, ChapCredential? chap, TimeSpan timeout, CancellationToken cancel);
}
