using BlockStorage.Engine.Host;
using BlockStorage.Engine.Volumes;

namespace BlockStorage.Engine.Tests.Volumes;

/// <summary>Pools with an image of their own: mounts, loop devices, reboots.</summary>
public sealed class FilePoolImageTests : IAsyncLifetime
{
    private const long MiB = 1 << 20;
    private readonly TestFolder _folder = new();
    private readonly RecordingSink _sink = new();
    private IVolumeDriver _pool = null!;

    public Task InitializeAsync()
    {
        _pool = FilePools.Open(_folder.File("pool"), 320 * MiB);
        return Task.CompletedTask;
    }

    public Task DisposeAsync()
    {
        _folder.Dispose();
        return Task.CompletedTask;
    }

    [RootFact]
    public async Task It_is_mounted_again_after_a_reboot_by_many_at_once_and_only_once()
    {
        await _pool.CreatePoolAsync(_sink, default);
        var volume = FilePools.Identity("v", 8 * MiB);
        await _pool.CreateAsync(volume, false, _sink, default);
        var path = await _pool.ActivateAsync(volume.Id, default);
        await File.WriteAllBytesAsync(path, Enumerable.Repeat((byte)9, (int)(8 * MiB)).ToArray());
        await RebootAsync();

        var status = await _pool.GetPoolAsync(default);
        Assert.False(status.Usable);
        Assert.Contains("not mounted", status.Health, StringComparison.Ordinal);
        Assert.True(status.SharesExtents);
        Assert.False(Mounts.IsMountPoint(_folder.File("pool/data")));
        await FilePools.FailsAsync("PoolUnavailable", () => _pool.CreateAsync(FilePools.Identity("w", MiB), false, _sink, default));
        Assert.Empty(Directory.GetFileSystemEntries(_folder.File("pool/data")));

        await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => _pool.OpenPoolAsync(_sink, default)));
        Assert.Single(Mounts.List(), mount => mount.Target == _folder.File("pool/data"));
        Assert.Single(LoopDevices.FindByBackingFile(_folder.File("pool/pool.img")));
        Assert.All(await File.ReadAllBytesAsync(path), b => Assert.Equal(9, b));
        Assert.True((await _pool.GetPoolAsync(default)).Usable);

        await RebootAsync();
        await FilePools.FailsAsync("PoolNotEmpty", () => _pool.DestroyPoolAsync(_sink, default));
        await _pool.DeleteAsync(volume.Id, default);
        await RebootAsync();
        await _pool.DestroyPoolAsync(_sink, default);
        Assert.Empty(Directory.GetFileSystemEntries(_folder.Path));
        Assert.Empty(_folder.Leftovers());
    }

    [RootFact]
    public async Task Removed_volumes_give_their_space_back_below_the_image()
    {
        await _pool.CreatePoolAsync(_sink, default);
        var image = _folder.File("pool/pool.img");
        var volume = FilePools.Identity("v", 128 * MiB);
        await _pool.CreateAsync(volume, false, _sink, default);
        var path = await _pool.ActivateAsync(volume.Id, default);
        using (var handle = Native.Open(path, OpenMode.ReadWrite))
        {
            Native.Write(handle, new byte[128 * MiB].AsSpan(), 0, path);
            Native.Sync(handle, path);
        }
        Assert.True(Native.Stat(image)!.Value.Allocated >= 128 * MiB);
        await _pool.DeleteAsync(volume.Id, default);
        // Discards follow the log, which XFS writes out every half a minute and when it is unmounted.
        await RebootAsync();
        Assert.InRange(Native.Stat(image)!.Value.Allocated, 0, 100 * MiB);
        await _pool.DestroyPoolAsync(_sink, default);
    }

    [RootFact]
    public async Task A_pool_half_made_by_a_kill_is_finished_or_removed()
    {
        var spec = FilePools.Factory.Check(FilePools.Spec(_folder.File("pool"), 320 * MiB));
        var pool = FilePools.Factory.Open(spec);
        await pool.CreatePoolAsync(_sink, default);
        File.Delete(_folder.File("pool/data/.blockstorage-pool"));
        await RebootAsync();
        Assert.False((await pool.GetPoolAsync(default)).Usable);
        await FilePools.FailsAsync("PoolUnavailable", () => pool.OpenPoolAsync(_sink, default));
        Assert.Empty(_folder.Leftovers());
        await pool.CreatePoolAsync(_sink, default);
        Assert.True((await pool.GetPoolAsync(default)).Usable);

        File.Delete(_folder.File("pool/data/.blockstorage-pool"));
        await pool.DestroyPoolAsync(_sink, default);
        Assert.Empty(Directory.GetFileSystemEntries(_folder.Path));

        Directory.CreateDirectory(_folder.File("pool"));
        File.WriteAllText(_folder.File("pool/pool.img.new"), "half");
        await pool.CreatePoolAsync(_sink, default);
        Assert.True((await pool.GetPoolAsync(default)).Usable);
        await pool.DestroyPoolAsync(_sink, default);
        Assert.Empty(Directory.GetFileSystemEntries(_folder.File("pool")));
    }

    [RootFact]
    public async Task Making_a_pool_again_never_harms_what_is_in_it()
    {
        await _pool.CreatePoolAsync(_sink, default);
        var volume = FilePools.Identity("v", MiB);
        await _pool.CreateAsync(volume, false, _sink, default);
        await RebootAsync();
        // Something else on the mount point makes every attempt fail.
        Mounts.Mount("none", _folder.File("pool/data"), "tmpfs");
        await FilePools.FailsAsync("PoolUnavailable", () => _pool.CreatePoolAsync(_sink, default));
        await FilePools.FailsAsync("PoolUnavailable", () => _pool.DestroyPoolAsync(_sink, default));
        Assert.Equal("tmpfs", Mounts.At(_folder.File("pool/data"))!.FileSystem);
        await Mounts.UnmountAsync(_folder.File("pool/data"), default);

        await _pool.CreatePoolAsync(_sink, default);
        Assert.Equal(volume.Id, Assert.Single(await _pool.ListAsync(default)).Id);
        await _pool.DeleteAsync(volume.Id, default);
        await _pool.DestroyPoolAsync(_sink, default);
        Assert.False(Directory.Exists(_folder.File("pool")));
    }

    [RootFact]
    public async Task A_maker_that_fails_leaves_nothing()
    {
        var pool = new BlockStorage.Engine.Volumes.File.FileVolumeDriver(
            FilePools.Spec(_folder.File("pool"), 320 * MiB), new FailingRunner());
        await FilePools.FailsAsync("ToolFailed", () => pool.CreatePoolAsync(_sink, default));
        Assert.Empty(Directory.GetFileSystemEntries(_folder.Path));
    }

    private async Task RebootAsync()
    {
        await Mounts.UnmountAsync(_folder.File("pool/data"), default);
        Assert.True(await Poll.UntilAsync(() => _folder.Leftovers().Count == 0, TimeSpan.FromSeconds(20), default));
    }

    private sealed class FailingRunner : ICommandRunner
    {
        public string? Find(string program) => "/bin/false";

        public Task<CommandResult> RunAsync(Command command, BlockStorage.Services.IWorkSink sink, CancellationToken cancel) =>
            Task.FromResult(new CommandResult(1, "", "no"));
    }
}
