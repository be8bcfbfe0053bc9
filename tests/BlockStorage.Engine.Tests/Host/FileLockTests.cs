using System.Diagnostics;
using BlockStorage.Engine.Host;
using BlockStorage.Engine.Tests.Crash;

namespace BlockStorage.Engine.Tests.Host;

public sealed class FileLockTests : IDisposable
{
    private static readonly TimeSpan Short = TimeSpan.FromMilliseconds(200);
    private readonly TestFolder _folder = new();

    private string File => _folder.File("lock");

    public void Dispose()
    {
        var left = Directory.GetFileSystemEntries(_folder.Path);
        _folder.Dispose();
        Assert.Empty(left);
    }

    [Fact]
    public void Only_one_has_it_and_the_file_goes_with_it()
    {
        using (var one = FileLock.Try(File))
        {
            Assert.NotNull(one);
            Assert.Null(FileLock.Try(File));
            Assert.Null(FileLock.Try(File, shared: true));
        }
        Assert.False(System.IO.File.Exists(File));
        FileLock.Try(File)!.Dispose();
    }

    [Fact]
    public void Shared_ones_shut_out_an_exclusive_one_until_the_last_is_gone()
    {
        var (one, two) = (FileLock.Try(File, shared: true), FileLock.Try(File, shared: true));
        Assert.NotNull(one);
        Assert.NotNull(two);
        Assert.Null(FileLock.Try(File));
        one.Dispose();
        Assert.Null(FileLock.Try(File));
        Assert.True(System.IO.File.Exists(File));
        two.Dispose();
        Assert.False(System.IO.File.Exists(File));
    }

    [Fact]
    public void Giving_it_back_twice_takes_nothing_from_the_next_holder()
    {
        var one = FileLock.Try(File)!;
        one.Dispose();
        using var two = FileLock.Try(File);
        one.Dispose();
        Assert.Null(FileLock.Try(File));
        Assert.True(System.IO.File.Exists(File));
    }

    [Fact]
    public void Waiting_is_bounded_and_names_the_holder()
    {
        using var held = FileLock.Try(File, holder: "process 4711 (Create volume v)");
        Assert.Equal(4711, FileLock.HolderProcess(File));
        var watch = Stopwatch.StartNew();
        var error = Assert.Throws<BlockStorageException>(() => FileLock.Wait(File, Short));
        Assert.InRange(watch.ElapsedMilliseconds, 150, 5000);
        Assert.Equal(BlockErrors.LockTimeout.Id, error.ErrorId);
        Assert.Contains("process 4711 (Create volume v)", error.Message, StringComparison.Ordinal);
        Assert.NotEmpty(error.NextStep);
    }

    [Fact]
    public void Waiting_can_be_stopped()
    {
        using var held = FileLock.Try(File);
        using var stop = new CancellationTokenSource(Short);
        Assert.ThrowsAny<OperationCanceledException>(() => FileLock.Wait(File, TimeSpan.FromMinutes(1), cancel: stop.Token));
    }

    [Fact]
    public async Task One_at_a_time_among_many_that_wait()
    {
        var (inside, most, rounds) = (0, 0, 0);
        await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(() =>
        {
            for (var round = 0; round < 20; round++)
            {
                using var held = FileLock.Wait(File, TimeSpan.FromSeconds(30));
                most = Math.Max(most, Interlocked.Increment(ref inside));
                rounds++;
                Interlocked.Decrement(ref inside);
            }
        })));
        Assert.Equal((1, 160), (most, rounds));
    }

    [Theory]
    [InlineData("exclusive")]
    [InlineData("shared")]
    public async Task It_dies_with_a_killed_process(string mode)
    {
        using var holder = HostProcess.Start("hold", File, mode);
        Assert.Equal("held", await holder.StandardOutput.ReadLineAsync());
        Assert.Null(FileLock.Try(File));
        Assert.Equal(holder.Id, FileLock.HolderProcess(File));
        var error = Assert.Throws<BlockStorageException>(() => FileLock.Wait(File, Short));
        Assert.Contains($"process {holder.Id}", error.Message, StringComparison.Ordinal);
        holder.Kill();
        await holder.WaitForExitAsync();
        FileLock.Wait(File, TimeSpan.FromSeconds(5)).Dispose();
        Assert.False(System.IO.File.Exists(File));
    }

    [Fact]
    public async Task It_is_free_again_when_another_process_gives_it_back()
    {
        using var holder = HostProcess.Start("hold", File, "exclusive");
        Assert.Equal("held", await holder.StandardOutput.ReadLineAsync());
        var waiting = Task.Run(() => FileLock.Wait(File, TimeSpan.FromSeconds(30)));
        Assert.False(waiting.IsCompleted);
        holder.StandardInput.Close();
        (await waiting).Dispose();
        await holder.WaitForExitAsync();
        Assert.Equal(0, holder.ExitCode);
    }
}
