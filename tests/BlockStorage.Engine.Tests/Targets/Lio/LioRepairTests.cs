using BlockStorage.Engine.Host;
using BlockStorage.Engine.Targets;
using BlockStorage.Engine.Targets.Iscsi;
using BlockStorage.Engine.Targets.Lio;
using BlockStorage.Engine.Tests.Lab;
using BlockStorage.Engine.Tests.Services;
using BlockStorage.Services;

namespace BlockStorage.Engine.Tests.Targets.Lio;

/// <summary>Repair makes what LIO has match what was granted: after others changed it, after others restored what they had saved.</summary>
[Trait("Needs", "Lab")]
[Collection(LabCollection.Name)]
public sealed class LioRepairTests : IAsyncLifetime
{
    private const string One = "iqn.2026-01.org.example:one";
    private const string Two = "iqn.2026-01.org.example:two";
    private readonly ServiceFixture _fixture = new();
    private readonly ConfigFs _fs = new();
    private readonly IReadOnlyList<string> _before = LioState.Snapshot();

    private IBlockStorageService Service => _fixture.Service;

    public Task InitializeAsync() => _fixture.InitializeAsync();

    public async Task DisposeAsync()
    {
        await _fixture.DisposeAsync();
        Assert.Equal(_before, LioState.Snapshot());
    }

    [RootFact(DisplayName = "scenario 21: a single missing target and everything else that was changed behind our back is set right, the rest untouched")]
    public async Task Drift()
    {
        var (target, other) = (await PublishAsync("a"), await PublishAsync("b"));
        var group = LioNames.Group(target.Iqn);
        var unit = ConfigFs.Links($"{group}/lun/lun_0")[0];
        var whole = LioState.Snapshot();
        Assert.Empty(await RepairAsync());

        foreach (var (problem, change) in new (string, Action)[]
        {
            ("not served", () => RemoveAll(target.Iqn)),
            ("access", () => RemoveAccess(group, Two)),
            ("access", () => _fs.Make($"{group}/acls/iqn.2026-01.org.example:stranger")),
            ("access", () => _fs.Write($"{group}/acls/{One}/auth/password", "brought-back-1")),
            ("access", () => _fs.Write($"{group}/acls/{One}/auth/userid_mutual", "somebody")),
            ("settings", () => _fs.Write($"{group}/attrib/authentication", "0")),
            ("settings", () => _fs.Write($"{group}/attrib/generate_node_acls", "1")),
            ("not served", () => _fs.Write($"{group}/enable", "0")),
            ("addresses", () => _fs.Remove($"{group}/np/{target.Portal[0]}")),
            ("addresses", () => _fs.Make($"{group}/np/127.0.0.1:3999")),
        })
        {
            await using var session = await IscsiSession.OpenAsync(Login(other, One), default);
            change();
            var plan = await Service.RepairAsync(_fixture.Stop);
            Assert.Contains(problem, Assert.Single(plan.Steps).Text, StringComparison.Ordinal);
            Assert.Equal((target.Iqn, "done", ""), Single(await ServiceFixture.RunOn(Task.FromResult(plan))));
            Assert.Equal(whole, LioState.Snapshot());
            Assert.Equal(target.Serial, (await IscsiDiscovery.InspectAsync(Login(target, One), 0, default)).Serial);
            Assert.Empty(await RepairAsync());
            // The neighbour never noticed, and its session shows.
            Assert.Equal(other.Serial, (await ScsiReader.UnitAsync(session, other.Iqn, 0)).Serial);
            Assert.Equal(1, Assert.Single(await Service.GetTargetsAsync(new TargetQuery(Id: [other.Id]), _fixture.Stop)).SessionCount);
        }
        Assert.Equal(unit.Target, ConfigFs.Links($"{group}/lun/lun_0")[0].Target);
    }

    [RootFact]
    public async Task Two_portals_are_served_and_both_come_back()
    {
        var volume = await _fixture.Run(Service.NewVolumeAsync(new NewVolumeRequest("paths", 1 << 20), _fixture.Stop));
        var address = (await Service.GetConfigurationAsync(_fixture.Stop)).PortalAddress;
        var target = await _fixture.Run(Service.PublishAsync(new PublishRequest(volume.Id, Initiator: [One], NoChap: true, Portal: [$"{address}:3270", "[::1]:3270"]), _fixture.Stop));
        Assert.Equal([$"{address}:3270", "[::1]:3270"], target.Portal);
        var whole = LioState.Snapshot();
        foreach (var loss in new Action[] { () => { }, () => RemoveAll(target.Iqn), () => _fs.Remove($"{LioNames.Group(target.Iqn)}/np/{target.Portal[1]}") })
        {
            loss();
            await RepairAsync();
            Assert.Equal(whole, LioState.Snapshot());
            foreach (var portal in target.Portal)
            {
                var login = new IscsiLogin(Portal.Parse(portal), target.Iqn, One, null, null, TimeSpan.FromSeconds(10));
                Assert.Equal(target.Serial, (await IscsiDiscovery.InspectAsync(login, 0, default)).Serial);
            }
        }
        var taken = await Assert.ThrowsAsync<BlockStorageException>(() => _fixture.Run(Service.PublishAsync(new PublishRequest(
            SnapshotId: _fixture.Run(Service.NewSnapshotAsync(new NewSnapshotRequest(volume.Id, "s"), _fixture.Stop)).Result.Id, Portal: [$"{address}:3271", "192.0.2.77:3271"]), _fixture.Stop)));
        Assert.Equal((BlockErrors.PortalUnreachable, "192.0.2.77:3271"), (taken.Error, taken.Subject));
        Assert.Equal(whole, LioState.Snapshot());
    }

    [RootFact]
    public async Task What_targetctl_brings_back_and_is_no_longer_granted_goes()
    {
        var saved = $"{_fixture.Home}/saveconfig.json";
        var (kept, gone, busy) = (await PublishAsync("kept"), await PublishAsync("gone"), await PublishAsync("busy"));
        var (oldSecret, gonePass) = (Login(kept, One), Login(busy, One));
        await RunAsync("targetcli", "saveconfig", saved);
        await _fixture.Run(Service.RevokeAccessAsync(kept.Id, Two, _fixture.Stop));
        await _fixture.Run(Service.SetTargetAsync(kept.Id, new SetTargetRequest(new ChapCredential("user", "canary-sEcret-9")), _fixture.Stop));
        var granted = ObjectsOf(kept);
        foreach (var target in new[] { gone, busy })
            await _fixture.Run(Service.UnpublishAsync(target.Id, false, _fixture.Stop));

        await RunAsync("targetctl", "restore", saved);
        await using (var session = await IscsiSession.OpenAsync(gonePass, default))
        {
            // By itself it ends no session: what the catalogue has lost may be in use.
            var actions = await RepairAsync();
            Assert.Equal(new[] { (busy.Iqn, "manual"), (gone.Iqn, "done"), (kept.Iqn, "done") }.Order(), actions.Select(action => (action.Name, action.State)).Order());
            Assert.Contains("-Force", actions.Single(action => action.Name == busy.Iqn).Action, StringComparison.Ordinal);
            Assert.Equal((busy.Iqn, "done", ""), Single(await _fixture.Run(Service.RepairAsync(force: true, _fixture.Stop))));
            await Assert.ThrowsAsync<BlockStorageException>(() => ScsiReader.UnitAsync(session, busy.Iqn, 0));
        }
        Assert.Empty(await RepairAsync());
        Assert.Equal(granted, ObjectsOf(kept));
        foreach (var trace in new[] { gone.Iqn, busy.Iqn, gone.Serial, busy.Serial })
            Assert.DoesNotContain(LioState.Snapshot(), path => path.Contains(trace, StringComparison.Ordinal));
        Assert.Equal(kept.Serial, (await IscsiDiscovery.InspectAsync(Login(kept, One), 0, default)).Serial);
        Assert.Equal(BlockErrors.ChapRejected, (await Assert.ThrowsAsync<BlockStorageException>(() => IscsiDiscovery.ProveLoginAsync(oldSecret, default))).Error);
        Assert.Equal(BlockErrors.AccessDenied, (await Assert.ThrowsAsync<BlockStorageException>(() => IscsiDiscovery.ProveLoginAsync(Login(kept, One) with { InitiatorIqn = Two }, default))).Error);
    }

    [RootFact]
    public async Task A_device_that_no_target_publishes_is_let_go()
    {
        var target = await PublishAsync("a");
        var backstore = ConfigFs.Links($"{LioNames.Group(target.Iqn)}/lun/lun_0")[0].Target;
        await _fixture.Run(Service.UnpublishAsync(target.Id, false, _fixture.Stop));
        _fs.Make(Path.GetDirectoryName(backstore)!);
        _fs.Make(backstore);
        Assert.Equal((Path.GetFileName(backstore), "done", ""), Single(await RepairAsync()));
        Assert.False(ConfigFs.Exists(backstore));
    }

    private async Task<IscsiTarget> PublishAsync(string name)
    {
        var volume = await _fixture.Run(Service.NewVolumeAsync(new NewVolumeRequest(name, 2 << 20), _fixture.Stop));
        return await _fixture.Run(Service.PublishAsync(new PublishRequest(volume.Id, Driver: "Lio", Initiator: [One, Two]), _fixture.Stop));
    }

    private Task<IReadOnlyList<BlockRepairAction>> RepairAsync() => _fixture.Run(Service.RepairAsync(_fixture.Stop));

    private static (string, string, string) Single(IReadOnlyList<BlockRepairAction> actions)
    {
        var action = Assert.Single(actions);
        return (action.Name, action.State, action.Error);
    }

    // As the initiator that was granted this secret.
    private IscsiLogin Login(IscsiTarget target, string initiator)
    {
        var grant = Service.GetAccessAsync(new TargetQuery(Id: [target.Id]), default).GetAwaiter().GetResult().Single(access => access.Initiator == initiator);
        return new IscsiLogin(Portal.Parse(target.Portal[0]), target.Iqn, initiator, new SecretStore(_fixture.Root).Load(grant.Id), null, TimeSpan.FromSeconds(5));
    }

    private void RemoveAccess(string group, string initiator)
    {
        _fs.Unlink($"{group}/acls/{initiator}/lun_0/unit");
        _fs.Remove($"{group}/acls/{initiator}/lun_0");
        _fs.Remove($"{group}/acls/{initiator}");
    }

    // The names of its links are the tool's to choose.
    private static string[] ObjectsOf(IscsiTarget target) => LioState.Snapshot()
        .Where(path => path.Contains(target.Iqn, StringComparison.Ordinal) && !path.Contains(" -> ", StringComparison.Ordinal)).ToArray();

    // As somebody with configfs in hand would.
    private void RemoveAll(string iqn)
    {
        var group = LioNames.Group(iqn);
        var (link, backstore) = ConfigFs.Links($"{group}/lun/lun_0")[0];
        foreach (var initiator in ConfigFs.Objects($"{group}/acls"))
            RemoveAccess(group, initiator);
        _fs.Unlink(link);
        foreach (var path in ConfigFs.Objects($"{group}/np").Select(portal => $"{group}/np/{portal}").Concat([$"{group}/lun/lun_0", group, $"{LioNames.Fabric}/{iqn}", backstore]))
            _fs.Remove(path);
    }

    private static Task<string> RunAsync(string program, params string[] arguments) => new CommandRunner().RunCheckedAsync(
        new Command(program, arguments, TimeSpan.FromSeconds(120)), SilentSink.Instance, default);
}
