using BlockStorage.Engine.Host;
using BlockStorage.Engine.Targets;
using BlockStorage.Engine.Targets.Iscsi;
using BlockStorage.Engine.Targets.Tgt;

namespace BlockStorage.Engine.Tests.Targets.Tgt;

public sealed class TgtTargetDriverTests : TargetDriverSuite
{
    private protected override ITargetDriver Make(StateRoot root) => new TgtTargetDriver(root, new CommandRunner());

    private protected override void AssertNothingLeft()
    {
        Assert.Empty(Daemons());
        Assert.False(Directory.Exists(Path.Combine(_folder.Path, "run", "tgt")));
    }

    [RootFact]
    public async Task After_a_kill_restore_gives_the_same_targets()
    {
        var export = await PublishAsync("a");
        Kill();
        Assert.False((await _driver.ListAsync(default)).Running);
        Assert.Empty(await _driver.RestoreAsync([export], SilentSink.Instance, default));
        Assert.Equal(export.Lun!.Serial, (await IscsiDiscovery.InspectAsync(Login(export, Chap), 1, default)).Serial);
        await AssertRefusedAsync(BlockErrors.AccessDenied, Login(export, Chap) with { InitiatorIqn = Other });
    }

    [RootFact]
    public async Task A_daemon_that_lost_its_socket_is_replaced()
    {
        var export = await PublishAsync("a");
        var lost = Assert.Single(Daemons());
        Directory.Delete(Path.Combine(_folder.Path, "run", "tgt"), recursive: true);
        await _driver.PublishAsync(export, SilentSink.Instance, default);
        Assert.False(ProcessTable.IsAlive(lost.Pid, lost.StartTime));
        await IscsiDiscovery.ProveLoginAsync(Login(export, Chap), default);
    }

    [RootFact]
    public async Task A_stopped_daemon_is_an_error_not_a_hang()
    {
        await PublishAsync("a");
        var daemon = Assert.Single(Daemons());
        var client = new TgtClient(Path.Combine(_folder.Path, "run", "tgt", "socket.0"), TimeSpan.FromMilliseconds(300));
        ProcessTable.Signal(daemon, Signal.Stop);
        try
        {
            var error = await Assert.ThrowsAsync<BlockStorageException>(
                () => client.RunAsync(new TgtRequest(TgtMode.Target, TgtOperation.Show), "x", default));
            Assert.Equal(BlockErrors.TargetUnavailable, error.Error);
        }
        finally
        {
            ProcessTable.Signal(daemon, Signal.Continue);
        }
    }

    [RootFact]
    public async Task Secrets_are_in_no_command_line_environment_or_file()
    {
        await PublishAsync("a", mutual: Mutual);
        foreach (var pid in ProcessTable.Ids().Where(pid => pid != Environment.ProcessId))
        {
            foreach (var part in new[] { "cmdline", "environ" })
                Assert.DoesNotContain("canary-sEcret", ReadAll($"/proc/{pid}/{part}"), StringComparison.Ordinal);
        }
        foreach (var file in Directory.EnumerateFiles(Path.Combine(_folder.Path, "run"), "*", SearchOption.AllDirectories).Where(file => !file.EndsWith("socket.0", StringComparison.Ordinal)))
            Assert.DoesNotContain("canary-sEcret", await File.ReadAllTextAsync(file), StringComparison.Ordinal);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Path.Combine(_folder.Path, "run", "tgt", "accounts.json")));
    }

    [RootFact]
    public async Task The_daemon_listens_only_where_it_should_and_holds_no_descriptor_of_ours()
    {
        await PublishAsync("a");
        var daemon = Assert.Single(Daemons());
        Assert.Equal([_portal], (await _driver.ListAsync(default)).Portals);
        var open = Directory.EnumerateFileSystemEntries($"/proc/{daemon.Pid}/fd").Select(entry => new FileInfo(entry).LinkTarget ?? "").ToArray();
        Assert.DoesNotContain(open, target => target.StartsWith("/dev/pts", StringComparison.Ordinal) || target.Contains("testhost", StringComparison.Ordinal));
        Assert.DoesNotContain(open, target => target.Contains(_folder.Path, StringComparison.Ordinal)
            && !target.Contains("/run/tgt/", StringComparison.Ordinal) && !target.EndsWith(".vol", StringComparison.Ordinal));
    }

    [RootFact]
    public async Task Probe_tells_the_version()
    {
        var probe = await _driver.ProbeAsync(default);
        Assert.True(probe.Usable);
        Assert.Matches(@"^\d+\.\d+", probe.Version);
        Assert.All(probe.Checks, check => Assert.Equal("ok", check.State));
    }

    [Fact]
    public async Task Probe_names_the_package_that_is_missing()
    {
        var probe = await new TgtTargetDriver(new StateRoot(_folder.Path), new NoTools()).ProbeAsync(default);
        Assert.False(probe.Usable);
        Assert.Equal("apt-get install tgt", probe.Fix);
    }

    private IReadOnlyList<ProcessEntry> Daemons() =>
        ProcessTable.FindByVariable("TGT_IPC_SOCKET", Path.Combine(_folder.Path, "run", "tgt", "socket"));

    private void Kill()
    {
        var daemon = Assert.Single(Daemons());
        ProcessTable.Signal(daemon, Signal.Kill);
        Assert.True(ProcessTable.WaitForExitAsync(daemon, TimeSpan.FromSeconds(5), default).Result);
    }

    private static string ReadAll(string path)
    {
        try
        {
            return File.ReadAllText(path);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return "";
        }
    }
}
