using BlockStorage.Engine.Connectors;
using BlockStorage.Engine.Connectors.Userspace;
using BlockStorage.Engine.Host;

namespace BlockStorage.Engine.Tests.Connectors.Userspace;

/// <summary>The whole chain: volume file, tgtd, qemu-storage-daemon, FUSE, loop device.</summary>
public sealed class UserspaceConnectorTests : IscsiConnectorSuite
{
    private protected override IConnector Make(StateRoot root) => new UserspaceConnector(root, new CommandRunner());

    [RootFact]
    public async Task Missing_tools_are_named_with_their_package()
    {
        var info = await PrepareAsync();
        var bare = new UserspaceConnector(_root, new NoTools());
        var error = await Assert.ThrowsAsync<BlockStorageException>(() => bare.ConnectAsync(info, SilentSink.Instance, default));
        Assert.Equal(BlockErrors.ToolMissing, error.Error);
        Assert.Contains("qemu-block-extra", error.NextStep, StringComparison.Ordinal);
        Assert.False((await bare.ProbeAsync(default)).Usable);
        Assert.True((await _connector.ProbeAsync(default)).Usable);
    }

    [RootFact]
    public async Task Secrets_are_in_no_command_line_environment_or_file()
    {
        await ConnectAsync();
        foreach (var pid in ProcessTable.Ids().Where(pid => pid != Environment.ProcessId))
        {
            foreach (var part in new[] { "cmdline", "environ" })
                Assert.DoesNotContain("canary-sEcret", ReadAll($"/proc/{pid}/{part}"), StringComparison.Ordinal);
        }
        foreach (var file in new[] { "state.json", "log", "pid", "../tgt/tgtd.log", "../tgt/accounts.json" })
            Assert.DoesNotContain("canary-sEcret", ReadAll(Path.Combine(ConnectionFolder.Of(_root, _id).Path, file)), StringComparison.Ordinal);
        Assert.False(File.Exists(ConnectionFolder.Of(_root, _id).File("secret")));
    }

    [RootFact]
    public async Task The_daemon_holds_no_descriptor_of_ours()
    {
        await ConnectAsync();
        var daemon = Assert.Single(ProcessTable.FindByArgument(ConnectionFolder.Of(_root, _id).Path + "/"));
        Assert.All(Directory.EnumerateFileSystemEntries($"/proc/{daemon.Pid}/fd").Select(entry => new FileInfo(entry).LinkTarget ?? ""),
            target => Assert.Matches(@"^(/dev/null|/dev/fuse|socket:|anon_inode:|pipe:|.*/conn-[0-9a-f-]+/(log|pid))", target));
    }

    [RootFact]
    public async Task A_killed_daemon_is_told_and_cleaned_up()
    {
        var device = await ConnectAsync();
        var daemon = Assert.Single(ProcessTable.FindByArgument(ConnectionFolder.Of(_root, _id).Path + "/"));
        await ProcessTable.KillAsync(daemon, TimeSpan.Zero, default);
        var live = Assert.Single(await _connector.ListAsync(default));
        Assert.False(live.Alive);
        Assert.NotEmpty(live.Reason);
        Assert.Equal(device.DevicePath, live.DevicePath);
        await _connector.DisconnectAsync(_id, force: true, default);
        AssertNothingLeft();
    }

    [RootFact]
    public async Task What_a_kill_left_half_made_is_cleaned_up()
    {
        var info = await PrepareAsync();
        await _connector.ConnectAsync(info, SilentSink.Instance, default);
        var folder = ConnectionFolder.Of(_root, _id);
        var device = folder.Load()!.Device;
        folder.Save(folder.Load()! with { Device = "" });
        Assert.Equal(device, Assert.Single(await _connector.ListAsync(default)).DevicePath);

        File.WriteAllText(folder.File("state.json"), "{ garbage");
        Assert.Single(await _connector.ListAsync(default));
        await Assert.ThrowsAsync<BlockStorageException>(() => _connector.DisconnectAsync(_id, force: false, default));
        await _connector.DisconnectAsync(_id, force: true, default);
        AssertNothingLeft();

        Directory.CreateDirectory(folder.Path + ".new");
        await _connector.ConnectAsync(info, SilentSink.Instance, default);
        await _connector.DisconnectAsync(_id, force: false, default);
        AssertNothingLeft();
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
