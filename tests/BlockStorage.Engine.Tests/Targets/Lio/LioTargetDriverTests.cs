using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using BlockStorage.Engine.Host;
using BlockStorage.Engine.Targets;
using BlockStorage.Engine.Targets.Iscsi;
using BlockStorage.Engine.Targets.Lio;
using BlockStorage.Engine.Tests.Lab;

namespace BlockStorage.Engine.Tests.Targets.Lio;

[Trait("Needs", "Lab")]
[Collection(LabCollection.Name)]
public sealed class LioTargetDriverTests : TargetDriverSuite
{
    private readonly IReadOnlyList<string> _before = LioState.Snapshot();

    private protected override bool SharesUsers => false;

    private protected override bool FoldsNames => true;

    private protected override ITargetDriver Make(StateRoot root) => new LioTargetDriver(root, new CommandRunner());

    // LIO is in the kernel and runs always.
    private protected override void AssertIdle(TargetReport report)
    {
        Assert.Empty(report.Targets);
        Assert.Empty(report.Portals);
    }

    private protected override void AssertNothingLeft()
    {
        Assert.Equal(_before, LioState.Snapshot());
        if (Directory.Exists(Path.Combine(_folder.Path, "run", "lio")))
            Assert.Empty(Directory.EnumerateFileSystemEntries(Path.Combine(_folder.Path, "run", "lio")));
    }

    [RootFact]
    public async Task Probe_tells_the_version()
    {
        var probe = await _driver.ProbeAsync(default);
        Assert.True(probe.Usable, probe.Reason);
        Assert.Matches(@"^\d+\.\d+", probe.Version);
        Assert.All(probe.Checks, check => Assert.Equal("ok", check.State));
    }

    [RootFact]
    public async Task A_block_device_keeps_its_serial_and_WWN_when_it_is_made_again()
    {
        var export = Disk("disk");
        await _driver.PublishAsync(export, SilentSink.Instance, default);
        var (unit, page) = await InspectAsync(export);
        Assert.Equal((0, export.Lun!.Serial, 4L << 30, false), (unit.Lun, unit.Serial, unit.Size, unit.ReadOnly));
        Assert.Contains("6001405" + export.Lun.Serial[..25], Convert.ToHexStringLower(page), StringComparison.Ordinal);

        await _driver.UnpublishAsync(export.Iqn, false, default);
        await _driver.PublishAsync(export, SilentSink.Instance, default);
        var (again, pageAgain) = await InspectAsync(export);
        Assert.Equal(unit, again);
        Assert.Equal(page, pageAgain);
    }

    [RootFact]
    public async Task A_read_only_device_stays_so_and_becomes_writable_when_asked()
    {
        var export = Disk("disk");
        foreach (var readOnly in new[] { true, false, true })
        {
            export = export with { Lun = export.Lun! with { ReadOnly = readOnly } };
            await _driver.PublishAsync(export, SilentSink.Instance, default);
            Assert.Equal(readOnly, (await InspectAsync(export)).Unit.ReadOnly);
            Assert.Equal(readOnly, Assert.Single(Assert.Single((await _driver.ListAsync(default)).Targets).Luns).ReadOnly);
        }
    }

    [RootFact]
    public async Task A_revoked_initiator_loses_its_session_and_the_others_keep_theirs()
    {
        var export = Export("a");
        export = export with { Grants = [new GrantSpec(Host, Chap), new GrantSpec(Other, Chap)] };
        await _driver.PublishAsync(export, SilentSink.Instance, default);
        await using var kept = await IscsiSession.OpenAsync(Login(export, Chap), default);
        await using var lost = await IscsiSession.OpenAsync(Login(export, Chap) with { InitiatorIqn = Other }, default);
        Assert.Equal(2, Assert.Single((await _driver.ListAsync(default)).Targets).Sessions.Count);

        await _driver.PublishAsync(export with { Grants = [new GrantSpec(Host, Chap)] }, SilentSink.Instance, default);
        Assert.Equal([new LiveSession(Host, "127.0.0.1")], Assert.Single((await _driver.ListAsync(default)).Targets).Sessions);
        Assert.Equal(Size, (await ScsiReader.UnitAsync(kept, export.Iqn, 1)).Size);
        await Assert.ThrowsAsync<BlockStorageException>(() => ScsiReader.UnitAsync(lost, export.Iqn, 1));
    }

    [RootFact]
    public async Task Several_paths_of_one_initiator_are_all_counted()
    {
        var export = await PublishAsync("a");
        await using var one = await IscsiSession.OpenAsync(Login(export, Chap), default);
        await using var two = await IscsiSession.OpenAsync(Login(export, Chap), default);
        var sessions = Assert.Single((await _driver.ListAsync(default)).Targets).Sessions;
        Assert.Equal(2, sessions.Count);
        Assert.All(sessions, session => Assert.Equal(Host, session.Initiator));
    }

    [RootFact]
    public async Task Publish_again_writes_nothing()
    {
        var export = await PublishAsync("a", mutual: Mutual);
        var watched = new LioTargetDriver(new StateRoot(_folder.Path), new CommandRunner(), new ConfigFs(path =>
        {
            if (!Directory.Exists(path))
                throw new InvalidOperationException($"{path} is written.");
        }));
        await watched.PublishAsync(export, SilentSink.Instance, default);
    }

    [RootFact]
    public async Task Grants_that_LIO_could_not_keep_to_are_refused_without_their_secrets()
    {
        foreach (var (grants, expected) in new (GrantSpec[], BlockError)[]
        {
            ([new(Host, Chap), new(Host, Chap with { UserName = "u2" })], BlockErrors.CredentialConflict),
            ([new(Host, Chap), new(Other, null)], BlockErrors.InvalidArgument),
            ([new(Host, Chap with { Secret = "NULL-canary-sEcret" })], BlockErrors.InvalidCredential),
            ([new(Host, Chap with { Secret = "canary-sEcret\nx" })], BlockErrors.InvalidCredential),
            ([new("*", Chap)], BlockErrors.NotSupported),
        })
        {
            var error = await Assert.ThrowsAsync<BlockStorageException>(() => PublishAsync("a", grants));
            Assert.Equal(expected, error.Error);
            Assert.DoesNotContain("canary-sEcret", error.ToString(), StringComparison.Ordinal);
        }
        AssertNothingLeft();
    }

    [RootFact]
    public async Task Who_has_the_port_is_named_without_waiting_for_the_kernel()
    {
        using var taken = new TcpListener(IPAddress.Loopback, 0);
        taken.Start();
        var portal = new Portal("127.0.0.1", ((IPEndPoint)taken.LocalEndpoint).Port);
        var clock = Stopwatch.StartNew();
        var error = await Assert.ThrowsAsync<BlockStorageException>(
            () => _driver.PublishAsync(Export("a") with { Portals = [portal] }, SilentSink.Instance, default));
        Assert.Equal(BlockErrors.PortalUnreachable, error.Error);
        Assert.Contains($"process {Environment.ProcessId}", error.Message, StringComparison.Ordinal);
        var byProcess = clock.Elapsed;

        var first = await PublishAsync("b");
        clock.Restart();
        var second = await Assert.ThrowsAsync<BlockStorageException>(
            () => _driver.PublishAsync(Export("c") with { Portals = [_portal with { Address = "0.0.0.0" }] }, SilentSink.Instance, default));
        Assert.Equal(BlockErrors.PortalUnreachable, second.Error);
        Assert.Contains(first.Iqn, second.Message, StringComparison.Ordinal);
        var byTarget = clock.Elapsed;
        // The kernel itself tries again for 7 s and more.
        Assert.True(byProcess < TimeSpan.FromSeconds(6) && byTarget < TimeSpan.FromSeconds(6), $"{byProcess} and {byTarget}");
    }

    [RootFact(DisplayName = "nobody who logs in while an unforced unpublish looks loses a session: either is refused")]
    public async Task Unpublish_and_login_at_once()
    {
        var export = await PublishAsync("a");
        var (refused, removed, served) = (0, 0, 0);
        for (var round = 0; round < 40; round++)
        {
            var removal = Task.Run(() => _driver.UnpublishAsync(export.Iqn, force: false, default));
            var login = Task.Run(async () =>
            {
                // At other moments in each round.
                await Task.Delay(round % 8);
                try
                {
                    return await IscsiSession.OpenAsync(Login(export, Chap), default);
                }
                catch (BlockStorageException)
                {
                    return null;
                }
            });
            var error = await Record.ExceptionAsync(() => removal);
            await using (var session = await login)
            {
                if (error is null)
                {
                    removed++;
                    Assert.Null(session);
                }
                else
                {
                    refused++;
                    Assert.Equal(BlockErrors.TargetHasSessions, Assert.IsType<BlockStorageException>(error).Error);
                }
                if (session is not null)
                {
                    served++;
                    Assert.Equal(Size, (await ScsiReader.UnitAsync(session, export.Iqn, 1)).Size);
                }
            }
            await _driver.PublishAsync(export, SilentSink.Instance, default);
        }
        Assert.True(removed > 0, $"{refused} refused, {removed} removed, {served} served");
    }

    [RootFact]
    public async Task A_device_that_is_held_names_its_holder()
    {
        var export = Disk("disk");
        using (Native.Open(export.Lun!.Path, OpenMode.ReadOnly))
            await _driver.PublishAsync(export, SilentSink.Instance, default);
        var error = await Assert.ThrowsAsync<BlockStorageException>(() => _driver.PublishAsync(
            export with { Iqn = export.Iqn + "2", Lun = export.Lun with { Serial = Guid.NewGuid().ToString("N") } }, SilentSink.Instance, default));
        Assert.Equal(BlockErrors.DeviceInUse, error.Error);
        Assert.Equal(export.Iqn, Assert.Single((await _driver.ListAsync(default)).Targets).Iqn);
    }

    [RootFact]
    public async Task A_device_that_grows_is_seen_by_a_session_and_discard_is_offered()
    {
        var file = VolumeFile("disk", Size);
        var loop = LoopDevices.Attach(file, readOnly: false, directIo: false, autoClear: true);
        var export = Export("a");
        export = export with { Lun = export.Lun! with { Path = loop.Path } };
        await _driver.PublishAsync(export, SilentSink.Instance, default);
        loop.Dispose();
        await using (var session = await IscsiSession.OpenAsync(Login(export, Chap), default))
        {
            Assert.Equal(Size, (await ScsiReader.UnitAsync(session, export.Iqn, 1)).Size);
            VolumeFile("disk", 2 * Size);
            LoopDevices.SetCapacity(export.Lun!.Path);
            await _driver.ResizeAsync(export, default);
            Assert.Equal(2 * Size, (await ScsiReader.UnitAsync(session, export.Iqn, 1)).Size);
            // Logical block provisioning page: UNMAP is supported.
            var (_, page, _) = await session.ReadCommandAsync(1, new byte[] { 0x12, 1, 0xb2, 0, 64, 0 }, 64);
            Assert.Equal(0x80, page[5] & 0x80);
        }
        Assert.Equal(2 * Size, Assert.Single(Assert.Single((await _driver.ListAsync(default)).Targets).Luns).Size);
        await _driver.UnpublishAsync(export.Iqn, false, default);
        await LoopDevices.DetachAsync(loop.Path, file, TimeSpan.FromSeconds(5), default);
    }

    private ExportSpec Disk(string name) => Export(name) with
    {
        Lun = new LunSpec(0, LabCollection.Disks[0], false, Guid.NewGuid().ToString("N")),
    };

    private async Task<(ScsiUnit Unit, byte[] Identification)> InspectAsync(ExportSpec export)
    {
        await using var session = await IscsiSession.OpenAsync(Login(export, Chap), default);
        var unit = await ScsiReader.UnitAsync(session, export.Iqn, export.Lun!.Number);
        var (_, page, _) = await session.ReadCommandAsync(export.Lun.Number, new byte[] { 0x12, 1, 0x83, 0, 252, 0 }, 252);
        return (unit, page);
    }
}
