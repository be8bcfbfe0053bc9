using BlockStorage.Engine.Host;
using BlockStorage.Engine.Operations;
using BlockStorage.Engine.Tests.Crash;

namespace BlockStorage.Engine.Tests.Operations;

public sealed class ResourceLocksTests : IDisposable
{
    private static readonly TimeSpan Short = TimeSpan.FromMilliseconds(100);
    private static readonly LockKey Pool = new(LockKind.Pool, "p");
    private static readonly LockKey Volume = new(LockKind.Volume, "v");
    private readonly TestFolder _folder = new();

    private StateRoot Root => new(_folder.Path);

    public void Dispose()
    {
        var left = Directory.Exists(Root.LockFolder) ? Directory.GetFileSystemEntries(Root.LockFolder) : [];
        _folder.Dispose();
        Assert.Empty(left);
    }

    private ResourceLocks Acquire(params LockKey[] keys) => ResourceLocks.Acquire(Root, keys, "test", Short, CancellationToken.None);

    [Fact]
    public void All_are_held_and_all_are_given_back()
    {
        using (Acquire(Volume, Pool))
        {
            Assert.Null(ResourceLocks.TryAcquire(Root, [Pool], "x"));
            Assert.Null(ResourceLocks.TryAcquire(Root, [Volume], "x"));
            Assert.Null(ResourceLocks.TryAcquire(Root, [new LockKey(LockKind.Snapshot, "free"), Volume], "x"));
            Assert.Equal(2, Directory.GetFiles(Root.LockFolder).Length);
        }
        using var again = ResourceLocks.TryAcquire(Root, [Pool, Volume], "x");
        Assert.NotNull(again);
    }

    [Fact]
    public void What_was_taken_is_given_back_when_a_later_one_cannot_be_had()
    {
        using (Acquire(Volume))
        {
            var error = Assert.Throws<BlockStorageException>(() => Acquire(Pool, Volume));
            Assert.Equal(BlockErrors.LockTimeout.Id, error.ErrorId);
            Assert.Contains($"process {Environment.ProcessId} (test)", error.Message, StringComparison.Ordinal);
            Assert.Equal(["volume-v"], Directory.GetFiles(Root.LockFolder).Select(Path.GetFileName));
        }
    }

    [Fact]
    public void The_same_thing_named_twice_is_taken_once_and_alone()
    {
        using var held = Acquire(LockKey.PoolShared("p"), Pool);
        Assert.Null(ResourceLocks.TryAcquire(Root, [LockKey.PoolShared("p")], "x"));
    }

    [Fact]
    public void Many_work_in_a_pool_but_one_on_it()
    {
        using (Acquire(LockKey.PoolShared("p"), new LockKey(LockKind.Volume, "a")))
        using (Acquire(LockKey.PoolShared("p"), new LockKey(LockKind.Volume, "b")))
            Assert.Null(ResourceLocks.TryAcquire(Root, [Pool], "x"));
        using var alone = ResourceLocks.TryAcquire(Root, [Pool], "x");
        Assert.NotNull(alone);
    }

    [Fact]
    public async Task Two_that_want_the_same_in_other_orders_never_wait_for_each_other()
    {
        var rounds = 0;
        await Task.WhenAll(new[] { new[] { Pool, Volume }, [Volume, Pool] }.Select(keys => Task.Run(() =>
        {
            for (var round = 0; round < 100; round++)
            {
                using var held = ResourceLocks.Acquire(Root, keys, "x", TimeSpan.FromSeconds(20), CancellationToken.None);
                rounds++;
            }
        })));
        Assert.Equal(200, rounds);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Files_of_killed_processes_are_swept_and_living_ones_stay(bool named)
    {
        using var living = Acquire(Pool);
        var dead = Path.Combine(Root.LockFolder, Volume.FileName);
        using var holder = HostProcess.Start("hold", dead, "exclusive");
        Assert.Equal("held", await holder.StandardOutput.ReadLineAsync());
        ResourceLocks.SweepDead(Root);
        Assert.True(File.Exists(dead));
        holder.Kill();
        await holder.WaitForExitAsync();
        // Killed before it could say who it is.
        if (!named)
            await File.WriteAllTextAsync(dead, "");
        Assert.True(File.Exists(dead));
        ResourceLocks.SweepDead(Root);
        Assert.Equal([Pool.FileName], Directory.GetFiles(Root.LockFolder).Select(Path.GetFileName));
        Assert.Null(ResourceLocks.TryAcquire(Root, [Pool], "x"));
    }

    [RootFact]
    public async Task On_a_full_file_system_locks_still_work()
    {
        StateRoot.EnsureFolder(Root.LockFolder);
        Mounts.Mount("tmpfs", Root.LockFolder, "tmpfs", options: "size=4k");
        try
        {
            using (var ballast = File.Create(Path.Combine(Root.LockFolder, "ballast")))
                Assert.Throws<IOException>(() => { ballast.Write(new byte[64 << 10]); ballast.Flush(); });
            using (Acquire(Volume))
                Assert.Null(ResourceLocks.TryAcquire(Root, [Volume], "x"));
            Assert.Equal(["ballast"], Directory.GetFiles(Root.LockFolder).Select(Path.GetFileName));
        }
        finally
        {
            await Mounts.UnmountAsync(Root.LockFolder, default);
        }
    }
}
