using System.Collections.Concurrent;
using BlockStorage.Engine.Connectors;
using BlockStorage.Engine.Host;
using BlockStorage.Engine.Targets;
using BlockStorage.Engine.Targets.Iscsi;
using BlockStorage.Engine.Volumes;
using BlockStorage.Services;

namespace BlockStorage.Engine.Nodes;

/// <summary>This machine, in process.</summary>
internal sealed class LocalNode : INode
{
    // Probing starts tools; what worked once is used until it fails by itself, with its own clear error.
    private readonly ConcurrentDictionary<string, object> _usable = new(StringComparer.Ordinal);

    /// <summary>All drivers that exist.</summary>
    public LocalNode(StateRoot root)
        : this(DriverRegistry.VolumeDrivers(root), DriverRegistry.TargetDrivers(root), DriverRegistry.Connectors(root))
    {
    }

    /// <summary>The given drivers; for tests that force faults.</summary>
    public LocalNode(IReadOnlyList<IVolumeDriverFactory> volumes, IReadOnlyList<ITargetDriver> targets, IReadOnlyList<IConnector> connectors)
    {
        VolumeDrivers = volumes;
        TargetDrivers = targets;
        Connectors = connectors;
    }

    /// <inheritdoc/>
    public string Name { get; } = Environment.MachineName;

    /// <inheritdoc/>
    public IReadOnlyList<IVolumeDriverFactory> VolumeDrivers { get; }

    /// <inheritdoc/>
    public IReadOnlyList<ITargetDriver> TargetDrivers { get; }

    /// <inheritdoc/>
    public IReadOnlyList<IConnector> Connectors { get; }

    /// <inheritdoc/>
    public IVolumeDriver Pool(PoolSpec spec) =>
        (VolumeDrivers.FirstOrDefault(driver => driver.Name == spec.Driver) ?? throw Unknown("volume driver", spec.Driver)).Open(spec);

    /// <inheritdoc/>
    public async Task<ITargetDriver> TargetDriverAsync(string? name, CancellationToken cancel) => string.IsNullOrEmpty(name)
        ? await FirstUsableAsync(TargetDrivers, driver => driver.ProbeAsync(cancel), "target driver").ConfigureAwait(false)
        : TargetDrivers.FirstOrDefault(driver => driver.Name.Equals(name, StringComparison.OrdinalIgnoreCase)) ?? throw Unknown("target driver", name);

    /// <inheritdoc/>
    public async Task<IConnector> ConnectorAsync(string? name, string protocol, CancellationToken cancel) => string.IsNullOrEmpty(name)
        ? await FirstUsableAsync(Connectors.Where(connector => connector.Protocol == protocol), connector => connector.ProbeAsync(cancel), $"{protocol} connector").ConfigureAwait(false)
        : Connectors.FirstOrDefault(connector => connector.Name.Equals(name, StringComparison.OrdinalIgnoreCase)) ?? throw Unknown("connector", name);

    /// <inheritdoc/>
    public Task<IReadOnlyList<DiscoveredTarget>> DiscoverAsync(
        Portal portal, string initiator, ChapCredential? chap, TimeSpan timeout, CancellationToken cancel) =>
        IscsiDiscovery.DiscoverAsync(portal, initiator, chap, timeout, cancel);

    private async Task<T> FirstUsableAsync<T>(IEnumerable<T> drivers, Func<T, Task<DriverProbe>> probe, string what) where T : notnull
    {
        if (_usable.TryGetValue(what, out var known))
            return (T)known;
        DriverProbe? last = null;
        foreach (var driver in drivers)
        {
            last = await probe(driver).ConfigureAwait(false);
            if (last.Usable)
            {
                _usable[what] = driver;
                return driver;
            }
        }
        var error = Environment.IsPrivilegedProcess ? BlockErrors.ToolMissing : BlockErrors.PrivilegeRequired;
        throw new BlockStorageException(error, $"No {what} can be used on this machine: {last?.Reason ?? "there is none"}", what, last?.Fix);
    }

    private static BlockStorageException Unknown(string what, string name) =>
        new(BlockErrors.DriverNotFound, $"There is no {what} '{name}'.", name);
}
