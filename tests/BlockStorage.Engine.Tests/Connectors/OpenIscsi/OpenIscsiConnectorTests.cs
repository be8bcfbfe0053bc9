using System.Globalization;
using System.Security.Cryptography;
using BlockStorage.Engine.Connectors;
using BlockStorage.Engine.Connectors.OpenIscsi;
using BlockStorage.Engine.Host;
using BlockStorage.Engine.Targets;
using BlockStorage.Engine.Tests.Lab;
using BlockStorage.Services;

namespace BlockStorage.Engine.Tests.Connectors.OpenIscsi;

/// <summary>The kernel's initiator: volume file, tgtd, open-iscsi, SCSI disk.</summary>
[Trait("Needs", "Lab")]
[Collection(LabCollection.Name)]
public sealed partial class OpenIscsiConnectorTests : IscsiConnectorSuite
{
    private const string Nodes = "/etc/iscsi/nodes";
    private const string Interfaces = "/etc/iscsi/ifaces";

    private protected override IConnector Make(StateRoot root) => new OpenIscsiConnector(root, new CommandRunner());

    private protected override void AssertNothingLeft()
    {
        base.AssertNothingLeft();
        Assert.Empty(KernelSession.List());
        Assert.Empty(Records());
        Assert.Empty(Directory.EnumerateFileSystemEntries("/sys/block", "sd*"));
    }

    [Fact]
    public async Task It_probes_and_names_its_package()
    {
        Assert.True((await _connector.ProbeAsync(default)).Usable);
        var bare = new OpenIscsiConnector(_root, new NoTools());
        Assert.Contains("open-iscsi", (await bare.ProbeAsync(default)).Fix, StringComparison.Ordinal);
        var info = await PrepareAsync();
        var error = await Assert.ThrowsAsync<BlockStorageException>(() => bare.ConnectAsync(info, SilentSink.Instance, default));
        Assert.Equal(BlockErrors.ToolMissing, error.Error);
        Assert.Contains("open-iscsi", error.NextStep, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_device_has_its_address_and_the_link_that_udev_gives_it()
    {
        var device = await ConnectAsync();
        var session = Assert.Single(KernelSession.List());
        Assert.Equal($"{session.Host}:0:0:1", device.Hctl);
        Assert.Equal((Iqn, Initiator, "blockstorage-" + _id), (session.Iqn, session.Initiator, session.Interface));
        Assert.Equal([device.DevicePath], session.Disks().Select(disk => disk.Device));
        Assert.True(await Poll.UntilAsync(() => File.Exists(device.Way.ByPath), TimeSpan.FromSeconds(20), default), device.Way.ByPath);
        Assert.Equal(device.DevicePath, Path.GetFullPath(Path.Combine("/dev/disk/by-path", new FileInfo(device.Way.ByPath).LinkTarget!)));
    }

    [Fact]
    public async Task Read_only_is_kept_on_a_disk_that_could_be_written()
    {
        var info = await PrepareAsync();
        var device = await _connector.ConnectAsync(info with { ReadOnly = true }, SilentSink.Instance, default);
        Assert.True(BlockDevices.IsReadOnly(device.DevicePath));
        Assert.ThrowsAny<Exception>(() => Write(device.DevicePath, 0, new byte[4096]));
        await GrowAsync(2 * Size);
        await _connector.ResizeAsync(_id, 2 * Size, default);
        Assert.True(BlockDevices.IsReadOnly(device.DevicePath));
    }

    [Fact]
    public async Task Secrets_are_in_no_argument_environment_line_or_file_but_the_record()
    {
        var info = await PrepareAsync();
        var seen = new HashSet<string>();
        using var stop = new CancellationTokenSource();
        var watcher = Task.Run(() =>
        {
            while (!stop.IsCancellationRequested)
            {
                foreach (var pid in ProcessTable.Ids().Where(pid => pid != Environment.ProcessId))
                    seen.UnionWith(new[] { "cmdline", "environ" }.Select(part => ReadAll($"/proc/{pid}/{part}")).Where(text => text.Length > 0));
            }
        });
        var sink = new RecordingSink();
        await _connector.ConnectAsync(info, sink, default);
        var files = Records().ToArray();
        Assert.Single(files);
        Assert.All(files, file => Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file)));
        Assert.Contains("canary-sEcret-5", ReadAll(files.Single(file => file.StartsWith(Nodes, StringComparison.Ordinal))), StringComparison.Ordinal);
        Assert.All(Directory.EnumerateFiles(ConnectionFolder.Of(_root, _id).Path), file => Assert.DoesNotContain("canary", ReadAll(file), StringComparison.Ordinal));
        await _connector.DisconnectAsync(_id, force: false, default);
        await stop.CancelAsync();
        await watcher;
        Assert.Contains(seen, text => text.Contains("--login", StringComparison.Ordinal));
        Assert.Contains(seen, text => text.Contains("--logout", StringComparison.Ordinal));
        Assert.All(seen.Concat(sink.Lines), text => Assert.DoesNotContain("canary-sEcret", text, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Any_printable_secret_works_and_one_that_no_record_can_hold_is_refused()
    {
        var info = await PrepareAsync();
        var chap = new ChapCredential("us er#1=\"x'", "#a b\"c'=$\\%;1");
        _export = _export with { Grants = [new GrantSpec(Initiator, chap)], MutualChap = null };
        await _targets.PublishAsync(_export, SilentSink.Instance, default);
        info = info with { Chap = chap, MutualChap = null };
        await _connector.ConnectAsync(info, SilentSink.Instance, default);
        await _connector.DisconnectAsync(_id, force: false, default);
        AssertNothingLeft();

        var record = new NodeRecord(_id);
        foreach (var secret in new[] { " blank-before1", "blank-behind1 ", "line\nend-in-it1" })
        {
            var error = Assert.Throws<BlockStorageException>(() => record.Write(info with { Chap = chap with { Secret = secret } }, info.Portal!, 1));
            Assert.Equal(BlockErrors.InvalidCredential, error.Error);
        }
        Assert.Throws<BlockStorageException>(() => record.Write(info with { Iqn = "iqn.2026-01.org/../../x" }, info.Portal!, 1));
        Assert.Throws<BlockStorageException>(() => record.Write(info, new Portal("../x", 1), 1));
        Assert.Empty(Records());
    }

    [Fact]
    public async Task Two_at_once_are_two_sessions_and_the_end_of_one_leaves_the_other()
    {
        var info = await PrepareAsync();
        var other = info with { Id = Guid.NewGuid().ToString() };
        var devices = await Task.WhenAll(new[] { info, other }.Select(each => _connector.ConnectAsync(each, SilentSink.Instance, default)));
        Assert.Equal(2, devices.Select(device => device.DevicePath).Distinct().Count());
        Assert.Equal(2, KernelSession.List().Count);
        var bytes = RandomNumberGenerator.GetBytes(1 << 20);
        Write(devices[0].DevicePath, 0, bytes);
        await _connector.DisconnectAsync(info.Id, force: false, default);
        Assert.Equal(bytes, Read(devices[1].DevicePath, 0, bytes.Length));
        var live = Assert.Single(await _connector.ListAsync(default));
        Assert.Equal((other.Id, devices[1].DevicePath, true), (live.Id, live.DevicePath, live.Alive));
        await _connector.DisconnectAsync(other.Id, force: false, default);
        AssertNothingLeft();
    }

    [Fact]
    public async Task A_session_of_others_is_used_and_stays_with_their_record_and_disk()
    {
        var info = await PrepareAsync();
        await using var theirs = await LogInByHandAsync(info);
        var before = ReadAll(theirs.File);
        var device = await _connector.ConnectAsync(info, SilentSink.Instance, default);
        Assert.Equal(theirs.Id, Assert.Single(KernelSession.List()).Id);
        Assert.Equal([device.DevicePath], Assert.Single(KernelSession.List()).Disks().Select(disk => disk.Device));
        Assert.True(Assert.Single(await Make(_root).ListAsync(default)).Alive);
        Write(device.DevicePath, 0, new byte[4096]);
        await Make(_root).DisconnectAsync(_id, force: false, default);
        var session = Assert.Single(KernelSession.List());
        Assert.Empty(session.Disks());

        // Their disk stays too, and their access to it.
        var disk = await ScsiDisk.ScanAsync(session, 1, Iqn, default);
        var refused = await Assert.ThrowsAsync<BlockStorageException>(() => _connector.ConnectAsync(info with { ReadOnly = true }, SilentSink.Instance, default));
        Assert.Equal(BlockErrors.DeviceInUse, refused.Error);
        Assert.Equal(disk.Device, (await _connector.ConnectAsync(info, SilentSink.Instance, default)).DevicePath);
        await _connector.DisconnectAsync(_id, force: false, default);
        Assert.True(disk.Exists);
        await _connector.ConnectAsync(info, SilentSink.Instance, default);
        await _connector.DisconnectAsync(_id, force: true, default);
        Assert.True(disk.Exists);
        Assert.False(disk.ReadOnly);
        Assert.True(session.Alive);
        Assert.Equal(before, ReadAll(theirs.File));
        Assert.Equal([theirs.File], Records());
    }

    [Fact]
    public async Task A_session_of_others_under_another_name_is_left_alone()
    {
        var info = await PrepareAsync();
        const string otherName = "iqn.2026-01.org.example:host2";
        _export = _export with { Grants = [new GrantSpec(Initiator, Chap), new GrantSpec(otherName, Chap)] };
        await _targets.PublishAsync(_export, SilentSink.Instance, default);
        await using var theirs = await LogInByHandAsync(info with { InitiatorIqn = otherName });
        await _connector.ConnectAsync(info, SilentSink.Instance, default);
        Assert.Equal(2, KernelSession.List().Count);
        await _connector.DisconnectAsync(_id, force: false, default);
        Assert.Equal(theirs.Id, Assert.Single(KernelSession.List()).Id);
    }

    [Fact]
    public async Task The_host_needs_no_initiator_name_and_its_settings_are_kept()
    {
        const string file = "/etc/iscsi/initiatorname.iscsi", settings = "/etc/iscsi/iscsid.conf";
        var (name, before) = (await File.ReadAllBytesAsync(file), await File.ReadAllTextAsync(settings));
        var info = await PrepareAsync();
        try
        {
            await StopDaemonAsync();
            File.Delete(file);
            await File.AppendAllTextAsync(settings, "\nnode.session.timeo.replacement_timeout = 77\nnode.session.auth.password = not-for-others\nnode.session.scan = auto\n");
            await StartDaemonAsync();
            await _connector.ConnectAsync(info, SilentSink.Instance, default);
            var session = Assert.Single(KernelSession.List());
            Assert.Equal(Initiator, session.Initiator);
            Assert.Equal("77", SysAttribute.Read($"/sys/class/iscsi_session/session{session.Id}/recovery_tmo"));
            Assert.DoesNotContain("not-for-others", ReadAll(Records().First(record => record.StartsWith(Nodes, StringComparison.Ordinal))), StringComparison.Ordinal);
            await _connector.DisconnectAsync(_id, force: false, default);
        }
        finally
        {
            await File.WriteAllBytesAsync(file, name);
            await File.WriteAllTextAsync(settings, before);
            await StopDaemonAsync();
            await StartDaemonAsync();
        }
    }

    private static IEnumerable<string> Records() => new[] { Nodes, Interfaces }.Where(Directory.Exists)
        .SelectMany(folder => Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories)).Where(file => !file.EndsWith("/theirs", StringComparison.Ordinal) || file.StartsWith(Nodes, StringComparison.Ordinal));

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

    private static Task<string> RunAsync(string program, params string[] arguments) => new CommandRunner().RunCheckedAsync(
        new Command(program, arguments, TimeSpan.FromSeconds(60)), SilentSink.Instance, default);

    /// <summary>A session as an administrator opens it, with a record and an interface of his own.</summary>
    private static async Task<ForeignSession> LogInByHandAsync(ConnectionInfo info)
    {
        const string name = "theirs";
        new NodeRecord(name).Write(info, info.Portal!, 1);
        var ours = Records().Select(file => (file, text: File.ReadAllText(file).Replace("blockstorage-theirs", name, StringComparison.Ordinal))).ToArray();
        foreach (var (file, text) in ours)
        {
            File.Delete(file);
            await File.WriteAllTextAsync(file.Replace("blockstorage-theirs", name, StringComparison.Ordinal), text);
        }
        Directory.CreateDirectory(Interfaces);
        await File.WriteAllTextAsync($"{Interfaces}/{name}", $"iface.iscsi_ifacename = {name}\niface.transport_name = tcp\niface.initiatorname = {info.InitiatorIqn}\n");
        await RunAsync("iscsiadm", "-m", "node", "-I", name, "--login");
        return new ForeignSession(Assert.Single(KernelSession.List()), Directory.EnumerateFiles(Nodes, name, SearchOption.AllDirectories).Single());
    }

    private static async Task StopDaemonAsync()
    {
        foreach (var daemon in ProcessTable.Ids().Select(ProcessTable.Get).OfType<ProcessEntry>().Where(process => process.Name == "iscsid"))
            await ProcessTable.KillAsync(daemon, TimeSpan.FromSeconds(5), default);
    }

    private static Task<string> StartDaemonAsync() => RunAsync("iscsid");

    private sealed record ForeignSession(KernelSession Session, string File) : IAsyncDisposable
    {
        public int Id => Session.Id;

        public async ValueTask DisposeAsync()
        {
            await RunAsync("iscsiadm", "-m", "session", "-r", Id.ToString(CultureInfo.InvariantCulture), "--logout");
            Directory.Delete(Path.GetDirectoryName(Path.GetDirectoryName(File))!, recursive: true);
            System.IO.File.Delete($"{Interfaces}/theirs");
        }
    }
}
