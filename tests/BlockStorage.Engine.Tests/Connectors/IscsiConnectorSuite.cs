using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using BlockStorage.Engine.Connectors;
using BlockStorage.Engine.Host;
using BlockStorage.Engine.Targets;
using BlockStorage.Engine.Targets.Tgt;
using BlockStorage.Services;

namespace BlockStorage.Engine.Tests.Connectors;

/// <summary>What every iSCSI connector must do, with a volume file that tgtd publishes.</summary>
public abstract class IscsiConnectorSuite : ConnectorSuite
{
    private protected const string Iqn = "iqn.2026-01.org.example:a";
    private protected const string Initiator = "iqn.2026-01.org.example:host1";
    private protected static readonly ChapCredential Chap = new("user1", "canary-sEcret-5");
    private protected static readonly ChapCredential Mutual = new("target1", "canary-sEcret-6");
    private protected ITargetDriver _targets = null!;
    private protected ExportSpec _export = null!;

    private protected override async Task<ConnectionInfo> PrepareAsync(bool readOnly = false)
    {
        SetSize(Size);
        _targets = new TgtTargetDriver(_root, new CommandRunner());
        var portal = await _targets.ChoosePortalAsync("127.0.0.1", FreePort(), default);
        _export = new ExportSpec(_id, Iqn, [portal], new LunSpec(1, Volume, readOnly, _id.Replace("-", "", StringComparison.Ordinal)),
            [new GrantSpec(Initiator, Chap)], Mutual);
        await _targets.PublishAsync(_export, SilentSink.Instance, default);
        return new ConnectionInfo(_id, "iscsi", portal, Iqn, 1, Initiator, Chap, Mutual, _export.Lun!.Serial, Size, readOnly, "", TimeSpan.FromSeconds(20));
    }

    private protected override async Task GrowAsync(long size)
    {
        SetSize(size);
        await _targets.ResizeAsync(_export, default);
    }

    private protected override async Task CleanAsync()
    {
        if (_targets is not null)
            await _targets.UnpublishAsync(Iqn, force: true, default);
    }

    [RootFact]
    public async Task Wrong_secret_wrong_name_wrong_serial_and_no_portal_leave_nothing()
    {
        var info = await PrepareAsync();
        await AssertRefusedAsync(BlockErrors.ChapRejected, info with { Chap = Chap with { Secret = "wrong-secret-0" }, MutualChap = null });
        await AssertRefusedAsync(BlockErrors.ChapRejected, info with { MutualChap = Mutual with { Secret = "wrong-secret-0" } });
        await AssertRefusedAsync(BlockErrors.CredentialRequired, info with { Chap = null, MutualChap = null });
        await AssertRefusedAsync(BlockErrors.AccessDenied, info with { InitiatorIqn = "iqn.2026-01.org.example:other" });
        await AssertRefusedAsync(BlockErrors.AccessDenied, info with { Iqn = "iqn.2026-01.org.example:nothing" });
        await AssertRefusedAsync(BlockErrors.WrongDevice, info with { Serial = "ffff" });
        await AssertRefusedAsync(BlockErrors.PortalUnreachable, info with { Portal = new Portal("127.0.0.1", FreePort()) });
    }

    [RootFact]
    public async Task Without_number_serial_and_size_the_only_disk_is_found_and_a_read_only_one_is_connected_so()
    {
        var info = await PrepareAsync(readOnly: true) with { Lun = -1, Serial = "", Size = 0, ReadOnly = false };
        var device = await _connector.ConnectAsync(info, SilentSink.Instance, default);
        Assert.Equal(_export.Lun!.Serial, device.Serial);
        Assert.Equal(Size, device.Size);
        Assert.True(BlockDevices.IsReadOnly(device.DevicePath));
    }

    [RootFact]
    public async Task A_connection_outlives_a_kill_of_the_target()
    {
        var device = await ConnectAsync();
        using var stop = new CancellationTokenSource();
        var count = 0;
        var writer = Task.Run(() => WriteThrough(device.DevicePath, () => Interlocked.Increment(ref count), stop.Token));
        await KillTargetAsync();
        Assert.True(await EventuallyAsync(live => !live.Alive && live.Reason.Length > 0));

        Assert.Empty(await _targets.RestoreAsync([_export], SilentSink.Instance, default));
        Assert.True(await EventuallyAsync(live => live.Alive));
        var before = Volatile.Read(ref count);
        Assert.True(await Poll.UntilAsync(() => writer.IsCompleted || Volatile.Read(ref count) > before + 3, TimeSpan.FromSeconds(30), default));
        await stop.CancelAsync();
        await writer.WaitAsync(TimeSpan.FromSeconds(30));
        Write(device.DevicePath, 0, new byte[4096]);
        await _connector.DisconnectAsync(_id, force: false, default);
    }

    [RootFact]
    public async Task A_dead_link_is_cut_only_when_forced()
    {
        var device = await ConnectAsync();
        Write(device.DevicePath, 0, new byte[1 << 20]);
        await KillTargetAsync();
        Assert.True(await EventuallyAsync(live => !live.Alive));
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(1));
        await Assert.ThrowsAnyAsync<Exception>(() => _connector.DisconnectAsync(_id, force: false, patience.Token));
        Assert.Equal(device.DevicePath, Assert.Single(await _connector.ListAsync(default)).DevicePath);
        await _connector.DisconnectAsync(_id, force: true, default);
        AssertNothingLeft();
    }

    [RootFact]
    public async Task Held_I_O_is_told_and_a_held_connection_can_be_disconnected()
    {
        await ConnectAsync();
        await _connector.PauseAsync(_id, default);
        var live = Assert.Single(await _connector.ListAsync(default));
        Assert.True(live.Alive);
        Assert.Equal("I/O is held", live.Reason);
        await _connector.DisconnectAsync(_id, force: false, default);
        AssertNothingLeft();
    }

    [RootFact]
    public async Task Many_writers_at_once_leave_the_bytes_they_wrote()
    {
        var device = await ConnectAsync();
        var parts = Enumerable.Range(0, 8).Select(_ => RandomNumberGenerator.GetBytes(4 << 20)).ToArray();
        await Task.WhenAll(parts.Select((bytes, number) => Task.Run(() => Write(device.DevicePath, number * (4L << 20), bytes))));
        await new CommandRunner().RunCheckedAsync(new Command("dd", [$"if={Volume}", $"of={_folder.File("copy")}", "bs=1M", "count=16"], TimeSpan.FromSeconds(60)), SilentSink.Instance, default);
        await new CommandRunner().RunCheckedAsync(new Command("dd", ["if=" + _folder.File("copy"), $"of={device.DevicePath}", "bs=16M", "seek=2", "oflag=direct"], TimeSpan.FromSeconds(60)), SilentSink.Instance, default);
        await _connector.DisconnectAsync(_id, force: false, default);
        for (var number = 0; number < parts.Length; number++)
            Assert.Equal(parts[number], Read(Volume, number * (4L << 20), parts[number].Length));
        Assert.Equal(await File.ReadAllBytesAsync(_folder.File("copy")), Read(Volume, 32L << 20, 16 << 20));
    }

    [RootFact]
    public async Task Discard_gives_space_back()
    {
        var device = await ConnectAsync();
        Write(device.DevicePath, 0, Enumerable.Repeat((byte)7, 16 << 20).ToArray());
        await _connector.FlushAsync(_id, default);
        var before = Native.Stat(Volume)!.Value.Allocated;
        await new CommandRunner().RunCheckedAsync(new Command("blkdiscard", [device.DevicePath], TimeSpan.FromSeconds(30)), SilentSink.Instance, default);
        Assert.True(Native.Stat(Volume)!.Value.Allocated < before / 4);
        Assert.Equal(new byte[4096], Read(device.DevicePath, 0, 4096));
    }

    private protected async Task<bool> EventuallyAsync(Func<LiveConnection, bool> isTrue) =>
        await Poll.UntilAsync(() => isTrue(Assert.Single(_connector.ListAsync(default).Result)), TimeSpan.FromSeconds(30), default);

    private protected Task KillTargetAsync() => ProcessTable.KillAsync(Target, TimeSpan.Zero, default);

    private protected ProcessEntry Target =>
        Assert.Single(ProcessTable.FindByVariable("TGT_IPC_SOCKET", Path.Combine(_folder.Path, "run", "tgt", "socket")));

    private protected async Task AssertRefusedAsync(BlockError expected, ConnectionInfo info)
    {
        var error = await Assert.ThrowsAsync<BlockStorageException>(() => _connector.ConnectAsync(info, SilentSink.Instance, default));
        Assert.Equal(expected, error.Error);
        Assert.DoesNotContain("canary", error.ToString(), StringComparison.Ordinal);
        AssertNothingLeft();
    }

    private protected void SetSize(long size)
    {
        using var file = File.OpenHandle(Volume, FileMode.OpenOrCreate, FileAccess.Write, FileShare.ReadWrite);
        RandomAccess.SetLength(file, size);
    }

    private protected static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
