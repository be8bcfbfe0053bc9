using BlockStorage.Engine.Host;
using BlockStorage.Services;

namespace BlockStorage.TestHost;

/// <summary>Short forms of the service's verbs by name, as a user types them.</summary>
internal sealed class Verbs(IBlockStorageService service)
{
    private static readonly CancellationToken Stop = CancellationToken.None;

    /// <summary>Runs one verb on the volume of that name.</summary>
    public async Task RunAsync(string verb, string name)
    {
        switch (verb)
        {
            case "create":
                await Run(service.NewVolumeAsync(new NewVolumeRequest(name, 8 << 20, Pool: "default"), Stop));
                break;
            case "clone":
                await Run(service.NewVolumeAsync(new NewVolumeRequest(name + "-clone", FromVolume: name), Stop));
                break;
            case "rename":
                await Run(service.RenameVolumeAsync(await Id(name), name + "-renamed", Stop));
                break;
            case "snapshot":
                await Run(service.NewSnapshotAsync(new NewSnapshotRequest(await Id(name), name + "-snap"), Stop));
                break;
            case "restore":
                await Run(service.RestoreSnapshotAsync((await service.GetSnapshotsAsync(new SnapshotQuery([name + "-snap"]), Stop))[0].Id, Stop));
                break;
            case "resize":
                await Run(service.ResizeVolumeAsync(await Id(name), new ResizeVolumeRequest(Increase: 4 << 20), Stop));
                break;
            case "publish":
                await Run(service.PublishAsync(new PublishRequest(await Id(name)), Stop));
                break;
            case "grant":
                await Run(service.GrantAccessAsync(await TargetId(name), "iqn.2026-01.org.example:other", null, false, Stop));
                break;
            case "revoke":
                await Run(service.RevokeAccessAsync(await TargetId(name), "iqn.2026-01.org.example:other", Stop));
                break;
            case "unpublish":
                await Run(service.UnpublishAsync(await TargetId(name), force: false, Stop));
                break;
            case "connect":
                await Run(service.ConnectAsync(new ConnectRequest(await Id(name)), Stop));
                break;
            case "disconnect":
                await Run(service.DisconnectAsync((await service.GetConnectionsAsync(new ConnectionQuery([name]), Stop))[0].Id, false, Stop));
                break;
            case "remove-snapshot":
                await Run(service.RemoveSnapshotAsync((await service.GetSnapshotsAsync(new SnapshotQuery([name + "-snap"]), Stop))[0].Id, false, Stop));
                break;
            case "remove":
                await Run(service.RemoveVolumeAsync(await Id(name), cascade: true, force: true, Stop));
                break;
            default:
                throw new ArgumentException($"Unknown verb {verb}.", nameof(verb));
        }
    }

    private static async Task Run<T>(Task<BlockPlan<T>> plan) => await (await plan).RunAsync(SilentSink.Instance, Stop);

    private async Task<string> Id(string name) => (await service.GetVolumesAsync(new VolumeQuery([name]), Stop)) switch
    {
        [var volume] => volume.Id,
        _ => throw new BlockStorageException(BlockErrors.VolumeNotFound, $"There is no volume '{name}'.", name),
    };

    private async Task<string> TargetId(string name) => (await service.GetTargetsAsync(new TargetQuery(Volume: [name]), Stop)) switch
    {
        [var target, ..] => target.Id,
        _ => throw new BlockStorageException(BlockErrors.TargetNotFound, $"'{name}' is not published.", name),
    };
}
