using BlockStorage.Engine.Host;
using BlockStorage.Engine.Targets;
using BlockStorage.Engine.Targets.Iscsi;
using BlockStorage.Services;

namespace BlockStorage.Engine.Tests.Services;

/// <summary>Publishing and access through real targets.</summary>
public sealed class TargetVerbTests(ServiceFixture fixture) : IClassFixture<ServiceFixture>
{
    private const string Friend = "iqn.2026-01.org.example:friend";
    private static readonly ChapCredential Chap = new("friend-1", "fourteen-chars");
    private readonly IBlockStorageService _service = fixture.Service;

    private async Task<BlockVolume> Volume() =>
        await fixture.Run(_service.NewVolumeAsync(new NewVolumeRequest($"v{Guid.NewGuid():N}"[..12], 8 << 20), fixture.Stop));

    private async Task<IscsiTarget> Publish(BlockVolume volume, PublishRequest? request = null) =>
        await fixture.Run(_service.PublishAsync((request ?? new PublishRequest()) with { VolumeId = volume.Id }, fixture.Stop));

    private async Task<IscsiTarget> Get(IscsiTarget target) => Assert.Single(await _service.GetTargetsAsync(new TargetQuery(Id: [target.Id]), fixture.Stop));

    private async Task<IReadOnlyList<IscsiTargetAccess>> Access(IscsiTarget target) => await _service.GetAccessAsync(new TargetQuery(Id: [target.Id]), fixture.Stop);

    private static IscsiLogin Login(IscsiTarget target, ChapCredential? chap, string initiator = Friend) =>
        new(Portal.Parse(target.Portal[0]), target.Iqn, initiator, chap, null, TimeSpan.FromSeconds(10));

    private ChapCredential SecretOf(IscsiTargetAccess access) => new SecretStore(fixture.Root).Load(access.Id)!;

    [RootFact]
    public async Task Publishing_gives_a_target_with_a_generated_secret_that_works()
    {
        var volume = await Volume();
        var target = await Publish(volume);
        Assert.Equivalent(new { State = BlockStates.Online, Health = "ok", Chap = true, MutualChap = false, Lun = 1, volume.Size, volume.Serial, VolumeId = volume.Id, ReadOnly = false, Initiator = new[] { "*" } }, target);
        var access = Assert.Single(await Access(target));
        Assert.Equal(("*", "Credential"), (access.Initiator, access.Authentication));
        var secret = SecretOf(access);
        Assert.InRange(secret.Secret.Length, 12, 16);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Path.Combine(fixture.Root.SecretFolder, access.Id)));
        Assert.Equal(volume.Serial, (await IscsiDiscovery.InspectAsync(Login(target, secret), 1, fixture.Stop)).Serial);
        await Refused(BlockErrors.ChapRejected, Login(target, secret with { Secret = "wrong-wrong-wrong" }));
        await Refused(null, Login(target, null));
        var portal = Portal.Parse(target.Portal[0]);
        Assert.Contains(target.Iqn, (await _service.FindTargetsAsync(new DiscoveryRequest(portal.Address), fixture.Stop)).Select(found => found.Iqn));
        Assert.Equal(target.Iqn, (await _service.GetVolumesAsync(new VolumeQuery([volume.Name]), fixture.Stop))[0].Target);
        Assert.DoesNotContain(secret.Secret, await Told(), StringComparison.Ordinal);
    }

    [RootFact]
    public async Task Publishing_again_is_nothing_and_otherwise_is_refused()
    {
        var volume = await Volume();
        var target = await Publish(volume, new PublishRequest(Initiator: [Friend]));
        var secret = SecretOf((await Access(target))[0]);
        var again = await _service.PublishAsync(new PublishRequest(volume.Id, Initiator: [Friend.ToUpperInvariant()], Lun: 1), fixture.Stop);
        Assert.Empty(again.Steps);
        Assert.Equal(target.Id, (await ServiceFixture.RunOn(Task.FromResult(again))).Id);
        foreach (var other in new PublishRequest[] { new(ReadOnly: true), new(Lun: 2), new(Initiator: ["*"]), new(Credential: Chap), new(TargetIqn: "iqn.2026-01.org.example:other") })
            await ServiceFixture.Fails(_service.PublishAsync(other with { VolumeId = volume.Id }, fixture.Stop), BlockErrors.VolumePublished);
        Assert.Equal(secret, SecretOf((await Access(target))[0]));
        await ServiceFixture.Fails(_service.RemoveVolumeAsync(volume.Id, false, false, fixture.Stop), BlockErrors.VolumePublished);
        await ServiceFixture.Fails(_service.SetVolumeAsync(volume.Id, new SetVolumeRequest(ReadOnly: true), fixture.Stop), BlockErrors.VolumePublished);
    }

    [RootFact]
    public async Task Several_portals_all_answer_and_come_back_after_a_kill()
    {
        var address = (await _service.GetConfigurationAsync(fixture.Stop)).PortalAddress;
        var target = await Publish(await Volume(), new PublishRequest(NoChap: true, Portal: [address, $"{address}:3299", "[::1]:3299"]));
        Assert.Equal((3, $"{address}:3299", "[::1]:3299"), (target.Portal.Length, target.Portal[1], target.Portal[2]));
        async Task AllAnswer()
        {
            foreach (var portal in target.Portal)
                Assert.Equal(target.Serial, (await IscsiDiscovery.InspectAsync(Login(target, null) with { Portal = Portal.Parse(portal) }, 1, fixture.Stop)).Serial);
        }

        await AllAnswer();
        foreach (var daemon in ProcessTable.FindByVariable("TGT_IPC_SOCKET", Path.Combine(fixture.Root.RunFolder, "tgt", "socket")))
            await ProcessTable.KillAsync(daemon, TimeSpan.Zero, fixture.Stop);
        Assert.Equal(BlockStates.Offline, (await Get(target)).State);
        await fixture.Run(_service.RepairAsync(fixture.Stop));
        var now = await Get(target);
        Assert.Equal(BlockStates.Online, now.State);
        Assert.Equal(target.Portal, now.Portal);
        await AllAnswer();
    }

    /// <summary>RFC 3722, RFC 7143 (4.2.7): names that differ in case are one.</summary>
    [RootFact]
    public async Task Names_in_capitals_are_the_same_names()
    {
        var volume = await Volume();
        var target = await Publish(volume, new PublishRequest(NoChap: true, Initiator: [Friend.ToUpperInvariant(), Friend]));
        Assert.Equal([Friend], target.Initiator);
        Assert.Empty((await _service.GrantAccessAsync(target.Id, Friend.ToUpperInvariant(), null, noChap: true, fixture.Stop)).Steps);
        Assert.Equal(target.Id, Assert.Single(await _service.GetTargetsAsync(new TargetQuery([target.Iqn.ToUpperInvariant()]), fixture.Stop)).Id);
        await fixture.Run(_service.RevokeAccessAsync(target.Id, Friend.ToUpperInvariant(), fixture.Stop));
        Assert.Empty(await Access(target));
        var plan = await _service.SetInitiatorAsync(Friend.ToUpperInvariant(), fixture.Stop);
        Assert.Equal(Friend, plan.Target);
    }

    [RootFact]
    public async Task Who_is_on_the_list_gets_in_and_others_do_not()
    {
        var target = await Publish(await Volume(), new PublishRequest(NoChap: true, Initiator: [Friend, "192.0.2.0/24"]));
        Assert.False(target.Chap);
        Assert.Equal(["192.0.2.0/24", Friend], (await Access(target)).Select(access => access.Initiator).Order());
        Assert.All(await Access(target), access => Assert.Equal("None", access.Authentication));
        await IscsiDiscovery.ProveLoginAsync(Login(target, null), fixture.Stop);
        await Refused(BlockErrors.AccessDenied, Login(target, null, "iqn.2026-01.org.example:stranger"));
        await fixture.Run(_service.GrantAccessAsync(target.Id, "iqn.2026-01.org.example:stranger", null, noChap: true, fixture.Stop));
        await IscsiDiscovery.ProveLoginAsync(Login(target, null, "iqn.2026-01.org.example:stranger"), fixture.Stop);
        await fixture.Run(_service.RevokeAccessAsync(target.Id, Friend, fixture.Stop));
        Assert.Empty((await _service.RevokeAccessAsync(target.Id, Friend, fixture.Stop)).Steps);
        await Refused(BlockErrors.AccessDenied, Login(target, null));
        await ServiceFixture.Fails(_service.GrantAccessAsync(target.Id, Friend, null, noChap: false, fixture.Stop), BlockErrors.InvalidArgument);
        await ServiceFixture.Fails(_service.GrantAccessAsync(target.Id, "not an iqn", null, noChap: true, fixture.Stop), BlockErrors.InvalidIqn);
    }

    [RootFact]
    public async Task A_right_with_CHAP_becomes_one_without_when_asked_for()
    {
        var target = await Publish(await Volume(), new PublishRequest(Initiator: [Friend]));
        Assert.Equal("Credential", Assert.Single(await Access(target)).Authentication);
        await fixture.Run(_service.GrantAccessAsync(target.Id, Friend, null, noChap: true, fixture.Stop));
        Assert.Equal("None", Assert.Single(await Access(target)).Authentication);
        await IscsiDiscovery.ProveLoginAsync(Login(target, null), fixture.Stop);
        await fixture.Run(_service.GrantAccessAsync(target.Id, Friend, null, noChap: false, fixture.Stop));
        Assert.Equal("None", Assert.Single(await Access(target)).Authentication);
    }

    [RootFact]
    public async Task Credentials_that_break_the_rules_are_refused_and_never_repeated()
    {
        var volume = await Volume();
        foreach (var wrong in new[] { new ChapCredential("u", "short-hush"), new("u", new string('x', 17)), new("", "fourteen-chars"), new("a b", "fourteen-chars"), new("u", "sixteen\ncharacte"), new("u", "größergrößer") })
        {
            var error = await ServiceFixture.Fails(_service.PublishAsync(new PublishRequest(volume.Id, Credential: wrong), fixture.Stop), BlockErrors.InvalidCredential);
            Assert.DoesNotContain(wrong.Secret, error.ToString(), StringComparison.Ordinal);
        }
        await ServiceFixture.Fails(_service.PublishAsync(new PublishRequest(volume.Id, Credential: Chap, NoChap: true), fixture.Stop), BlockErrors.InvalidArgument);
        await ServiceFixture.Fails(_service.PublishAsync(new PublishRequest(volume.Id, Lun: 999_999), fixture.Stop), BlockErrors.InvalidArgument);
        Assert.Empty(await _service.GetTargetsAsync(new TargetQuery(Volume: [volume.Name]), fixture.Stop));
    }

    [RootFact]
    public async Task A_lost_secret_is_told_asked_for_and_can_be_given_anew()
    {
        var volume = await Volume();
        var target = await Publish(volume);
        File.Delete(Path.Combine(fixture.Root.SecretFolder, (await Access(target))[0].Id));
        Assert.Equal("NeedsCredential", (await Access(target))[0].Authentication);
        Assert.Equal("NeedsCredential", (await Get(target)).Health);
        await ServiceFixture.Fails(_service.ConnectAsync(new ConnectRequest(volume.Id), fixture.Stop), BlockErrors.CredentialRequired);
        Assert.Equal("manual", Assert.Single(await fixture.Run(_service.RepairAsync(fixture.Stop)), action => action.Name == target.Iqn).State);
        Assert.Equal("NeedsCredential", (await Access(target))[0].Authentication);
        await fixture.Run(_service.GrantAccessAsync(target.Id, "*", Chap, noChap: false, fixture.Stop));
        Assert.Equal(("Credential", Chap.UserName), ((await Access(target))[0].Authentication, (await Access(target))[0].UserName));
        await IscsiDiscovery.ProveLoginAsync(Login(target, Chap), fixture.Stop);
        Assert.Equal("ok", (await Get(target)).Health);
    }

    [RootFact]
    public async Task New_credentials_replace_old_ones_and_mutual_ones_are_proven()
    {
        var target = await Publish(await Volume(), new PublishRequest(Initiator: [Friend]));
        var old = SecretOf((await Access(target))[0]);
        var mutual = new ChapCredential("target-1", "thirteen-char");
        await fixture.Run(_service.SetTargetAsync(target.Id, new SetTargetRequest(Chap, mutual), fixture.Stop));
        Assert.True((await Get(target)).MutualChap);
        await IscsiDiscovery.ProveLoginAsync(Login(target, Chap) with { MutualChap = mutual }, fixture.Stop);
        await Refused(null, Login(target, Chap) with { MutualChap = mutual with { Secret = "other-other-1" } });
        await Refused(BlockErrors.ChapRejected, Login(target, old));
        await fixture.Run(_service.SetTargetAsync(target.Id, new SetTargetRequest(ClearMutualChap: true), fixture.Stop));
        Assert.False((await Get(target)).MutualChap);
        await IscsiDiscovery.ProveLoginAsync(Login(target, Chap), fixture.Stop);
        await fixture.Run(_service.UnpublishAsync(target.Id, false, fixture.Stop));
        Assert.DoesNotContain(new SecretStore(fixture.Root).List(), id => id == target.Id);
    }

    [RootFact]
    public async Task A_made_target_stays_empty_after_unpublishing_and_takes_the_next()
    {
        var made = await fixture.Run(_service.NewTargetAsync(new NewTargetRequest("iqn.2026-01.org.example:made", Initiator: [Friend], NoChap: true), fixture.Stop));
        Assert.Equal((null, BlockStates.Online), (made.Lun, made.State));
        await ServiceFixture.Fails(_service.NewTargetAsync(new NewTargetRequest("IQN.2026-01.org.example:MADE"), fixture.Stop), BlockErrors.NameExists);
        Assert.Equal(made.Id, (await fixture.Run(_service.NewTargetAsync(new NewTargetRequest(made.Iqn, IfNotExists: true), fixture.Stop))).Id);
        foreach (var volume in new[] { await Volume(), await Volume() })
        {
            await Publish(volume, new PublishRequest(TargetIqn: made.Iqn));
            Assert.Equal(volume.Serial, (await IscsiDiscovery.InspectAsync(Login(made, null), 1, fixture.Stop)).Serial);
            await fixture.Run(_service.UnpublishAsync(made.Id, false, fixture.Stop));
            Assert.Equal((null, "", BlockStates.Online), ((await Get(made)).Lun, (await Get(made)).Volume, (await Get(made)).State));
        }
        await fixture.Run(_service.RemoveTargetAsync(made.Id, false, fixture.Stop));
        Assert.Empty(await _service.GetTargetsAsync(new TargetQuery([made.Iqn]), fixture.Stop));
    }

    [RootFact]
    public async Task A_foreign_session_keeps_the_target_unless_forced()
    {
        var volume = await Volume();
        var target = await Publish(volume, new PublishRequest(NoChap: true));
        await using (var session = await IscsiSession.OpenAsync(Login(target, null), fixture.Stop))
        {
            Assert.Equal(1, (await Get(target)).SessionCount);
            var error = await ServiceFixture.Fails(_service.UnpublishAsync(target.Id, false, fixture.Stop), BlockErrors.TargetHasSessions);
            Assert.Contains(Friend, error.Message, StringComparison.Ordinal);
            var snapshot = await Record.ExceptionAsync(() => fixture.Run(_service.NewSnapshotAsync(new NewSnapshotRequest(volume.Id, volume.Name + "-s"), fixture.Stop)));
            var copies = (await _service.GetPoolsAsync(new ObjectQuery([volume.Pool]), fixture.Stop))[0].SnapshotMethod == "copy";
            Assert.Equal(copies ? BlockErrors.SnapshotNeedsQuiesce.Id : null, (snapshot as BlockStorageException)?.ErrorId);
            Assert.Equal((BlockStates.Online, "ok"), ((await Get(target)).State, (await Get(target)).Health));
            await fixture.Run(_service.UnpublishAsync(target.Id, true, fixture.Stop));
        }
        Assert.Empty(await _service.GetTargetsAsync(new TargetQuery(Id: [target.Id]), fixture.Stop));
    }

    private async Task<string> Told()
    {
        var events = await _service.GetEventsAsync(new EventQuery(), fixture.Stop);
        var operations = await _service.GetOperationsAsync(new OperationQuery(), fixture.Stop);
        var files = Directory.GetFiles(fixture.Home, "catalog.db*").Select(file => System.Text.Encoding.Latin1.GetString(File.ReadAllBytes(file)));
        return string.Join('\n', events.Select(told => told.Message).Concat(operations.SelectMany(entry => entry.Step.Select(step => step.Name))).Concat(files));
    }

    private async Task Refused(BlockError? error, IscsiLogin login)
    {
        var thrown = await Assert.ThrowsAsync<BlockStorageException>(() => IscsiDiscovery.ProveLoginAsync(login, fixture.Stop));
        Assert.True(error is null || error.Id == thrown.ErrorId, thrown.ErrorId);
    }
}
