using System.Net;
using System.Net.Sockets;
using BlockStorage.Engine.Host;
using BlockStorage.Engine.Targets;
using BlockStorage.Engine.Targets.Iscsi;
using BlockStorage.Services;

namespace BlockStorage.Engine.Tests.Targets;

/// <summary>What every target driver must do. A new driver is finished when this is green.</summary>
public abstract class TargetDriverSuite : IAsyncLifetime
{
    private protected const string Host = "iqn.2026-01.org.example:host1";
    private protected const string Other = "iqn.2026-01.org.example:host2";
    private protected const long Size = 64 << 20;
    private protected static readonly ChapCredential Chap = new("user1", "canary-sEcret-1");
    private protected static readonly ChapCredential Mutual = new("target1", "canary-sEcret-2");
    private protected readonly TestFolder _folder = new();
    private protected ITargetDriver _driver = null!;
    private protected Portal _portal = null!;

    private protected virtual bool FoldsNames => false;

    private protected abstract ITargetDriver Make(StateRoot root);

    /// <summary>One CHAP user has one secret for all targets, and an initiator may have several users.</summary>
    private protected virtual bool SharesUsers => true;

    /// <summary>No targets; where a service belongs to them it does not run either.</summary>
    private protected virtual void AssertIdle(TargetReport report)
    {
        Assert.Empty(report.Targets);
        Assert.Empty(report.Portals);
        Assert.False(report.Running);
    }

    /// <summary>Processes, sockets and files that must be gone when the last target is.</summary>
    private protected abstract void AssertNothingLeft();

    public virtual async Task InitializeAsync()
    {
        _driver = Make(new StateRoot(_folder.Path));
        _portal = await _driver.ChoosePortalAsync("127.0.0.1", FreePort(), default);
    }

    public virtual async Task DisposeAsync()
    {
        foreach (var target in (await _driver.ListAsync(default)).Targets)
            await _driver.UnpublishAsync(target.Iqn, force: true, default);
        AssertNothingLeft();
        _folder.Dispose();
    }

    [RootFact]
    public async Task Publish_makes_the_target_as_given_and_unpublish_leaves_nothing()
    {
        AssertIdle(await _driver.ListAsync(default));
        var export = await PublishAsync("a");

        var live = Assert.Single((await _driver.ListAsync(default)).Targets);
        Assert.Equal(export.Iqn, live.Iqn);
        var lun = Assert.Single(live.Luns);
        Assert.Equal(new LiveLun(1, export.Lun!.Path, Size, false, export.Lun.Serial, true), lun);
        Assert.Equal([Host], live.Initiators);
        Assert.Equal([Chap.UserName], live.Users);
        Assert.Equal([_portal], (await _driver.ListAsync(default)).Portals);

        await _driver.UnpublishAsync(export.Iqn, force: false, default);
        await _driver.UnpublishAsync(export.Iqn, force: false, default);
        AssertIdle(await _driver.ListAsync(default));
        AssertNothingLeft();
    }

    [RootFact]
    public async Task The_disk_has_the_serial_and_size_of_the_volume()
    {
        var export = await PublishAsync("a");
        var unit = await IscsiDiscovery.InspectAsync(Login(export, Chap), -1, default);
        Assert.Equal((1, export.Lun!.Serial, Size, false), (unit.Lun, unit.Serial, unit.Size, unit.ReadOnly));
    }

    /// <summary>LP 1398078: a target that exists already is no error.</summary>
    [RootFact]
    public async Task Publish_twice_changes_nothing_and_corrects_only_what_differs()
    {
        var export = await PublishAsync("a");
        await _driver.PublishAsync(export, SilentSink.Instance, default);
        var other = VolumeFile("b", 2 * Size);
        var changed = export with { Lun = export.Lun! with { Path = other, ReadOnly = true }, Grants = [new GrantSpec(Other, Chap)] };
        await _driver.PublishAsync(changed, SilentSink.Instance, default);

        var live = Assert.Single((await _driver.ListAsync(default)).Targets);
        Assert.Equal(new LiveLun(1, other, 2 * Size, true, export.Lun.Serial, true), Assert.Single(live.Luns));
        Assert.Equal([Other], live.Initiators);
    }

    /// <summary>Scenario 6.</summary>
    [RootFact]
    public async Task Only_the_right_secret_gets_in()
    {
        var export = await PublishAsync("a");
        await IscsiDiscovery.ProveLoginAsync(Login(export, Chap), default);
        await AssertRefusedAsync(BlockErrors.ChapRejected, Login(export, Chap with { Secret = "wrong-secret-0" }));
        await AssertRefusedAsync(BlockErrors.ChapRejected, Login(export, new ChapCredential("nobody", Chap.Secret)));
        await AssertRefusedAsync(BlockErrors.CredentialRequired, Login(export, null));
    }

    /// <summary>Scenario 6.</summary>
    [RootFact]
    public async Task Only_the_granted_initiator_gets_in()
    {
        var export = await PublishAsync("a");
        await AssertRefusedAsync(BlockErrors.AccessDenied, Login(export, Chap) with { InitiatorIqn = Other });

        await _driver.PublishAsync(export with { Grants = [new GrantSpec(Other, Chap)] }, SilentSink.Instance, default);
        await IscsiDiscovery.ProveLoginAsync(Login(export, Chap) with { InitiatorIqn = Other }, default);
        await AssertRefusedAsync(BlockErrors.AccessDenied, Login(export, Chap));
    }

    [RootTheory]
    [InlineData("*", true)]
    [InlineData("127.0.0.1", true)]
    [InlineData("127.0.0.9/8", true)]
    [InlineData("127.0.0.1/32", true)]
    [InlineData("10.0.0.0/8", false)]
    [InlineData("10.1.2.3", false)]
    public async Task Access_by_address(string initiator, bool allowed)
    {
        if (!_driver.AnyInitiator)
        {
            var error = await Assert.ThrowsAsync<BlockStorageException>(() => PublishAsync("a", grants: [new GrantSpec(initiator, null)]));
            Assert.Equal(BlockErrors.NotSupported, error.Error);
            Assert.Contains("-Initiator", error.NextStep, StringComparison.Ordinal);
            AssertIdle(await _driver.ListAsync(default));
            return;
        }
        var export = await PublishAsync("a", grants: [new GrantSpec(initiator, null)]);
        if (allowed)
            await IscsiDiscovery.ProveLoginAsync(Login(export, null), default);
        else
            await AssertRefusedAsync(BlockErrors.AccessDenied, Login(export, null));
    }

    [RootFact]
    public async Task A_changed_secret_takes_effect_and_the_old_one_is_refused()
    {
        var export = await PublishAsync("a");
        var changed = Chap with { Secret = "canary-sEcret-3" };
        await _driver.PublishAsync(export with { Grants = [new GrantSpec(Host, changed)] }, SilentSink.Instance, default);
        await IscsiDiscovery.ProveLoginAsync(Login(export, changed), default);
        await AssertRefusedAsync(BlockErrors.ChapRejected, Login(export, Chap));
    }

    [RootFact]
    public async Task Accounts_come_and_go_one_by_one()
    {
        ChapCredential[] users = [new("u1", "canary-sEcret-u1"), new("u2", "canary-sEcret-u2"), new("u3", "canary-sEcret-u3")];
        string Initiator(ChapCredential user) => SharesUsers ? Host : $"{Host}-{user.UserName}";
        var export = await PublishAsync("a", grants: users.Select(user => new GrantSpec(Initiator(user), user)).ToArray());
        foreach (var gone in users)
        {
            var left = users.Where(user => user != gone).ToArray();
            await _driver.PublishAsync(export with { Grants = left.Select(user => new GrantSpec(Initiator(user), user)).ToArray() }, SilentSink.Instance, default);
            Assert.Equal(left.Select(user => user.UserName), Assert.Single((await _driver.ListAsync(default)).Targets).Users.Order());
            foreach (var user in left)
                await IscsiDiscovery.ProveLoginAsync(Login(export, user) with { InitiatorIqn = Initiator(user) }, default);
            await AssertRefusedAsync(SharesUsers ? BlockErrors.ChapRejected : BlockErrors.AccessDenied, Login(export, gone) with { InitiatorIqn = Initiator(gone) });
        }
    }

    [RootFact]
    public async Task The_target_proves_itself_where_asked()
    {
        var export = await PublishAsync("a", mutual: Mutual);
        await IscsiDiscovery.ProveLoginAsync(Login(export, Chap) with { MutualChap = Mutual }, default);
        await AssertRefusedAsync(BlockErrors.ChapRejected, Login(export, Chap) with { MutualChap = Mutual with { Secret = "wrong-secret-0" } });
        // An initiator that asks for no proof gets in too.
        await IscsiDiscovery.ProveLoginAsync(Login(export, Chap), default);
    }

    [RootFact]
    public async Task One_user_name_with_two_secrets_is_refused_where_targets_share_users()
    {
        var first = await PublishAsync("a");
        var conflict = Chap with { Secret = "canary-sEcret-9" };
        if (!SharesUsers)
        {
            await IscsiDiscovery.ProveLoginAsync(Login(await PublishAsync("b", grants: [new GrantSpec(Host, conflict)]), conflict), default);
            await AssertRefusedAsync(BlockErrors.ChapRejected, Login(first, conflict));
            await IscsiDiscovery.ProveLoginAsync(Login(first, Chap), default);
            return;
        }
        var error = await Assert.ThrowsAsync<BlockStorageException>(() => PublishAsync("b", grants: [new GrantSpec(Host, conflict)]));
        Assert.Equal(BlockErrors.CredentialConflict, error.Error);
        Assert.DoesNotContain(conflict.Secret, error.ToString(), StringComparison.Ordinal);
        Assert.Single((await _driver.ListAsync(default)).Targets);
        await IscsiDiscovery.ProveLoginAsync(Login(first, Chap), default);

        var shared = await PublishAsync("b");
        await _driver.UnpublishAsync(first.Iqn, force: false, default);
        await IscsiDiscovery.ProveLoginAsync(Login(shared, Chap), default);
    }

    /// <summary>LP 1159948, 1304122, 1305343: sessions refuse the removal, and force does remove.</summary>
    [RootFact]
    public async Task A_session_holds_the_target_unless_forced()
    {
        var export = await PublishAsync("a");
        await using var session = await IscsiSession.OpenAsync(Login(export, Chap), default);
        var live = Assert.Single(Assert.Single((await _driver.ListAsync(default)).Targets).Sessions);
        Assert.Equal(new LiveSession(Host, "127.0.0.1"), live);

        var error = await Assert.ThrowsAsync<BlockStorageException>(() => _driver.UnpublishAsync(export.Iqn, force: false, default));
        Assert.Equal(BlockErrors.TargetHasSessions, error.Error);
        Assert.Contains(Host, error.Message, StringComparison.Ordinal);
        await _driver.UnpublishAsync(export.Iqn, force: true, default);
        AssertIdle(await _driver.ListAsync(default));
    }

    /// <summary>Scenario 16, the target's side.</summary>
    [RootFact]
    public async Task Resize_shows_the_new_size_to_a_session()
    {
        var export = await PublishAsync("a");
        await using var session = await IscsiSession.OpenAsync(Login(export, Chap), default);
        Assert.Equal(Size, (await ScsiReader.UnitAsync(session, export.Iqn, 1)).Size);
        using (var file = File.OpenHandle(export.Lun!.Path, access: FileAccess.Write))
            RandomAccess.SetLength(file, 3 * Size);
        await _driver.ResizeAsync(export, default);

        Assert.Equal(3 * Size, (await ScsiReader.UnitAsync(session, export.Iqn, 1)).Size);
        Assert.Equal(3 * Size, Assert.Single(Assert.Single((await _driver.ListAsync(default)).Targets).Luns).Size);
    }

    [RootFact]
    public async Task RemoveLun_leaves_the_target_and_publish_brings_it_back()
    {
        var export = await PublishAsync("a");
        await _driver.RemoveLunAsync(export.Iqn, 1, default);
        await _driver.RemoveLunAsync(export.Iqn, 1, default);
        Assert.Empty(Assert.Single((await _driver.ListAsync(default)).Targets).Luns);
        await _driver.PublishAsync(export, SilentSink.Instance, default);
        Assert.Single(Assert.Single((await _driver.ListAsync(default)).Targets).Luns);
    }

    [RootFact]
    public async Task Restore_makes_all_again_and_tells_what_it_could_not()
    {
        var first = Export("a");
        var second = Export("b") with { Grants = [new GrantSpec(Other, null)] };
        var broken = Export("c");
        File.Delete(broken.Lun!.Path);
        var failure = Assert.Single(await _driver.RestoreAsync([first, broken, second], SilentSink.Instance, default));
        Assert.Equal(broken.Iqn, failure.Export.Iqn);
        Assert.Equal(BlockErrors.VolumeDamaged, failure.Error.Error);
        Assert.Equal([first.Iqn, second.Iqn], (await _driver.ListAsync(default)).Targets.Select(target => target.Iqn).Order());
    }

    [RootFact]
    public async Task A_failed_publish_leaves_nothing()
    {
        var export = Export("a");
        File.Delete(export.Lun!.Path);
        await Assert.ThrowsAsync<BlockStorageException>(() => _driver.PublishAsync(export, SilentSink.Instance, default));
        AssertIdle(await _driver.ListAsync(default));
        AssertNothingLeft();
    }

    [RootFact]
    public async Task A_taken_port_and_a_foreign_address_are_refused()
    {
        using var taken = new TcpListener(IPAddress.Loopback, 0);
        taken.Start();
        var port = ((IPEndPoint)taken.LocalEndpoint).Port;
        foreach (var (address, wanted) in new[] { ("127.0.0.1", port), ("192.0.2.1", 0), ("192.0.2.1", port) })
        {
            var error = await Assert.ThrowsAsync<BlockStorageException>(() => _driver.ChoosePortalAsync(address, wanted, default));
            Assert.Equal(BlockErrors.PortalUnreachable, error.Error);
        }
        var publish = await Assert.ThrowsAsync<BlockStorageException>(
            () => _driver.PublishAsync(Export("a") with { Portals = [new Portal("127.0.0.1", port)] }, SilentSink.Instance, default));
        Assert.Equal(BlockErrors.PortalUnreachable, publish.Error);
        AssertNothingLeft();
    }

    [RootFact]
    public async Task A_portal_is_chosen_while_others_choose_and_listen_at_it()
    {
        using var stop = new CancellationTokenSource();
        var publisher = Task.Run(async () =>
        {
            var export = Export("a");
            while (!stop.IsCancellationRequested)
            {
                await _driver.PublishAsync(export, SilentSink.Instance, default);
                await _driver.UnpublishAsync(export.Iqn, false, default);
            }
        });
        var choosers = Enumerable.Range(0, 4).Select(_ => Task.Run(async () =>
        {
            for (var round = 0; round < 1000; round++)
                Assert.Equal(_portal, await _driver.ChoosePortalAsync(_portal.Address, _portal.Port, default));
        })).ToArray();
        try
        {
            await Task.WhenAll(choosers);
        }
        finally
        {
            await stop.CancelAsync();
            await publisher;
        }
    }

    [RootFact]
    public async Task Two_portals_and_IPv6()
    {
        var second = await _driver.ChoosePortalAsync("::1", FreePort(), default);
        var export = Export("a") with { Portals = [_portal, second] };
        await _driver.PublishAsync(export, SilentSink.Instance, default);
        foreach (var portal in export.Portals)
        {
            await IscsiDiscovery.ProveLoginAsync(Login(export, Chap) with { Portal = portal }, default);
            var found = await IscsiDiscovery.DiscoverAsync(portal, Host, null, TimeSpan.FromSeconds(5), default);
            Assert.Contains(new DiscoveredTarget(export.Iqn, portal.Address, portal.Port, 1), found);
            Assert.All(found, each => Assert.Contains(each, export.Portals.Select(own => new DiscoveredTarget(export.Iqn, own.Address, own.Port, 1))));
        }
        Assert.Empty(await IscsiDiscovery.DiscoverAsync(_portal, Other, null, TimeSpan.FromSeconds(5), default));
        Assert.Equal(_portal, await _driver.ChoosePortalAsync("127.0.0.1", 0, default));
    }

    /// <summary>RFC 7143 (4.2.7): an initiator that does not fold its own name is the one that was granted, or is refused as nobody known.</summary>
    [RootFact]
    public async Task A_name_in_capitals_is_the_same_or_refused_clearly()
    {
        var export = await PublishAsync("a", [new GrantSpec(Host, Chap)]);
        var capitals = Login(export, Chap) with { InitiatorIqn = Host.ToUpperInvariant() };
        if (FoldsNames)
            await IscsiDiscovery.ProveLoginAsync(capitals, default);
        else
            Assert.Equal(BlockErrors.AccessDenied, (await Assert.ThrowsAsync<BlockStorageException>(() => IscsiDiscovery.ProveLoginAsync(capitals, default))).Error);
        Assert.Equal([Host], Assert.Single((await _driver.ListAsync(default)).Targets).Initiators);
    }

    /// <summary>rtslib issue 36: edits at the same time do not disturb each other.</summary>
    [RootFact]
    public async Task Many_publish_at_once()
    {
        var exports = Enumerable.Range(0, 8).Select(number => Export($"v{number}")).ToArray();
        await Task.WhenAll(exports.Select(export => Task.Run(() => _driver.PublishAsync(export, SilentSink.Instance, default))));
        Assert.Equal(exports.Select(export => export.Iqn).Order(), (await _driver.ListAsync(default)).Targets.Select(target => target.Iqn).Order());
        await Task.WhenAll(exports.Select(export => Task.Run(() => _driver.UnpublishAsync(export.Iqn, false, default))));
        AssertIdle(await _driver.ListAsync(default));
    }

    private protected async Task<ExportSpec> PublishAsync(string name, IReadOnlyList<GrantSpec>? grants = null, ChapCredential? mutual = null)
    {
        var export = Export(name) with { MutualChap = mutual };
        export = export with { Grants = grants ?? export.Grants };
        await _driver.PublishAsync(export, SilentSink.Instance, default);
        return export;
    }

    private protected ExportSpec Export(string name)
    {
        var id = Guid.NewGuid();
        return new ExportSpec(id.ToString(), $"iqn.2026-01.org.example:{name}", [_portal],
            new LunSpec(1, VolumeFile(name, Size), false, id.ToString("N")), [new GrantSpec(Host, Chap)], null);
    }

    private protected string VolumeFile(string name, long size)
    {
        var path = Path.Combine(_folder.Path, $"{name}.vol");
        using var file = File.OpenHandle(path, FileMode.OpenOrCreate, FileAccess.Write);
        RandomAccess.SetLength(file, size);
        return path;
    }

    private protected IscsiLogin Login(ExportSpec export, ChapCredential? chap) =>
        new(_portal, export.Iqn, Host, chap, null, TimeSpan.FromSeconds(5));

    private protected static async Task AssertRefusedAsync(BlockError expected, IscsiLogin login)
    {
        var error = await Assert.ThrowsAsync<BlockStorageException>(() => IscsiDiscovery.ProveLoginAsync(login, default));
        Assert.True(expected == error.Error, error.Message);
        if (login.Chap is not null)
            Assert.DoesNotContain(login.Chap.Secret, error.ToString(), StringComparison.Ordinal);
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.IPv6Any, 0);
        listener.Server.DualMode = true;
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
