using System.Diagnostics;
using BlockStorage.Engine.Connectors;
using BlockStorage.Engine.Connectors.Local;
using BlockStorage.Engine.Connectors.OpenIscsi;
using BlockStorage.Engine.Connectors.Userspace;
using BlockStorage.Engine.Host;
using BlockStorage.Services;

namespace BlockStorage.Engine.Tests.Connectors.OpenIscsi;

/// <summary>Dead targets, holders, a daemon that is gone, kills.</summary>
public sealed partial class OpenIscsiConnectorTests
{
    [Theory]
    [InlineData(true, false)]
    [InlineData(false, true)]
    [InlineData(false, false)]
    public async Task A_dead_target_is_cut_within_a_bound_though_a_file_system_is_mounted_and_dirty(bool killed, bool unnoticed)
    {
        var device = await ConnectAsync();
        await MakeFileSystemAsync(device.DevicePath);
        var mount = Directory.CreateDirectory(_folder.File("mnt")).FullName;
        Mounts.Mount(device.DevicePath, mount, "ext4");
        File.WriteAllBytes(Path.Combine(mount, "file"), new byte[4 << 20]);
        var daemon = Target;
        if (killed)
            await KillTargetAsync();
        else
            ProcessTable.Signal(daemon, Signal.Stop);
        if (!unnoticed)
            Assert.True(await EventuallyAsync(live => !live.Alive && live.Reason.Length > 0));
        var clock = Stopwatch.StartNew();
        try
        {
            await _connector.DisconnectAsync(_id, force: true, default);
        }
        finally
        {
            ProcessTable.Signal(daemon, Signal.Continue);
        }
        Assert.True(clock.Elapsed < TimeSpan.FromSeconds(40), $"{clock.Elapsed}");
        Assert.False(Mounts.IsMountPoint(mount));
        AssertNothingLeft();
    }

    [Fact]
    public async Task A_target_that_dies_between_the_proof_and_the_login_is_told_within_a_bound()
    {
        var info = await PrepareAsync() with { Timeout = TimeSpan.FromSeconds(6) };
        var connector = new OpenIscsiConnector(_root, new Interfering(async command =>
        {
            if (command.Arguments.Contains("--login"))
                await KillTargetAsync();
        }));
        var clock = Stopwatch.StartNew();
        var error = await Assert.ThrowsAsync<BlockStorageException>(() => connector.ConnectAsync(info, SilentSink.Instance, default));
        Assert.Equal(BlockErrors.PortalUnreachable, error.Error);
        Assert.True(clock.Elapsed < TimeSpan.FromSeconds(40), $"{clock.Elapsed}");
        AssertNothingLeft();
    }

    [Fact]
    public async Task A_target_that_dies_between_the_login_and_the_disk_is_told_within_a_bound()
    {
        var info = await PrepareAsync();
        var connector = new OpenIscsiConnector(_root, new Interfering(after: async command =>
        {
            if (command.Arguments.Contains("--login"))
                await KillTargetAsync();
        }));
        var clock = Stopwatch.StartNew();
        await Assert.ThrowsAsync<BlockStorageException>(() => connector.ConnectAsync(info, SilentSink.Instance, default));
        Assert.True(clock.Elapsed < TimeSpan.FromSeconds(60), $"{clock.Elapsed}");
        AssertNothingLeft();
    }

    [Fact]
    public async Task A_secret_changed_between_the_proof_and_the_login_is_a_rejected_one()
    {
        var info = await PrepareAsync();
        var connector = new OpenIscsiConnector(_root, new Interfering(command =>
        {
            if (!command.Arguments.Contains("--login"))
                return Task.CompletedTask;
            var record = Directory.EnumerateFiles(Nodes, "blockstorage-*", SearchOption.AllDirectories).Single();
            File.WriteAllText(record, File.ReadAllText(record).Replace(Chap.Secret, "wrong-secret-0", StringComparison.Ordinal));
            return Task.CompletedTask;
        }));
        var error = await Assert.ThrowsAsync<BlockStorageException>(() => connector.ConnectAsync(info, SilentSink.Instance, default));
        Assert.Equal(BlockErrors.ChapRejected, error.Error);
        AssertNothingLeft();
    }

    [Fact]
    public async Task Without_the_daemon_nothing_is_left_and_the_next_step_starts_it()
    {
        var info = await PrepareAsync();
        await StopDaemonAsync();
        try
        {
            Assert.False((await _connector.ProbeAsync(default)).Usable);
            var error = await Assert.ThrowsAsync<BlockStorageException>(() => _connector.ConnectAsync(info, SilentSink.Instance, default));
            Assert.Equal(BlockErrors.ToolFailed, error.Error);
            Assert.Equal("systemctl start iscsid", error.NextStep);
            AssertNothingLeft();
        }
        finally
        {
            await StartDaemonAsync();
        }
        await _connector.ConnectAsync(info, SilentSink.Instance, default);

        // A session outlives its daemon, and a new daemon takes it over again with what stands in the record.
        await StopDaemonAsync();
        await StartDaemonAsync();
        await KillTargetAsync();
        Assert.True(await EventuallyAsync(live => !live.Alive));
        Assert.Empty(await _targets.RestoreAsync([_export], SilentSink.Instance, default));
        Assert.True(await EventuallyAsync(live => live.Alive));
        await _connector.DisconnectAsync(_id, force: false, default);
        AssertNothingLeft();
    }

    [Fact]
    public async Task Swap_a_mapped_device_and_a_mount_in_another_namespace_are_named_and_kept()
    {
        var device = await ConnectAsync();
        await RunAsync("mkswap", device.DevicePath);
        await RunAsync("swapon", device.DevicePath);
        await AssertInUseAsync("swap");
        await RunAsync("swapoff", device.DevicePath);

        await RunAsync("dmsetup", "create", "oi-test", "--table", $"0 8 linear {device.DevicePath} 0");
        await AssertInUseAsync("dm-");
        await RunAsync("dmsetup", "remove", "--retry", "oi-test");

        await MakeFileSystemAsync(device.DevicePath);
        var mount = Directory.CreateDirectory(_folder.File("mnt")).FullName;
        using var elsewhere = Process.Start(new ProcessStartInfo("unshare", ["-m", "sh", "-c", $"mount {device.DevicePath} {mount} && exec sleep 60"]))!;
        Assert.True(await Poll.UntilAsync(() => Mounts.FindDevice(device.DevicePath).Count > 0, TimeSpan.FromSeconds(20), default));
        await AssertInUseAsync(mount);
        elsewhere.Kill();
        await elsewhere.WaitForExitAsync();
        await _connector.DisconnectAsync(_id, force: false, default);
        AssertNothingLeft();
    }

    [Fact]
    public async Task Who_opens_the_disk_while_I_O_is_held_goes_on_afterwards_and_another_process_lets_it()
    {
        var device = await ConnectAsync();
        await _connector.PauseAsync(_id, default);
        var opener = Task.Run(() => Read(device.DevicePath, 0, 4096));
        Assert.NotSame(opener, await Task.WhenAny(opener, Task.Delay(TimeSpan.FromSeconds(1))));
        await Make(_root).ResumeAsync(_id, default);
        Assert.Equal(new byte[4096], await opener.WaitAsync(TimeSpan.FromSeconds(10)));
        await _connector.DisconnectAsync(_id, force: false, default);
    }

    [Fact]
    public async Task A_kill_at_any_step_leaves_what_disconnect_and_connect_find()
    {
        var info = await PrepareAsync();
        for (var step = 0; step < 4; step++)
        {
            await HalfConnectAsync(info, step);
            var live = Assert.Single(await _connector.ListAsync(default));
            Assert.Equal((_id, step == 3), (live.Id, live.Alive));
            await Make(_root).DisconnectAsync(_id, force: false, default);
            AssertNothingLeft();

            await HalfConnectAsync(info, step);
            Assert.Equal(Size, (await Make(_root).ConnectAsync(info, SilentSink.Instance, default)).Size);
            await Make(_root).DisconnectAsync(_id, force: false, default);
            AssertNothingLeft();
        }

        // A damaged state: all of ours is found by the id.
        await _connector.ConnectAsync(info, SilentSink.Instance, default);
        File.WriteAllText(ConnectionFolder.Of(_root, _id).File("state.json"), "{ garbage");
        Assert.Equal(_id, Assert.Single(await _connector.ListAsync(default)).Id);
        Assert.Empty(await new UserspaceConnector(_root, new CommandRunner()).ListAsync(default));
        Assert.Empty(await new LocalConnector(_root).ListAsync(default));
        await Assert.ThrowsAsync<BlockStorageException>(() => _connector.DisconnectAsync(_id, force: false, default));
        await _connector.DisconnectAsync(_id, force: true, default);
        AssertNothingLeft();
    }

    /// <summary>What there is after a kill: 0 half a record, 1 the record, 2 the session, 3 the disk.</summary>
    private async Task HalfConnectAsync(ConnectionInfo info, int step)
    {
        var portal = info.Portal!;
        ConnectionFolder.Of(_root, _id).Create(_root, new ConnectionState("OpenIscsi", portal.ToString(), Iqn, 1, info.Serial, Size, false, "", ""));
        new NodeRecord(_id).Write(info, portal, 1);
        var record = Records().First(file => file.StartsWith(Nodes, StringComparison.Ordinal));
        if (step == 0)
            File.Move(record, record + AtomicFile.TemporarySuffix);
        if (step >= 2)
        {
            var bound = new NodeRecord(_id).Bind();
            await RunAsync("iscsiadm", "-m", "node", "-I", "blockstorage-" + _id, "--login");
            if (step == 3)
                bound.Dispose();
        }
        if (step == 3)
            await ScsiDisk.ScanAsync(Assert.Single(KernelSession.List()), 1, Iqn, default);
    }

    private async Task AssertInUseAsync(string holder)
    {
        var error = await Assert.ThrowsAsync<BlockStorageException>(() => _connector.DisconnectAsync(_id, force: false, default));
        Assert.Equal(BlockErrors.DeviceInUse, error.Error);
        Assert.Contains(holder, error.Message, StringComparison.Ordinal);
    }

    /// <summary>Does something just before or after a command runs.</summary>
    private sealed class Interfering(Func<Command, Task>? before = null, Func<Command, Task>? after = null) : ICommandRunner
    {
        private readonly CommandRunner _inner = new();

        public string? Find(string program) => _inner.Find(program);

        public async Task<CommandResult> RunAsync(Command command, IWorkSink sink, CancellationToken cancel)
        {
            if (before is not null)
                await before(command);
            var result = await _inner.RunAsync(command, sink, cancel);
            if (after is not null)
                await after(command);
            return result;
        }
    }
}
