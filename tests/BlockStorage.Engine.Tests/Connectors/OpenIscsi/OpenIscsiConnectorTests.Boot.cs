using BlockStorage.Engine.Connectors;
using BlockStorage.Engine.Connectors.OpenIscsi;
using BlockStorage.Engine.Host;

namespace BlockStorage.Engine.Tests.Connectors.OpenIscsi;

/// <summary>What comes back when the machine boots, and what does not. tests/lab/persistent-check does it with real boots.</summary>
public sealed partial class OpenIscsiConnectorTests
{
    [Fact]
    public async Task A_persistent_connection_comes_back_under_another_name_with_its_bytes_and_another_does_not()
    {
        var info = await PrepareAsync() with { Persistent = true };
        var other = info with { Id = Guid.NewGuid().ToString(), Persistent = false };
        var device = await _connector.ConnectAsync(info, SilentSink.Instance, default);
        Assert.True(device.Way.Persistent);
        Assert.Equal(device, await _connector.ConnectAsync(info, SilentSink.Instance, default));
        var bytes = new byte[1 << 20];
        Random.Shared.NextBytes(bytes);
        Write(device.DevicePath, 0, bytes);
        await _connector.FlushAsync(_id, default);
        await LogOutByHandAsync();
        var gone = Assert.Single(await _connector.ListAsync(default));
        Assert.Equal((_id, "", false, true), (gone.Id, gone.DevicePath, gone.Alive, gone.Reopens));

        // Somebody else has the name at the next boot; the initiator's service logs in as Debian's unit does it.
        var taken = await _connector.ConnectAsync(other, SilentSink.Instance, default);
        // The kernel gives a name free a moment after its disk went.
        for (var attempt = 0; taken.DevicePath != device.DevicePath && attempt < 10; attempt++)
        {
            await _connector.DisconnectAsync(other.Id, force: false, default);
            taken = await _connector.ConnectAsync(other, SilentSink.Instance, default);
        }
        Assert.Equal(device.DevicePath, taken.DevicePath);
        await RunAsync("iscsiadm", "-m", "node", "--loginall=automatic");
        Assert.True(await Poll.UntilAsync(() => LiveOf(_id).Alive, TimeSpan.FromSeconds(30), default), LiveOf(_id).Reason);
        var back = LiveOf(_id);
        Assert.NotEqual(device.DevicePath, back.DevicePath);
        Assert.Equal((device.Way.ByPath, true, false), (back.Way.ByPath, back.Way.Persistent, back.Reopens));
        Assert.Equal(bytes, Read(back.DevicePath, 0, bytes.Length));
        await Make(_root).ReopenAsync(_id, SilentSink.Instance, default);
        Assert.Equal(back.DevicePath, LiveOf(_id).DevicePath);

        // What was not asked to come back does not, says so, and goes without a trace.
        await LogOutByHandAsync();
        await RunAsync("iscsiadm", "-m", "node", "--loginall=automatic");
        Assert.Equal((false, false, "there is no session"), (LiveOf(other.Id).Alive, LiveOf(other.Id).Reopens, LiveOf(other.Id).Reason));
        await _connector.DisconnectAsync(other.Id, force: false, default);
        Assert.True(await Poll.UntilAsync(() => LiveOf(_id).Alive, TimeSpan.FromSeconds(30), default));
        await _connector.DisconnectAsync(_id, force: false, default);
        AssertNothingLeft();
    }

    [Fact]
    public async Task A_persistent_connection_whose_target_was_away_at_boot_is_brought_back_and_grows_and_keeps_read_only()
    {
        var info = await PrepareAsync() with { Persistent = true };
        await AssertRefusedAsync(BlockErrors.NotSupported, info with { ReadOnly = true });
        await _connector.ConnectAsync(info, SilentSink.Instance, default);
        await LogOutByHandAsync();
        await KillTargetAsync();
        var record = Records().Single(file => file.StartsWith(Nodes, StringComparison.Ordinal));
        var text = File.ReadAllText(record);
        Assert.Contains("node.startup = automatic", text, StringComparison.Ordinal);
        // The host lets a login at boot try for two minutes.
        File.WriteAllText(record, text.Replace("initial_login_retry_max = 8", "initial_login_retry_max = 1", StringComparison.Ordinal));
        var error = await Assert.ThrowsAsync<BlockStorageException>(() => _connector.ReopenAsync(_id, SilentSink.Instance, default));
        Assert.Equal(BlockErrors.PortalUnreachable, error.Error);
        Assert.True(LiveOf(_id).Reopens);

        Assert.Empty(await _targets.RestoreAsync([_export], SilentSink.Instance, default));
        await Make(_root).ReopenAsync(_id, SilentSink.Instance, default);
        Assert.True(LiveOf(_id).Alive);
        await GrowAsync(2 * Size);
        await _connector.ResizeAsync(_id, 2 * Size, default);
        Assert.Equal(2 * Size, LiveOf(_id).Size);
        await _connector.DisconnectAsync(_id, force: false, default);
        AssertNothingLeft();

        _export = _export with { Lun = _export.Lun! with { ReadOnly = true } };
        await _targets.PublishAsync(_export, SilentSink.Instance, default);
        await _connector.ConnectAsync(info with { ReadOnly = true, Size = 2 * Size }, SilentSink.Instance, default);
        await LogOutByHandAsync();
        await RunAsync("iscsiadm", "-m", "node", "--loginall=automatic");
        Assert.True(await Poll.UntilAsync(() => LiveOf(_id).Alive, TimeSpan.FromSeconds(30), default));
        Assert.True(BlockDevices.IsReadOnly(LiveOf(_id).DevicePath));
        await _connector.DisconnectAsync(_id, force: false, default);
    }

    [Fact(DisplayName = "6.4: a discovery by hand changes no record of ours, and gets the records that it gets without us")]
    public async Task Discovery_by_hand_changes_no_record_of_ours()
    {
        var info = await PrepareAsync() with { Persistent = true };
        await _connector.ConnectAsync(info, SilentSink.Instance, default);
        var ours = Assert.Single(Records());
        var before = ReadAll(ours);
        try
        {
            await new CommandRunner().RunAsync(new Command("iscsiadm", ["-m", "discovery", "-t", "sendtargets", "-p", info.Portal!.ToString()], TimeSpan.FromSeconds(60)), SilentSink.Instance, default);
            Assert.Equal(before, ReadAll(ours));
            Assert.All(Records().Where(file => file != ours), file => Assert.EndsWith("/default", file, StringComparison.Ordinal));
            Assert.True(LiveOf(_id).Alive);
        }
        finally
        {
            foreach (var file in Records().Where(file => file != ours).ToArray())
                File.Delete(file);
            foreach (var folder in Directory.Exists("/etc/iscsi/send_targets") ? Directory.GetDirectories("/etc/iscsi/send_targets") : [])
                Directory.Delete(folder, recursive: true);
        }
        await _connector.DisconnectAsync(_id, force: false, default);
        AssertNothingLeft();
    }

    private LiveConnection LiveOf(string id) => Assert.Single(Make(_root).ListAsync(default).Result, live => live.Id == id);

    /// <summary>What the end of a machine does to its sessions.</summary>
    private static async Task LogOutByHandAsync()
    {
        await RunAsync("iscsiadm", "-m", "session", "--logout");
        Assert.True(await Poll.UntilAsync(() => KernelSession.List().Count == 0, TimeSpan.FromSeconds(20), default));
    }
}
