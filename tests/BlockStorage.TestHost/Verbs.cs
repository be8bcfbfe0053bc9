using BlockStorage.Engine.Host;
using BlockStorage.Services;

namespace BlockStorage.TestHost;

/// <summary>Short forms of the service's verbs by name, as a user types them.</summary>
/// <param name="service">Service.</param>
/// <param name="place">Where a new pool goes: a disk, or a folder.</param>
internal sealed class Verbs(IBlockStorageService service, string place = "")
{
    private const string Other = "iqn.2026-01.org.example:other";
    private const long Size = 8 << 20;
    private static readonly CancellationToken Stop = CancellationToken.None;

    /// <summary>IQN of the target that is made by itself.</summary>
    public static string Iqn(string name) => $"iqn.2026-01.org.example:{name}";

    /// <summary>Makes a pool; a disk becomes a volume group, a folder gets an image.</summary>
    public static NewPoolRequest Pool(string name, string place) => place.StartsWith("/dev/", StringComparison.Ordinal)
        ? new NewPoolRequest(name, "Lvm", "", 1 << 30, Disk: [place])
        : new NewPoolRequest(name, "File", $"{place}/{name}", 400 << 20);

    /// <summary>Runs one verb on the volume of that name.</summary>
    public Task RunAsync(string verb, string name) =>
        VolumeAsync(verb, name) ?? SnapshotAsync(verb, name) ?? TargetAsync(verb, name) ?? ConnectionAsync(verb, name) ?? PoolAsync(verb, name)
        ?? throw new ArgumentException($"Unknown verb {verb}.", nameof(verb));

    private Task? VolumeAsync(string verb, string name) => verb switch
    {
        "create" => Run(service.NewVolumeAsync(new NewVolumeRequest(name, Size, Pool: "default"), Stop)),
        "create-thick" => Run(service.NewVolumeAsync(new NewVolumeRequest(name, Size, Pool: "default", Provisioning: "thick"), Stop)),
        "clone" => Run(service.NewVolumeAsync(new NewVolumeRequest(name + "-clone", FromVolume: name), Stop)),
        "clone-thick" => Run(service.NewVolumeAsync(new NewVolumeRequest(name + "-clone", FromVolume: name, Provisioning: "thick"), Stop)),
        "from-snapshot" => Run(service.NewVolumeAsync(new NewVolumeRequest(name + "-clone", FromSnapshot: name + "-snap"), Stop)),
        "rename" => On(name, id => service.RenameVolumeAsync(id, name + "-renamed", Stop)),
        "set" => On(name, id => service.SetVolumeAsync(id, new SetVolumeRequest("swept", ["a", "b"]), Stop)),
        "lock" => On(name, id => service.SetVolumeAsync(id, new SetVolumeRequest(ReadOnly: true), Stop)),
        "resize" => On(name, id => service.ResizeVolumeAsync(id, new ResizeVolumeRequest(Increase: 4 << 20), Stop)),
        "shrink" => On(name, id => service.ResizeVolumeAsync(id, new ResizeVolumeRequest(Size / 2, AllowShrink: true), Stop)),
        "remove" => On(name, id => service.RemoveVolumeAsync(id, cascade: true, force: true, Stop)),
        "write-a" => WriteAsync(name, (byte)'a'),
        "write-b" => WriteAsync(name, (byte)'b'),
        _ => null,
    };

    private Task? SnapshotAsync(string verb, string name) => verb switch
    {
        "snapshot" => On(name, id => service.NewSnapshotAsync(new NewSnapshotRequest(id, name + "-snap"), Stop)),
        "set-snapshot" => OnSnapshot(name, id => service.SetSnapshotAsync(id, new SetSnapshotRequest("swept", ["a"]), Stop)),
        "restore" => OnSnapshot(name, id => service.RestoreSnapshotAsync(id, Stop)),
        "remove-snapshot" => OnSnapshot(name, id => service.RemoveSnapshotAsync(id, false, Stop)),
        "publish-snapshot" => OnSnapshot(name, id => service.PublishAsync(new PublishRequest(SnapshotId: id), Stop)),
        "connect-snapshot" => OnSnapshot(name, id => service.ConnectAsync(new ConnectRequest(SnapshotId: id), Stop)),
        _ => null,
    };

    private Task? TargetAsync(string verb, string name) => verb switch
    {
        "new-target" => Run(service.NewTargetAsync(new NewTargetRequest(Iqn(name)), Stop)),
        "set-target" => OnTarget(name, id => service.SetTargetAsync(id, new SetTargetRequest(new ChapCredential("swept", "sweep-secret-2")), Stop)),
        "remove-target" => OnTarget(name, id => service.RemoveTargetAsync(id, force: false, Stop)),
        "publish" => On(name, id => service.PublishAsync(new PublishRequest(id), Stop)),
        "publish-on" => On(name, id => service.PublishAsync(new PublishRequest(id, TargetIqn: Iqn(name)), Stop)),
        "grant" => OnTarget(name, id => service.GrantAccessAsync(id, Other, null, false, Stop)),
        "revoke" => OnTarget(name, id => service.RevokeAccessAsync(id, Other, Stop)),
        "unpublish" => OnTarget(name, id => service.UnpublishAsync(id, force: false, Stop)),
        _ => null,
    };

    private Task? ConnectionAsync(string verb, string name) => verb switch
    {
        "connect" => On(name, id => service.ConnectAsync(new ConnectRequest(id), Stop)),
        "connect-persistent" => On(name, id => service.ConnectAsync(new ConnectRequest(id, Persistent: true), Stop)),
        "disconnect" => DisconnectAsync(name),
        _ => null,
    };

    private Task? PoolAsync(string verb, string name) => verb switch
    {
        "new-pool" => Run(service.NewPoolAsync(Pool(name + "-pool", place), Stop)),
        "set-pool" => OnPool(name, id => service.SetPoolAsync(id, new SetPoolRequest(WarningPercent: 70, Description: "swept"), Stop)),
        "rename-pool" => OnPool(name, id => service.RenamePoolAsync(id, name + "-other", Stop)),
        "remove-pool" => OnPool(name, id => service.RemovePoolAsync(id, Stop)),
        _ => null,
    };

    private static async Task Run<T>(Task<BlockPlan<T>> plan) => await (await plan).RunAsync(SilentSink.Instance, Stop);

    private async Task On<T>(string name, Func<string, Task<BlockPlan<T>>> plan) => await Run(plan((await VolumeOf(name)).Id));

    private async Task OnSnapshot<T>(string name, Func<string, Task<BlockPlan<T>>> plan) =>
        await Run(plan((await service.GetSnapshotsAsync(new SnapshotQuery([name + "-snap"]), Stop))[0].Id));

    private async Task OnPool<T>(string name, Func<string, Task<BlockPlan<T>>> plan) =>
        await Run(plan((await service.GetPoolsAsync(new ObjectQuery([name + "-pool"]), Stop))[0].Id));

    private async Task OnTarget<T>(string name, Func<string, Task<BlockPlan<T>>> plan)
    {
        var found = await service.GetTargetsAsync(new TargetQuery(Volume: [name]), Stop);
        if (found.Count == 0)
            found = await service.GetTargetsAsync(new TargetQuery([Iqn(name)]), Stop);
        await Run(plan(found is [var target, ..] ? target.Id
            : throw new BlockStorageException(BlockErrors.TargetNotFound, $"'{name}' is not published.", name)));
    }

    private async Task DisconnectAsync(string name) =>
        await Run(service.DisconnectAsync((await service.GetConnectionsAsync(new ConnectionQuery([name]), Stop))[0].Id, false, Stop));

    private async Task<BlockVolume> VolumeOf(string name) => (await service.GetVolumesAsync(new VolumeQuery([name]), Stop)) switch
    {
        [var volume] => volume,
        _ => throw new BlockStorageException(BlockErrors.VolumeNotFound, $"There is no volume '{name}'.", name),
    };

    private async Task WriteAsync(string name, byte value)
    {
        using var data = File.OpenHandle((await VolumeOf(name)).Path, FileMode.Open, FileAccess.Write);
        RandomAccess.Write(data, Enumerable.Repeat(value, 1 << 20).ToArray(), 0);
        RandomAccess.FlushToDisk(data);
    }
}
