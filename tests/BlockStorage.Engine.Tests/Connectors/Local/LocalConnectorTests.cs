using BlockStorage.Engine.Connectors;
using BlockStorage.Engine.Connectors.Local;
using BlockStorage.Engine.Host;

namespace BlockStorage.Engine.Tests.Connectors.Local;

public sealed class LocalConnectorTests : ConnectorSuite
{
    private protected override IConnector Make(StateRoot root) => new LocalConnector(root);

    private protected override Task<ConnectionInfo> PrepareAsync(bool readOnly = false)
    {
        SetSize(Size);
        return Task.FromResult(new ConnectionInfo(_id, "local", null, "", 0, "", null, null, "0123", Size, readOnly, Volume, TimeSpan.FromSeconds(10)));
    }

    private protected override Task GrowAsync(long size)
    {
        SetSize(size);
        return Task.CompletedTask;
    }

    [RootFact]
    public async Task A_device_made_just_before_a_kill_is_found_and_a_foreign_one_is_left_alone()
    {
        var info = await PrepareAsync();
        using var foreign = LoopDevices.Attach(Volume, readOnly: true, directIo: false, autoClear: true);
        await _connector.ConnectAsync(info, SilentSink.Instance, default);
        var folder = ConnectionFolder.Of(_root, _id);
        var state = folder.Load()!;
        var made = state.Device;
        folder.Save(state with { Device = "" });

        Assert.Equal(made, Assert.Single(await _connector.ListAsync(default)).DevicePath);
        await _connector.DisconnectAsync(_id, force: false, default);
        Assert.Equal([foreign.Path], LoopDevices.FindByBackingFile(Volume));
    }

    [RootFact]
    public async Task Probe_is_usable_here() => Assert.True((await _connector.ProbeAsync(default)).Usable);

    private void SetSize(long size)
    {
        using var file = File.OpenHandle(Volume, FileMode.OpenOrCreate, FileAccess.Write, FileShare.ReadWrite);
        RandomAccess.SetLength(file, size);
    }
}
