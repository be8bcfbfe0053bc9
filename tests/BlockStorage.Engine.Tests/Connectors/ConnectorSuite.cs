using System.Security.Cryptography;
using BlockStorage.Engine.Connectors;
using BlockStorage.Engine.Host;

namespace BlockStorage.Engine.Tests.Connectors;

/// <summary>What every connector must do. A new connector is finished when this is green.</summary>
public abstract class ConnectorSuite : IAsyncLifetime
{
    private protected const long Size = 64 << 20;
    private protected readonly TestFolder _folder = new();
    private protected readonly string _id = Guid.NewGuid().ToString();
    private protected StateRoot _root = null!;
    private protected IConnector _connector = null!;
    private string[] _namelessBefore = [];

    private protected abstract IConnector Make(StateRoot root);

    /// <summary>Makes a volume file of Size bytes and everything that its connection needs.</summary>
    private protected abstract Task<ConnectionInfo> PrepareAsync(bool readOnly = false);

    /// <summary>The file that holds the bytes of the volume.</summary>
    private protected string Volume => _folder.File("a.vol");

    /// <summary>Makes the backing side have a new size, as the owner of the volume does.</summary>
    private protected abstract Task GrowAsync(long size);

    /// <summary>Devices that are the volume, there before and after.</summary>
    private protected virtual IReadOnlyList<string> VolumeDevices => [];

    /// <summary>Ends everything but the connector's own.</summary>
    private protected virtual Task CleanAsync() => Task.CompletedTask;

    public Task InitializeAsync()
    {
        _root = new StateRoot(_folder.Path);
        _connector = Make(_root);
        _namelessBefore = Nameless().ToArray();
        return Task.CompletedTask;
    }

    public async Task DisposeAsync()
    {
        foreach (var connection in await _connector.ListAsync(default))
            await _connector.DisconnectAsync(connection.Id, force: true, default);
        await CleanAsync();
        AssertNothingLeft();
        _folder.Dispose();
    }

    [RootFact]
    public async Task Bytes_go_both_ways_and_disconnect_leaves_nothing()
    {
        var device = await ConnectAsync();
        Assert.Equal(Size, device.Size);
        var bytes = RandomNumberGenerator.GetBytes(3 << 20);
        Write(device.DevicePath, 5 << 20, bytes);
        await _connector.FlushAsync(_id, default);
        Assert.Equal(bytes, Read(Volume, 5 << 20, bytes.Length));
        Assert.Equal(bytes, Read(device.DevicePath, 5 << 20, bytes.Length));

        await _connector.DisconnectAsync(_id, force: false, default);
        await _connector.DisconnectAsync(_id, force: false, default);
        Assert.Empty(await _connector.ListAsync(default));
        Assert.Equal(bytes, Read(Volume, 5 << 20, bytes.Length));
        AssertNothingLeft();
    }

    [RootFact]
    public async Task What_was_written_without_a_flush_is_there_after_disconnect()
    {
        var device = await ConnectAsync();
        var bytes = RandomNumberGenerator.GetBytes(8 << 20);
        Write(device.DevicePath, 0, bytes);
        await _connector.DisconnectAsync(_id, force: false, default);
        Assert.Equal(bytes, Read(Volume, 0, bytes.Length));
    }

    [RootFact]
    public async Task A_second_connect_gives_the_same_device_and_a_new_process_finds_it()
    {
        var info = await PrepareAsync();
        var first = await _connector.ConnectAsync(info, SilentSink.Instance, default);
        Assert.Equal(first, await _connector.ConnectAsync(info, SilentSink.Instance, default));
        var live = Assert.Single(await Make(_root).ListAsync(default));
        Assert.Equal((_id, first.DevicePath, Size, true, ""), (live.Id, live.DevicePath, live.Size, live.Alive, live.Reason));
        Assert.Empty(live.MountPoints);
        await Make(_root).DisconnectAsync(_id, force: false, default);
        AssertNothingLeft();
    }

    [RootFact]
    public async Task Read_only_refuses_writes()
    {
        var info = await PrepareAsync(readOnly: true);
        var device = await _connector.ConnectAsync(info, SilentSink.Instance, default);
        Assert.True(BlockDevices.IsReadOnly(device.DevicePath));
        Assert.ThrowsAny<Exception>(() => Write(device.DevicePath, 0, new byte[4096]));
        Assert.Equal(new byte[4096], Read(device.DevicePath, 0, 4096));
    }

    [RootFact]
    public async Task A_device_of_another_size_is_refused_and_nothing_is_left()
    {
        var info = await PrepareAsync() with { Size = 2 * Size };
        var error = await Assert.ThrowsAsync<BlockStorageException>(() => _connector.ConnectAsync(info, SilentSink.Instance, default));
        Assert.Equal(BlockErrors.WrongDevice, error.Error);
        AssertNothingLeft();
    }

    [RootFact]
    public async Task A_mounted_device_is_kept_unless_forced()
    {
        var device = await ConnectAsync();
        await MakeFileSystemAsync(device.DevicePath);
        var mount = Directory.CreateDirectory(_folder.File("mnt")).FullName;
        Mounts.Mount(device.DevicePath, mount, "ext4");
        File.WriteAllText(Path.Combine(mount, "file"), "content");
        Assert.Equal([mount], Assert.Single(await _connector.ListAsync(default)).MountPoints);

        var error = await Assert.ThrowsAsync<BlockStorageException>(() => _connector.DisconnectAsync(_id, force: false, default));
        Assert.Equal(BlockErrors.DeviceInUse, error.Error);
        Assert.Contains(mount, error.Message, StringComparison.Ordinal);
        Assert.Equal("content", File.ReadAllText(Path.Combine(mount, "file")));

        await _connector.DisconnectAsync(_id, force: true, default);
        Assert.False(Mounts.IsMountPoint(mount));
        AssertNothingLeft();
    }

    [RootFact]
    public async Task A_mounted_file_system_outlives_a_resize()
    {
        var device = await ConnectAsync();
        await MakeFileSystemAsync(device.DevicePath);
        var mount = Directory.CreateDirectory(_folder.File("mnt")).FullName;
        Mounts.Mount(device.DevicePath, mount, "ext4");
        var bytes = RandomNumberGenerator.GetBytes(1 << 20);
        File.WriteAllBytes(Path.Combine(mount, "file"), bytes);
        // As the service does: the file system may write at any moment, and a target that grows may refuse for one.
        await GrowHeldAsync(3 * Size);
        await _connector.ResizeAsync(_id, 3 * Size, default);
        Assert.Equal(3 * Size, BlockDevices.Size(device.DevicePath));
        Assert.Equal(3 * Size, Assert.Single(await _connector.ListAsync(default)).Size);
        AssertSame(bytes, Path.Combine(mount, "file"));
        await Mounts.UnmountAsync(mount, default);
        // Growing while mounted needs a privilege that containers lack.
        await RunAsync("e2fsck", "-fp", device.DevicePath);
        await RunAsync("resize2fs", device.DevicePath);
        Mounts.Mount(device.DevicePath, mount, "ext4");
        Assert.True(new DriveInfo(mount).TotalSize > 2 * Size);
        AssertSame(bytes, Path.Combine(mount, "file"));
        await Mounts.UnmountAsync(mount, default);
    }

    [RootFact]
    public async Task A_writer_sees_no_error_while_I_O_is_held_for_resizes()
    {
        var device = await ConnectAsync();
        using var stop = new CancellationTokenSource();
        var count = 0;
        var writer = Task.Run(() => WriteThrough(device.DevicePath, () => Interlocked.Increment(ref count), stop.Token));
        for (var step = 2; step <= 6; step++)
        {
            var before = Volatile.Read(ref count);
            Assert.True(await Poll.UntilAsync(() => writer.IsCompleted || Volatile.Read(ref count) > before + 3, TimeSpan.FromSeconds(20), default));
            await GrowHeldAsync(step * Size);
            await _connector.ResumeAsync(_id, default);
            await _connector.ResizeAsync(_id, step * Size, default);
            Assert.Equal(step * Size, BlockDevices.Size(device.DevicePath));
        }
        await stop.CancelAsync();
        await writer.WaitAsync(TimeSpan.FromSeconds(20));
        Assert.True(count > 15);
    }

    [RootFact]
    public async Task An_unknown_connection_is_an_error_or_nothing_to_do()
    {
        await _connector.DisconnectAsync(Guid.NewGuid().ToString(), force: false, default);
        await _connector.ResumeAsync(Guid.NewGuid().ToString(), default);
        foreach (var id in new[] { "../x", "", "-rf", Guid.NewGuid() + "/.." })
            Assert.Equal(BlockErrors.InvalidArgument, (await Assert.ThrowsAsync<BlockStorageException>(() => _connector.DisconnectAsync(id, true, default))).Error);
        Assert.Equal(BlockErrors.ConnectionLost, (await Assert.ThrowsAsync<BlockStorageException>(() => _connector.ResizeAsync(_id, Size, default))).Error);
    }

    [RootFact]
    public async Task A_canceled_connect_leaves_nothing()
    {
        var info = await PrepareAsync();
        for (var delay = 0; delay < 60; delay += 12)
        {
            using var cancel = new CancellationTokenSource(TimeSpan.FromMilliseconds(delay));
            try
            {
                await _connector.ConnectAsync(info, SilentSink.Instance, cancel.Token);
                await _connector.DisconnectAsync(_id, force: false, default);
            }
            catch (OperationCanceledException)
            {
                Assert.Empty(await _connector.ListAsync(default));
            }
            AssertNothingLeft();
        }
    }

    private protected async Task<ConnectedDevice> ConnectAsync() =>
        await _connector.ConnectAsync(await PrepareAsync(), SilentSink.Instance, default);

    private protected virtual void AssertNothingLeft()
    {
        Assert.Empty(_folder.Leftovers().Except(VolumeDevices));
        // Other tests that run now may be in the middle of cutting one.
        Assert.True(SpinWait.SpinUntil(() => !Nameless().Except(_namelessBefore).Any(), TimeSpan.FromSeconds(5)), "a loop device without a file is left");
        Assert.Empty(ProcessTable.FindByArgument($"{_folder.Path}/run/conn-"));
        if (Directory.Exists(_root.RunFolder))
            Assert.Empty(Directory.EnumerateFileSystemEntries(_root.RunFolder, "conn-*"));
    }

    // A device whose FUSE file went first shows "/" and is found by no path any more.
    private static IEnumerable<string> Nameless() => LoopDevices.List().Where(pair => pair.BackingFile == "/").Select(pair => pair.Device);

    private protected static void Write(string path, long offset, byte[] bytes)
    {
        using var handle = Native.Open(path, OpenMode.WriteOnly);
        RandomAccess.Write(handle, bytes, offset);
    }

    private protected static byte[] Read(string path, long offset, int length)
    {
        using var handle = Native.Open(path, OpenMode.ReadOnly);
        var bytes = new byte[length];
        Assert.Equal(length, RandomAccess.Read(handle, bytes, offset));
        return bytes;
    }

    /// <summary>Writes through to the target, block by block, until told to stop; any error ends the test.</summary>
    private protected static void WriteThrough(string path, Action written, CancellationToken stop)
    {
        using var handle = Native.Open(path, OpenMode.WriteOnly);
        var bytes = new byte[64 << 10];
        for (var count = 0; !stop.IsCancellationRequested; count++)
        {
            bytes.AsSpan().Fill((byte)count);
            RandomAccess.Write(handle, bytes, count % 100 * bytes.Length);
            Native.Sync(handle, path);
            written();
        }
    }

    private async Task GrowHeldAsync(long size)
    {
        await _connector.PauseAsync(_id, default);
        try
        {
            await GrowAsync(size);
        }
        finally
        {
            await _connector.ResumeAsync(_id, default);
        }
    }

    // Says which stretches differ: how long they are and where they begin tells which layer lost them.
    private static void AssertSame(byte[] expected, string file)
    {
        var read = File.ReadAllBytes(file);
        Assert.Equal(expected.Length, read.Length);
        var differ = Enumerable.Range(0, expected.Length / 512).Where(i => !expected.AsSpan(i * 512, 512).SequenceEqual(read.AsSpan(i * 512, 512))).ToArray();
        Assert.True(differ.Length == 0, $"{differ.Length} sectors differ, from {differ.FirstOrDefault()} to {differ.LastOrDefault()}; "
            + $"{differ.Count(i => read.AsSpan(i * 512, 512).ContainsAnyExcept((byte)0))} of them are not zero: {string.Join(' ', differ.Take(64))}");
    }

    private protected static Task MakeFileSystemAsync(string device) => RunAsync("mkfs.ext4", "-q", device);

    private static Task RunAsync(string program, params string[] arguments) => new CommandRunner().RunCheckedAsync(
        new Command(program, arguments, TimeSpan.FromSeconds(60)), SilentSink.Instance, default);
}
