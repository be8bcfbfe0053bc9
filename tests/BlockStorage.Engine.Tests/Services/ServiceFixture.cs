using BlockStorage.Engine.Host;
using BlockStorage.Engine.Nodes;
using BlockStorage.Services;

namespace BlockStorage.Engine.Tests.Services;

/// <summary>A service over a state folder of its own; at the end it proves that nothing of it is left.</summary>
public class ServiceFixture : IAsyncLifetime
{
    private readonly List<BlockStorageService> _services = [];

    public string Home { get; } = $"/tmp/bs-{Guid.NewGuid():N}"[..16];

    internal StateRoot Root => new(Home);

    public IBlockStorageService Service { get; private set; } = null!;

    public CancellationToken Stop => CancellationToken.None;

    /// <summary>A loopback address of its own, so that tests at the same time never want the same port; false leaves the folder unmade.</summary>
    public bool OwnAddress { get; init; } = true;

    public async Task InitializeAsync()
    {
        Service = Open();
        if (OwnAddress)
            await Run(Service.SetConfigurationAsync(new SetConfigurationRequest($"127.{Random.Shared.Next(1, 255)}.{Random.Shared.Next(256)}.{Random.Shared.Next(1, 255)}"), Stop));
    }

    /// <summary>Another service over the same folder, as another process has it.</summary>
    internal BlockStorageService Open(Action<string>? boundary = null)
    {
        var service = new BlockStorageService(Root, MakeNode(), boundary);
        _services.Add(service);
        return service;
    }

    /// <summary>The machine as the services see it.</summary>
    private protected virtual INode MakeNode() => new LocalNode(Root);

    public Task<T> Run<T>(Task<BlockPlan<T>> plan) => RunOn(plan);

    public static async Task<T> RunOn<T>(Task<BlockPlan<T>> plan) =>
        await (await plan).RunAsync(SilentSink.Instance, CancellationToken.None);

    public static async Task<BlockStorageException> Fails<T>(Task<BlockPlan<T>> plan, BlockError error)
    {
        var thrown = await Assert.ThrowsAsync<BlockStorageException>(async () => await RunOn(plan));
        Assert.Equal(error.Id, thrown.ErrorId);
        Assert.NotEmpty(thrown.NextStep);
        return thrown;
    }

    public async Task DisposeAsync()
    {
        foreach (var connection in await Service.GetConnectionsAsync(new ConnectionQuery(), Stop))
            await Run(Service.DisconnectAsync(connection.Id, force: true, Stop));
        foreach (var target in await Service.GetTargetsAsync(new TargetQuery(), Stop))
            await Run(Service.RemoveTargetAsync(target.Id, force: true, Stop));
        foreach (var volume in await Service.GetVolumesAsync(new VolumeQuery(), Stop))
            await Run(Service.RemoveVolumeAsync(volume.Id, cascade: true, force: true, Stop));
        foreach (var pool in await Service.GetPoolsAsync(new ObjectQuery(), Stop))
            await Run(Service.RemovePoolAsync(pool.Id, Stop));
        foreach (var service in _services)
            await service.DisposeAsync();
        Leftovers.AssertNone(Home);
        Directory.Delete(Home, recursive: true);
    }
}
