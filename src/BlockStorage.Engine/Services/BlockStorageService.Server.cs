using System.Reflection;
using System.Runtime.InteropServices;
using BlockStorage.Engine.Catalog;
using BlockStorage.Engine.Services;

namespace BlockStorage.Engine;

public sealed partial class BlockStorageService
{
    /// <inheritdoc/>
    public Task<BlockStorageServer> GetServerAsync(CancellationToken cancel) => Guard(() =>
    {
        var (pools, volumes) = _catalog.Read(catalog => (catalog.List<PoolRecord>().Count, catalog.List<VolumeRecord>().Count));
        return Task.FromResult(new BlockStorageServer
        {
            Name = _node.Name,
            Server = _node.Name,
            State = "connected",
            Version = Assembly.GetExecutingAssembly().GetName().Version?.ToString(3) ?? "",
            OperatingSystem = RuntimeInformation.OSDescription,
            Kernel = Environment.OSVersion.Version.ToString(),
            StateRoot = _root.Home,
            PoolCount = pools,
            VolumeCount = volumes,
        });
    });

    /// <inheritdoc/>
    public Task<IReadOnlyList<BlockStorageDriver>> GetDriversAsync(CancellationToken cancel) => Guard(async () =>
    {
        var drivers = new List<BlockStorageDriver>();
        void Add(string kind, string name, string group, DriverProbe probe) => drivers.Add(new BlockStorageDriver
        {
            Name = name,
            Server = _node.Name,
            Kind = kind,
            Usable = probe.Usable,
            Default = probe.Usable && !drivers.Any(other => other.Kind == kind && other.Default && (other.Capability.Contains(group) || group.Length == 0)),
            Capability = [.. group.Length > 0 ? [group] : Array.Empty<string>(), .. probe.Capabilities.Where(word => word != group)],
            Version = probe.Version,
            Reason = probe.Reason,
            Fix = probe.Fix,
        });
        foreach (var driver in _node.VolumeDrivers)
            Add("Volume", driver.Name, "", await driver.ProbeAsync(cancel).ConfigureAwait(false));
        foreach (var driver in _node.TargetDrivers)
            Add("Target", driver.Name, "", await driver.ProbeAsync(cancel).ConfigureAwait(false));
        foreach (var connector in _node.Connectors)
            Add("Connector", connector.Name, connector.Protocol, await connector.ProbeAsync(cancel).ConfigureAwait(false));
        return (IReadOnlyList<BlockStorageDriver>)drivers;
    });

    /// <inheritdoc/>
    public Task<IReadOnlyList<BlockServerCheck>> TestServerAsync(CancellationToken cancel) => Guard(async () =>
    {
        var checks = new List<BlockServerCheck>
        {
            Check("Privilege", "root", Environment.IsPrivilegedProcess, "", Environment.IsPrivilegedProcess
                ? "this process is root" : "loop devices, mounts and ports of targets need root", "sudo pwsh"),
        };
        foreach (var driver in _node.VolumeDrivers)
            Add(checks, driver.Name, "volume driver", driver.DefaultFor, await driver.ProbeAsync(cancel).ConfigureAwait(false));
        var first = new Dictionary<string, string>(StringComparer.Ordinal);
        // The first usable one of the registry is used where none is named.
        string Choice(string kind, string verb, string name, DriverProbe probe)
        {
            if (probe.Usable)
                first.TryAdd(kind, name);
            return first.GetValueOrDefault(kind) == name ? $"used by {verb}" : $"in reserve, {first.GetValueOrDefault(kind)} is used";
        }
        foreach (var driver in _node.TargetDrivers)
        {
            var probe = await driver.ProbeAsync(cancel).ConfigureAwait(false);
            Add(checks, driver.Name, "target driver", Choice("target", "Publish-IscsiTarget", driver.Name, probe), probe);
        }
        foreach (var connector in _node.Connectors)
        {
            var probe = await connector.ProbeAsync(cancel).ConfigureAwait(false);
            var verb = connector.Protocol == "local" ? "Connect-BlockVolume for volumes that are not published" : "Connect-BlockVolume for targets";
            Add(checks, connector.Name, $"{connector.Protocol} connector", Choice(connector.Protocol, verb, connector.Name, probe), probe);
        }
        var module = Path.GetDirectoryName(Path.GetDirectoryName(Assembly.GetExecutingAssembly().Location))!;
        checks.Add(BootCheck.Restore(module));
        await AddStateAsync(checks, module, cancel).ConfigureAwait(false);
        foreach (var check in checks)
            check.Server = _node.Name;
        return (IReadOnlyList<BlockServerCheck>)checks.DistinctBy(check => (check.Kind, check.Name)).ToArray();
    });

    private static void Add(List<BlockServerCheck> checks, string name, string what, string choice, DriverProbe probe)
    {
        checks.Add(Check("Driver", name, probe.Usable, probe.Version,
            probe.Usable ? $"{what}, {choice}: {string.Join(", ", probe.Capabilities)}" : $"{what}: {probe.Reason}", probe.Fix));
        checks.AddRange(probe.Checks);
    }

    private async Task AddStateAsync(List<BlockServerCheck> checks, string module, CancellationToken cancel)
    {
        try
        {
            var open = new Operations.OperationRecovery(Context(Host.SilentSink.Instance)).Open()
                .Count(entry => entry.State == BlockStates.Interrupted);
            checks.Add(Check("Catalogue", _root.CatalogFile, open == 0, "",
                open == 0 ? "readable" : $"{open} operations wait for recovery", "Repair-BlockStorage"));
            var connected = _catalog.Read(catalog => catalog.List<ConnectionRecord>().Select(connection => connection.DevicePath).ToArray());
            foreach (var driver in _node.VolumeDrivers)
                checks.AddRange(await driver.AdviseAsync(connected, cancel).ConfigureAwait(false));
            var pools = await GetPoolsAsync(new BlockStorage.Services.ObjectQuery(), cancel).ConfigureAwait(false);
            if (pools.Any(pool => pool.Raid.Length > 0))
                checks.Add(BootCheck.Scrub(module));
            foreach (var pool in pools)
                checks.Add(Check("Pool", pool.Name, pool.Health == "ok", "", pool.Health == "ok" ? $"{ByteSize.Format(pool.FreeSize)} free of {ByteSize.Format(pool.TotalSize)}" : pool.Health, "Repair-BlockStorage"));
        }
        catch (BlockStorageException error)
        {
            checks.Add(Check("Catalogue", _root.CatalogFile, false, "", error.Message, error.NextStep));
        }
    }

    private static BlockServerCheck Check(string kind, string name, bool good, string version, string detail, string fix) => new()
    {
        Kind = kind,
        Name = name,
        State = good ? "ok" : "missing",
        Version = version,
        Detail = detail,
        Fix = good ? "" : fix,
    };
}
