using System.Diagnostics;
using BlockStorage.Engine.Host;

namespace BlockStorage.Engine.Tests.Host;

public sealed class ProcessesTests : IDisposable
{
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(5);
    private readonly TestFolder _folder = new();
    private readonly string _mark = Guid.NewGuid().ToString("N");

    public void Dispose()
    {
        // What a failed test would leave.
        foreach (var process in ProcessTable.FindByVariable("MARK", _mark))
            ProcessTable.Signal(process, Signal.Kill);
        _folder.Dispose();
    }

    [Fact]
    public async Task A_daemon_has_a_session_init_as_parent_and_nothing_of_ours()
    {
        var log = _folder.File("log");
        Environment.SetEnvironmentVariable("BLOCKSTORAGE_TEST_LEAK", "1");
        // An inheritable descriptor, as a parent of PowerShell may leave behind.
        using var leak = new AnonymousPipe();
        Launcher().Start("sh", ["-c", "echo started >&2; exec sleep 300"], _folder.Path, log,
            new Dictionary<string, string> { ["MARK"] = _mark });
        Environment.SetEnvironmentVariable("BLOCKSTORAGE_TEST_LEAK", null);
        var daemon = await FindAsync();
        try
        {
            Assert.True(await Poll.UntilAsync(() => File.ReadAllText(log) == "started\n", Bound, CancellationToken.None));
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(log));
            var stat = File.ReadAllText($"/proc/{daemon.Pid}/stat").Split(") ")[1].Split(' ');
            Assert.NotEqual(Environment.ProcessId.ToString(), stat[1]);
            Assert.Equal(daemon.Pid.ToString(), stat[3]);
            Assert.Equal(["0", "1", "2"], Directory.GetFileSystemEntries($"/proc/{daemon.Pid}/fd").Select(Path.GetFileName).Order());
            Assert.Equal("/dev/null", new FileInfo($"/proc/{daemon.Pid}/fd/1").LinkTarget);
            Assert.Equal(_folder.Path, new FileInfo($"/proc/{daemon.Pid}/cwd").LinkTarget);
            // The shell in between adds PWD itself.
            Assert.Equal(["LC_ALL", "MARK", "PATH", "PWD"], File.ReadAllText($"/proc/{daemon.Pid}/environ").TrimEnd('\0')
                .Split('\0').Select(pair => pair.Split('=')[0]).Order());
            // Above 31 are the real-time signals that glibc keeps for itself.
            var ignored = File.ReadLines($"/proc/{daemon.Pid}/status").Single(line => line.StartsWith("SigIgn", StringComparison.Ordinal));
            Assert.Equal(0, Convert.ToInt64(ignored.Split('\t')[1], 16) & 0x7FFF_FFFF);
        }
        finally
        {
            await ProcessTable.KillAsync(daemon, TimeSpan.FromSeconds(2), CancellationToken.None);
        }
        Assert.False(ProcessTable.IsAlive(daemon.Pid, daemon.StartTime));
        Assert.Empty(ProcessTable.FindByVariable("MARK", _mark));
    }

    [Fact]
    public void A_daemon_that_is_not_installed_is_a_clear_error()
    {
        var error = Assert.Throws<BlockStorageException>(() =>
            Launcher().Start("no-such-daemon", [], _folder.Path, _folder.File("log")));
        Assert.Equal("ToolMissing", error.ErrorId);
        Assert.False(File.Exists(_folder.File("log")));
    }

    [Fact]
    public async Task A_process_is_found_by_the_operation_it_works_for()
    {
        OperationScope.CurrentId = _mark;
        var running = new CommandRunner().RunAsync(
            new Command("sleep", ["30"], TimeSpan.FromSeconds(40), Mutates: false), new RecordingSink(), CancellationToken.None);
        OperationScope.CurrentId = "";
        IReadOnlyList<ProcessEntry> found = [];
        Assert.True(await Poll.UntilAsync(
            () => (found = ProcessTable.FindByOperation(_mark)).Any(process => process.Name == "sleep"), Bound, CancellationToken.None));
        Assert.Empty(ProcessTable.FindByOperation(_mark[..^1]));

        var sleep = found.First(process => process.Name == "sleep");
        Assert.False(await ProcessTable.WaitForExitAsync(sleep, TimeSpan.FromMilliseconds(20), CancellationToken.None));
        Assert.False(ProcessTable.IsAlive(sleep.Pid, sleep.StartTime + 1));
        await ProcessTable.KillAsync(sleep, TimeSpan.Zero, CancellationToken.None);
        Assert.NotEqual(0, (await running).ExitCode);
        Assert.Empty(ProcessTable.FindByOperation(_mark));
    }

    [Fact]
    public async Task A_process_that_ignores_SIGTERM_is_ended_all_the_same()
    {
        using var stubborn = Process.Start("sh", ["-c", $"trap '' TERM; : {_mark}; while :; do sleep 1; done"]);
        ProcessEntry? entry = null;
        Assert.True(await Poll.UntilAsync(() => (entry = ProcessTable.FindByArgument(_mark)
            .SingleOrDefault(process => process.Pid == stubborn.Id)) is not null, Bound, CancellationToken.None));
        await ProcessTable.KillAsync(entry!, TimeSpan.FromMilliseconds(100), CancellationToken.None);
        Assert.True(stubborn.WaitForExit(Bound));
        await ProcessTable.KillAsync(entry!, TimeSpan.FromMilliseconds(100), CancellationToken.None);
        Assert.Null(ProcessTable.Get(stubborn.Id));
    }

    private static DaemonLauncher Launcher() => new(new CommandRunner());

    private async Task<ProcessEntry> FindAsync()
    {
        ProcessEntry? found = null;
        Assert.True(await Poll.UntilAsync(
            () => (found = ProcessTable.FindByVariable("MARK", _mark).SingleOrDefault(process => process.Name == "sleep")) is not null,
            Bound, CancellationToken.None));
        return found!;
    }

    /// <summary>A pipe whose descriptors children would inherit.</summary>
    private sealed class AnonymousPipe : IDisposable
    {
        private readonly System.IO.Pipes.AnonymousPipeServerStream _server = new(System.IO.Pipes.PipeDirection.Out, HandleInheritability.Inheritable);

        public void Dispose() => _server.Dispose();
    }
}
