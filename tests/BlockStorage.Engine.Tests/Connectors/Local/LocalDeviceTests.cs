using BlockStorage.Engine.Connectors;
using BlockStorage.Engine.Connectors.Local;
using BlockStorage.Engine.Host;

namespace BlockStorage.Engine.Tests.Connectors.Local;

/// <summary>A volume that is a device of its own, as those of LVM are; a loop device stands for it here, reached by a link as theirs are.</summary>
public sealed class LocalDeviceTests : ConnectorSuite
{
    private LoopDevice? _device;

    private string Link => _folder.File("by-name");

    private protected override IConnector Make(StateRoot root) => new LocalConnector(root);

    private protected override Task<ConnectionInfo> PrepareAsync(bool readOnly = false)
    {
        SetSize(Size);
        _device = LoopDevices.Attach(Volume, readOnly: false, directIo: false, autoClear: true);
        File.CreateSymbolicLink(Link, _device.Path);
        return Task.FromResult(new ConnectionInfo(_id, "local", null, "", 0, "", null, null, "0123", Size, readOnly, Link, TimeSpan.FromSeconds(10)));
    }

    private protected override Task GrowAsync(long size)
    {
        SetSize(size);
        LoopDevices.SetCapacity(_device!.Path);
        return Task.CompletedTask;
    }

    private protected override IReadOnlyList<string> VolumeDevices => _device is null ? [] : [_device.Path];

    private protected override Task CleanAsync()
    {
        _device?.Dispose();
        return Task.CompletedTask;
    }

    [RootFact]
    public async Task The_device_is_the_volume_itself_and_stays()
    {
        var device = await ConnectAsync();
        Assert.Equal(Link, device.DevicePath);
        Assert.Empty(LoopDevices.FindByBackingFile(Link));
        await _connector.DisconnectAsync(_id, force: true, default);
        Assert.Equal(Volume, LoopDevices.BackingFile(_device!.Path));
    }

    [RootFact]
    public async Task A_writable_device_is_looped_for_a_read_only_connection()
    {
        var device = await _connector.ConnectAsync(await PrepareAsync(readOnly: true), SilentSink.Instance, default);
        Assert.Equal([device.DevicePath], LoopDevices.FindByBackingFile(Link));
        Assert.False(BlockDevices.IsReadOnly(Link));
        await _connector.DisconnectAsync(_id, force: false, default);
        Assert.Empty(LoopDevices.FindByBackingFile(Link));
    }

    [RootFact]
    public async Task A_device_that_did_not_grow_is_told()
    {
        await ConnectAsync();
        var error = await Assert.ThrowsAsync<BlockStorageException>(() => _connector.ResizeAsync(_id, 2 * Size, default));
        Assert.Equal(BlockErrors.WrongDevice, error.Error);
    }

    private void SetSize(long size)
    {
        using var file = File.OpenHandle(Volume, FileMode.OpenOrCreate, FileAccess.Write, FileShare.ReadWrite);
        RandomAccess.SetLength(file, size);
    }
}
