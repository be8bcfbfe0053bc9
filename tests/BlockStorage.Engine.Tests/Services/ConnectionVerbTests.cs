using System.Security.Cryptography;
using BlockStorage.Engine.Host;
using BlockStorage.Services;

namespace BlockStorage.Engine.Tests.Services;

/// <summary>Connecting through real targets, daemons and loop devices.</summary>
public sealed class ConnectionVerbTests(ServiceFixture fixture) : IClassFixture<ServiceFixture>
{
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(30);
    private readonly IBlockStorageService _service = fixture.Service;

    private async Task<BlockVolume> Volume() =>
        await fixture.Run(_service.NewVolumeAsync(new NewVolumeRequest($"v{Guid.NewGuid():N}"[..12], 16 << 20), fixture.Stop));

    private async Task<BlockVolume> Get(BlockVolume volume) => Assert.Single(await _service.GetVolumesAsync(new VolumeQuery(Id: [volume.Id]), fixture.Stop));

    private async Task<IscsiTarget> Publish(BlockVolume volume) => await fixture.Run(_service.PublishAsync(new PublishRequest(volume.Id), fixture.Stop));

    private async Task<BlockConnection> Connect(BlockVolume volume, string? protocol = null) =>
        await fixture.Run(_service.ConnectAsync(new ConnectRequest(volume.Id, Protocol: protocol), fixture.Stop));

    private async Task<string> State(BlockConnection connection) =>
        Assert.Single(await _service.GetConnectionsAsync(new ConnectionQuery(Id: [connection.Id]), fixture.Stop)).State;

    private Task Disconnect(BlockConnection connection, bool force = false) => fixture.Run(_service.DisconnectAsync(connection.Id, force, fixture.Stop));

    [RootTheory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Connecting_gives_a_device_with_the_bytes_and_twice_gives_the_same(bool published)
    {
        var volume = await Volume();
        if (published)
            await Publish(volume);
        var connection = await Connect(volume);
        Assert.Equivalent(new { Protocol = published ? "iscsi" : "local", State = BlockStates.Attached, Health = "ok", volume.Size, volume.Serial, VolumeId = volume.Id }, connection);
        Assert.Equal((BlockStates.InUse, connection.DevicePath), ((await Get(volume)).State, (await Get(volume)).DevicePath));
        var bytes = RandomNumberGenerator.GetBytes(1 << 20);
        Write(connection.DevicePath, bytes);
        var again = await _service.ConnectAsync(new ConnectRequest(volume.Id), fixture.Stop);
        Assert.Empty(again.Steps);
        Assert.Equal(connection.Id, (await ServiceFixture.RunOn(Task.FromResult(again))).Id);
        await ServiceFixture.Fails(_service.RemoveVolumeAsync(volume.Id, true, false, fixture.Stop), BlockErrors.VolumeInUse);
        await using (var other = fixture.Open())
            Assert.Equal(BlockStates.Attached, Assert.Single(await other.GetConnectionsAsync(new ConnectionQuery([volume.Name]), fixture.Stop)).State);
        await Disconnect(connection);
        Assert.Equal(bytes, Read(volume.Path, bytes.Length));
        Assert.Equal((BlockStates.Available, ""), ((await Get(volume)).State, (await Get(volume)).DevicePath));
        Assert.DoesNotContain(LoopDevices.List(), loop => loop.Device == connection.DevicePath && loop.BackingFile.StartsWith(fixture.Home + "/", StringComparison.Ordinal));
    }

    [RootFact]
    public async Task What_cannot_come_back_at_boot_or_has_no_paths_is_refused_before_anything_is_made()
    {
        var volume = await Volume();
        foreach (var published in new[] { false, true })
        {
            if (published)
                await Publish(volume);
            foreach (var request in new[] { new ConnectRequest(volume.Id, Persistent: true), new ConnectRequest(volume.Id, Multipath: true) })
            {
                // Where this machine has open-iscsi itself there is nothing to refuse.
                if (published && (await _service.GetInitiatorAsync(fixture.Stop)).Connector == "OpenIscsi")
                    continue;
                var error = await ServiceFixture.Fails(_service.ConnectAsync(request, fixture.Stop), BlockErrors.NotSupported);
                Assert.Contains(published ? "Userspace" : "Local", error.Message, StringComparison.Ordinal);
                Assert.Contains(request.Persistent ? "-Persistent" : "-Multipath", error.NextStep, StringComparison.Ordinal);
            }
        }
        Assert.Equal(BlockStates.Available, (await Get(volume)).State);
        Assert.Empty(await _service.GetConnectionsAsync(new ConnectionQuery([volume.Name]), fixture.Stop));
    }

    [RootFact]
    public async Task Two_ways_to_write_are_refused_whichever_comes_first()
    {
        var (first, second) = (await Volume(), await Volume());
        var target = await Publish(first);
        await ServiceFixture.Fails(_service.ConnectAsync(new ConnectRequest(first.Id, Protocol: "local"), fixture.Stop), BlockErrors.VolumePublished);
        var local = await Connect(second, "local");
        await ServiceFixture.Fails(_service.PublishAsync(new PublishRequest(second.Id), fixture.Stop), BlockErrors.VolumeInUse);
        await ServiceFixture.Fails(_service.ConnectAsync(new ConnectRequest((await Volume()).Id, Protocol: "iscsi"), fixture.Stop), BlockErrors.InvalidState);
        Assert.Equal(target.Id, Assert.Single(await _service.GetTargetsAsync(new TargetQuery(Volume: [first.Name, second.Name]), fixture.Stop)).Id);
        await Disconnect(local);
    }

    [RootFact]
    public async Task Who_may_not_log_in_gets_no_device_and_the_volume_stays_free()
    {
        var volume = await Volume();
        var target = await fixture.Run(_service.PublishAsync(new PublishRequest(volume.Id, Initiator: ["iqn.2026-01.org.example:other"]), fixture.Stop));
        await ServiceFixture.Fails(_service.ConnectAsync(new ConnectRequest(volume.Id), fixture.Stop), BlockErrors.AccessDenied);
        var own = (await _service.GetInitiatorAsync(fixture.Stop)).Iqn;
        await fixture.Run(_service.GrantAccessAsync(target.Id, own, null, noChap: false, fixture.Stop));
        var wrong = new ChapCredential("nobody", "wrong-wrong-1");
        var error = await ServiceFixture.Fails(_service.ConnectAsync(new ConnectRequest(volume.Id, Credential: wrong), fixture.Stop), BlockErrors.ChapRejected);
        Assert.DoesNotContain(wrong.Secret, error.ToString(), StringComparison.Ordinal);
        Assert.Equal(BlockStates.Available, (await Get(volume)).State);
        Assert.Empty(await _service.GetConnectionsAsync(new ConnectionQuery([volume.Name]), fixture.Stop));
        await Disconnect(await Connect(volume));
    }

    [RootFact]
    public async Task Unpublishing_waits_for_our_own_connection_to_go()
    {
        var volume = await Volume();
        var target = await Publish(volume);
        var connection = await Connect(volume);
        foreach (var force in new[] { false, true })
        {
            var error = await ServiceFixture.Fails(_service.UnpublishAsync(target.Id, force, fixture.Stop), BlockErrors.VolumeInUse);
            Assert.Contains(connection.DevicePath, error.NextStep, StringComparison.Ordinal);
        }
        Assert.Equal(BlockStates.Attached, await State(connection));
        await Disconnect(connection);
        await fixture.Run(_service.UnpublishAsync(target.Id, false, fixture.Stop));
    }

    [RootFact]
    public async Task After_tgtd_was_killed_it_is_told_repaired_and_no_byte_is_lost()
    {
        var (volume, idle) = (await Volume(), await Volume());
        var (target, other) = (await Publish(volume), await Publish(idle));
        var connection = await Connect(volume);
        var bytes = RandomNumberGenerator.GetBytes(1 << 20);
        Write(connection.DevicePath, bytes);
        KillTgtd();
        foreach (var dead in await _service.GetTargetsAsync(new TargetQuery(Id: [target.Id, other.Id]), fixture.Stop))
            Assert.Equal((BlockStates.Offline, true), (dead.State, dead.Health.Contains("does not run", StringComparison.Ordinal)));
        Assert.True(await Becomes(connection, BlockStates.Lost));
        await ServiceFixture.Fails(_service.ConnectAsync(new ConnectRequest(volume.Id), fixture.Stop), BlockErrors.ConnectionLost);
        await ServiceFixture.Fails(_service.ResizeVolumeAsync(volume.Id, new ResizeVolumeRequest(Increase: 1 << 20), fixture.Stop), BlockErrors.ConnectionLost);

        var actions = await fixture.Run(_service.RepairAsync(fixture.Stop));
        Assert.Equal(["done", "done"], actions.Where(action => action.Name == target.Iqn || action.Name == other.Iqn).Select(action => action.State));
        Assert.Equivalent(new { target.Iqn, target.Lun, target.Serial, target.Portal, target.State, target.Initiator },
            (await _service.GetTargetsAsync(new TargetQuery(Id: [target.Id]), fixture.Stop))[0]);
        Assert.True(await Becomes(connection, BlockStates.Attached));
        Assert.Equal(bytes, Read(connection.DevicePath, bytes.Length));
        await Disconnect(connection);
        Assert.Equal(bytes, Read(volume.Path, bytes.Length));
        Assert.Empty((await _service.RepairAsync(fixture.Stop)).Steps);
    }

    [RootFact]
    public async Task A_dead_connection_can_be_given_up()
    {
        var volume = await Volume();
        await Publish(volume);
        var connection = await Connect(volume);
        KillTgtd();
        Assert.True(await Becomes(connection, BlockStates.Lost));
        await Disconnect(connection, force: true);
        Assert.Equal(BlockStates.Available, (await Get(volume)).State);
        await Disconnect(await Connect(volume));
    }

    [RootTheory]
    [InlineData("publish")]
    [InlineData("grant")]
    [InlineData("resize")]
    [InlineData("connect")]
    [InlineData("unpublish")]
    public async Task Every_change_of_a_target_works_after_tgtd_died(string change)
    {
        var volume = await Volume();
        var target = await Publish(volume);
        KillTgtd();
        switch (change)
        {
            case "publish":
                Assert.NotEmpty((await _service.PublishAsync(new PublishRequest(volume.Id), fixture.Stop)).Steps);
                Assert.Equal((target.Id, BlockStates.Online), ((await Publish(volume)).Id, (await Publish(volume)).State));
                break;
            case "grant":
                await fixture.Run(_service.GrantAccessAsync(target.Id, "iqn.2026-01.org.example:more", null, false, fixture.Stop));
                break;
            case "resize":
                await fixture.Run(_service.ResizeVolumeAsync(volume.Id, new ResizeVolumeRequest(Increase: 4 << 20), fixture.Stop));
                Assert.Equal(20 << 20, (await _service.GetTargetsAsync(new TargetQuery(Id: [target.Id]), fixture.Stop))[0].Size);
                break;
            case "connect":
                await Disconnect(await Connect(volume));
                break;
            default:
                await fixture.Run(_service.UnpublishAsync(target.Id, false, fixture.Stop));
                Assert.Empty(await _service.GetTargetsAsync(new TargetQuery(Id: [target.Id]), fixture.Stop));
                return;
        }
        Assert.Equal(BlockStates.Online, (await _service.GetTargetsAsync(new TargetQuery(Id: [target.Id]), fixture.Stop))[0].State);
    }

    [RootTheory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_writer_sees_no_error_while_its_device_grows(bool published)
    {
        var volume = await Volume();
        if (published)
            await Publish(volume);
        var connection = await Connect(volume);
        using var stop = new CancellationTokenSource();
        var writer = Task.Run(() =>
        {
            var rounds = 0;
            using var device = new FileStream(connection.DevicePath, FileMode.Open, FileAccess.Write);
            for (var block = new byte[64 << 10]; !stop.IsCancellationRequested; rounds++)
            {
                Array.Fill(block, (byte)rounds);
                device.Position = rounds % 200 * block.Length;
                device.Write(block);
                device.Flush(flushToDisk: true);
            }
            return rounds;
        });
        foreach (var size in new long[] { 24 << 20, 32 << 20 })
        {
            var resized = await fixture.Run(_service.ResizeVolumeAsync(volume.Id, new ResizeVolumeRequest(size), fixture.Stop));
            Assert.Equal((size, BlockStates.InUse), (resized.Size, resized.State));
            Assert.Equal(size, BlockDevices.Size(connection.DevicePath));
        }
        stop.Cancel();
        Assert.True(await writer > 0);
        Assert.Equal(32 << 20, (await _service.GetConnectionsAsync(new ConnectionQuery(Id: [connection.Id]), fixture.Stop))[0].Size);
        await Disconnect(connection);
    }

    [RootFact]
    public async Task A_copying_pool_takes_no_snapshot_under_a_writer_but_of_what_it_wrote_afterwards()
    {
        var volume = await Volume();
        if ((await _service.GetPoolsAsync(new ObjectQuery([volume.Pool]), fixture.Stop))[0].SnapshotMethod != "copy")
        {
            Assert.Equal("reflink", (await _service.GetPoolsAsync(new ObjectQuery([volume.Pool]), fixture.Stop))[0].SnapshotMethod);
            return;
        }
        var connection = await Connect(volume);
        var bytes = RandomNumberGenerator.GetBytes(1 << 20);
        Write(connection.DevicePath, bytes);
        await ServiceFixture.Fails(_service.NewSnapshotAsync(new NewSnapshotRequest(volume.Id, volume.Name + "-s"), fixture.Stop), BlockErrors.SnapshotNeedsQuiesce);
        await ServiceFixture.Fails(_service.NewVolumeAsync(new NewVolumeRequest(volume.Name + "-c", FromVolume: volume.Name), fixture.Stop), BlockErrors.SnapshotNeedsQuiesce);
        Assert.Empty(await _service.GetSnapshotsAsync(new SnapshotQuery(Volume: [volume.Name]), fixture.Stop));
        await Disconnect(connection);
        var snapshot = await fixture.Run(_service.NewSnapshotAsync(new NewSnapshotRequest(volume.Id, volume.Name + "-s"), fixture.Stop));
        Assert.Equal(bytes, Read(snapshot.Path, bytes.Length));
    }

    [RootFact]
    public async Task A_stale_resize_of_a_volume_that_was_connected_meanwhile_is_refused()
    {
        var volume = await Volume();
        var stale = await _service.ResizeVolumeAsync(volume.Id, new ResizeVolumeRequest(Increase: 4 << 20), fixture.Stop);
        var connection = await Connect(volume);
        await ServiceFixture.Fails(Task.FromResult(stale), BlockErrors.Conflict);
        Assert.Equal(BlockStates.InUse, (await Get(volume)).State);
        await Disconnect(connection);
    }

    private void KillTgtd()
    {
        var daemon = Assert.Single(ProcessTable.FindByVariable("TGT_IPC_SOCKET", Path.Combine(fixture.Home, "run", "tgt", "socket")));
        ProcessTable.Signal(daemon, Signal.Kill);
        Assert.True(ProcessTable.WaitForExitAsync(daemon, Bound, CancellationToken.None).Result);
    }

    private Task<bool> Becomes(BlockConnection connection, string state) => Poll.UntilAsync(() => State(connection).Result == state, Bound, CancellationToken.None);

    private static void Write(string path, byte[] bytes)
    {
        using var file = new FileStream(path, FileMode.Open, FileAccess.Write);
        file.Write(bytes);
        file.Flush(flushToDisk: true);
    }

    private static byte[] Read(string path, int length)
    {
        var bytes = new byte[length];
        using var file = File.OpenRead(path);
        file.ReadExactly(bytes);
        return bytes;
    }
}
