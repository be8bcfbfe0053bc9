using BlockStorage.Engine.Host;

namespace BlockStorage.Engine.Tests.Host;

public sealed class LoopDevicesTests : IDisposable
{
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(5);
    private readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [RootFact]
    public async Task A_device_carries_bytes_and_goes_without_a_trace()
    {
        var file = MakeFile("disk", 1 << 20);
        string device;
        using (var loop = LoopDevices.Attach(file, readOnly: false, directIo: false, autoClear: false))
            device = loop.Path;
        Assert.Equal(1 << 20, BlockDevices.Size(device));
        Assert.False(BlockDevices.IsReadOnly(device));
        Assert.Equal(file, LoopDevices.BackingFile(device));
        Assert.Equal([device], LoopDevices.FindByBackingFile(file));

        using (var handle = Native.Open(device, OpenMode.ReadWrite))
        {
            Assert.Equal(1 << 20, Native.DeviceSize(handle, device));
            RandomAccess.Write(handle, "hello"u8, 4096);
            Native.FlushDevice(handle, device);
        }
        Assert.Equal("hello"u8, File.ReadAllBytes(file).AsSpan(4096, 5));

        await LoopDevices.DetachAsync(device, file, Bound, CancellationToken.None);
        await LoopDevices.DetachAsync(device, file, Bound, CancellationToken.None);
        Assert.Empty(LoopDevices.FindByBackingFile(file));
    }

    [RootFact]
    public async Task A_read_only_device_refuses_writes_and_a_grown_file_grows_it()
    {
        var file = MakeFile("disk", 1 << 20);
        using var loop = LoopDevices.Attach(file, readOnly: true, directIo: true, autoClear: false);
        Assert.True(BlockDevices.IsReadOnly(loop.Path));
        using (var handle = Native.Open(loop.Path, OpenMode.ReadOnly))
            Assert.Throws<UnauthorizedAccessException>(() => RandomAccess.Write(handle, "x"u8, 0));

        MakeFile("disk", 3 << 20);
        LoopDevices.SetCapacity(loop.Path);
        Assert.Equal(3 << 20, BlockDevices.Size(loop.Path));
        loop.Dispose();
        await LoopDevices.DetachAsync(loop.Path, file, Bound, CancellationToken.None);
    }

    [RootFact]
    public async Task An_autoclear_device_goes_with_its_last_user()
    {
        var file = MakeFile("disk", 1 << 20);
        using (var loop = LoopDevices.Attach(file, readOnly: false, directIo: false, autoClear: true))
            Assert.Equal([loop.Path], LoopDevices.FindByBackingFile(file));
        Assert.True(await Poll.UntilAsync(() => LoopDevices.FindByBackingFile(file).Count == 0, Bound, CancellationToken.None));
    }

    [RootFact]
    public async Task A_device_is_found_through_a_link_and_after_its_file_lost_its_name()
    {
        var file = MakeFile("disk", 1 << 20);
        Directory.CreateSymbolicLink(_folder.File("link"), _folder.Path);
        using var loop = LoopDevices.Attach(file, readOnly: false, directIo: false, autoClear: false);
        loop.Dispose();
        Assert.Equal([loop.Path], LoopDevices.FindByBackingFile(_folder.File("link/disk")));

        File.Delete(file);
        Assert.Equal([loop.Path], LoopDevices.FindByBackingFile(file));
        MakeFile("disk", 1 << 20);
        Assert.Empty(LoopDevices.FindByBackingFile(file));
        File.Delete(file);
        await LoopDevices.DetachAsync(loop.Path, file, Bound, CancellationToken.None);
        Assert.Null(LoopDevices.BackingFile(loop.Path));
    }

    [RootFact]
    public async Task A_device_that_has_another_file_by_now_is_left_alone()
    {
        var file = MakeFile("disk", 1 << 20);
        using var loop = LoopDevices.Attach(file, readOnly: false, directIo: false, autoClear: true);
        await LoopDevices.DetachAsync(loop.Path, _folder.File("other"), Bound, CancellationToken.None);
        Assert.Equal(file, LoopDevices.BackingFile(loop.Path));
    }

    [RootFact]
    public async Task A_held_device_is_refused_with_its_holder()
    {
        var file = MakeFile("disk", 1 << 20);
        using var loop = LoopDevices.Attach(file, readOnly: false, directIo: false, autoClear: false);
        var error = await Assert.ThrowsAsync<BlockStorageException>(() =>
            LoopDevices.DetachAsync(loop.Path, file, TimeSpan.FromMilliseconds(50), CancellationToken.None));
        Assert.Equal("DeviceInUse", error.ErrorId);
        Assert.Contains(loop.Path, error.Message, StringComparison.Ordinal);
        loop.Dispose();
        Assert.True(await Poll.UntilAsync(() => LoopDevices.BackingFile(loop.Path) is null, Bound, CancellationToken.None));
    }

    [RootFact]
    public async Task Many_at_once_each_get_a_device_of_their_own()
    {
        var loops = await Task.WhenAll(Enumerable.Range(0, 24).Select(i => Task.Run(() =>
            LoopDevices.Attach(MakeFile($"disk{i}", 1 << 20), readOnly: false, directIo: false, autoClear: true))));
        Assert.Equal(24, loops.Select(loop => loop.Path).Distinct().Count());
        foreach (var loop in loops)
            loop.Dispose();
        Assert.True(await Poll.UntilAsync(() => _folder.Leftovers().Count == 0, Bound, CancellationToken.None));
    }

    [RootFact]
    public void A_missing_file_is_a_clear_error()
    {
        var error = Assert.Throws<BlockStorageException>(() =>
            LoopDevices.Attach(_folder.File("none"), readOnly: false, directIo: false, autoClear: true));
        Assert.Equal("IoFailed", error.ErrorId);
        Assert.Contains("none", error.Message, StringComparison.Ordinal);
    }

    private string MakeFile(string name, long size)
    {
        var path = _folder.File(name);
        using var handle = Native.Open(path, OpenMode.ReadWrite | OpenMode.Create);
        Native.SetSize(handle, size, path);
        return path;
    }
}
