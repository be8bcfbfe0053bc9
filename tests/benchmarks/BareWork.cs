using BlockStorage.Engine.Connectors;
using BlockStorage.Engine.Host;
using BlockStorage.Engine.Nodes;
using BlockStorage.Engine.Operations;
using BlockStorage.Engine.Targets;
using BlockStorage.Engine.Volumes;

namespace BlockStorage.Benchmarks;

/// <summary>What the drivers do for a verb, without service, journal, locks and catalogue.</summary>
internal sealed class BareWork(Sandbox sandbox)
{
    private static readonly CancellationToken Stop = CancellationToken.None;
    private readonly LocalNode _node = sandbox.Node;
    private readonly IVolumeDriver _pool = sandbox.Node.Pool(
        sandbox.Node.VolumeDrivers[0].Identify(Path.Combine(sandbox.Root.Home, "pool"))!);

    private ExportSpec? _export;

    private ITargetDriver Driver => _node.TargetDrivers.First(driver => driver.Name == "Tgt");

    public Task CreateAsync(string id) => _pool.CreateAsync(Identity(BackendKind.Volume, id, ""), thick: false, SilentSink.Instance, Stop);

    public Task SnapshotAsync(string id) => _pool.CreateSnapshotAsync(Identity(BackendKind.Snapshot, Snapshot(id), id), SilentSink.Instance, Stop);

    public async Task PublishAsync(string id)
    {
        var portal = (await Driver.ListAsync(Stop)).Portals[0];
        _export = new ExportSpec(id, $"iqn.2026-01.org.blockstorage:bare:{id}", [portal],
            new LunSpec(1, await _pool.ActivateAsync(id, Stop), false, ContextExtensions.ToSerial(id)), [new GrantSpec("*", null)], null);
        await Driver.PublishAsync(_export, SilentSink.Instance, Stop);
    }

    public Task ConnectAsync(string id) => _node.Connectors[0].ConnectAsync(
        new ConnectionInfo(id, "iscsi", _export!.Portals[0], _export.Iqn, 1, "iqn.2026-01.org.blockstorage:bench", null, null,
            _export.Lun!.Serial, 1L << 30, false, "", TimeSpan.FromSeconds(30)), SilentSink.Instance, Stop);

    public Task DisconnectAsync(string id) => _node.Connectors[0].DisconnectAsync(id, force: false, Stop);

    public async Task RemoveAsync(string id)
    {
        await Driver.UnpublishAsync(_export!.Iqn, force: true, Stop);
        await _pool.DeleteAsync(Snapshot(id), Stop);
        await _pool.DeleteAsync(id, Stop);
    }

    // Another id, the same for the same volume.
    private static string Snapshot(string id) => new(id.Reverse().Select((c, index) => id[index] == '-' ? '-' : c == '-' ? '0' : c).ToArray());

    private static ObjectIdentity Identity(BackendKind kind, string id, string origin) =>
        new(kind, id, id, 1L << 30, origin, "", [], false, "thin", DateTime.UtcNow, null);
}
