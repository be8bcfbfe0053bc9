using BlockStorage.Engine.Targets;
using BlockStorage.Engine.Tests.Operations;
using BlockStorage.Services;

namespace BlockStorage.Engine.Tests.Services;

/// <summary>Plans are made before locks are taken: what changed in between must be seen when they run.</summary>
public sealed class StalePlanTests(MemoryTargetFixture fixture) : IClassFixture<MemoryTargetFixture>
{
    private const string First = "iqn.2026-01.org.example:first";
    private const string Second = "iqn.2026-01.org.example:second";
    private static readonly ChapCredential Chap = new("someone", "twelve-chars");
    private readonly IBlockStorageService _service = fixture.Service;

    private async Task<BlockVolume> Volume() =>
        await fixture.Run(_service.NewVolumeAsync(new NewVolumeRequest($"v{Guid.NewGuid():N}"[..12], 1 << 20), fixture.Stop));

    private async Task<IscsiTarget> Published(BlockVolume volume, params string[] initiators) =>
        await fixture.Run(_service.PublishAsync(new PublishRequest(volume.Id, Initiator: initiators), fixture.Stop));

    private IEnumerable<string> Served(IscsiTarget target) => fixture.Targets.Exports[target.Iqn].Grants.Select(grant => grant.Initiator).Order();

    [Fact]
    public async Task Of_two_grants_at_once_the_second_is_refused_and_served_when_tried_again()
    {
        var target = await Published(await Volume(), First);
        var one = await _service.GrantAccessAsync(target.Id, Second, null, false, fixture.Stop);
        var two = await _service.GrantAccessAsync(target.Id, "*", null, false, fixture.Stop);
        await ServiceFixture.RunOn(Task.FromResult(one));
        await ServiceFixture.Fails(Task.FromResult(two), BlockErrors.Conflict);
        Assert.Equal([First, Second], Served(target));
        await fixture.Run(_service.GrantAccessAsync(target.Id, "*", null, false, fixture.Stop));
        Assert.Equal(["*", First, Second], Served(target));
    }

    [Fact]
    public async Task A_grant_does_not_bring_back_a_revoked_one()
    {
        var target = await Published(await Volume(), First);
        var grant = await _service.GrantAccessAsync(target.Id, Second, null, false, fixture.Stop);
        await fixture.Run(_service.RevokeAccessAsync(target.Id, First, fixture.Stop));
        await ServiceFixture.Fails(Task.FromResult(grant), BlockErrors.Conflict);
        Assert.Empty(Served(target));
        Assert.Empty((await _service.GetAccessAsync(new TargetQuery(Id: [target.Id]), fixture.Stop)).Select(access => access.Initiator));
    }

    [Fact]
    public async Task A_grant_keeps_a_mutual_secret_that_was_set_meanwhile()
    {
        var target = await Published(await Volume(), First);
        var grant = await _service.GrantAccessAsync(target.Id, Second, null, false, fixture.Stop);
        await fixture.Run(_service.SetTargetAsync(target.Id, new SetTargetRequest(MutualChap: Chap), fixture.Stop));
        await ServiceFixture.Fails(Task.FromResult(grant), BlockErrors.Conflict);
        Assert.Equal(Chap, fixture.Targets.Exports[target.Iqn].MutualChap);
        Assert.True((await _service.GetTargetsAsync(new TargetQuery(Id: [target.Id]), fixture.Stop))[0].MutualChap);
    }

    [Fact]
    public async Task A_failed_grant_is_taken_back_at_the_target_too()
    {
        var target = await Published(await Volume(), First);
        var before = fixture.Targets.Exports[target.Iqn].Grants;
        var calls = 0;
        fixture.Targets.Before = (call, _) => ++calls == 1 ? throw new BlockStorageException(BlockErrors.TargetUnavailable, "no", "t") : Task.CompletedTask;
        await ServiceFixture.Fails(_service.GrantAccessAsync(target.Id, Second, null, false, fixture.Stop), BlockErrors.TargetUnavailable);
        fixture.Targets.Before = MemoryTargets.Nothing;
        Assert.Equal(2, calls);
        Assert.Equal(before, fixture.Targets.Exports[target.Iqn].Grants);
        Assert.Equal([First], (await _service.GetAccessAsync(new TargetQuery(Id: [target.Id]), fixture.Stop)).Select(access => access.Initiator));
    }

    [Fact]
    public async Task New_credentials_open_a_target_that_lets_nobody_in_to_nobody()
    {
        var target = await Published(await Volume(), First);
        await fixture.Run(_service.RevokeAccessAsync(target.Id, First, fixture.Stop));
        await ServiceFixture.Fails(_service.SetTargetAsync(target.Id, new SetTargetRequest(Chap), fixture.Stop), BlockErrors.AccessNotFound);
        Assert.Empty(fixture.Targets.Exports[target.Iqn].Grants);
        Assert.Empty(await _service.GetAccessAsync(new TargetQuery(Id: [target.Id]), fixture.Stop));
    }

    [Fact]
    public async Task An_empty_target_is_given_to_one_of_two_volumes()
    {
        var (one, two) = (await Volume(), await Volume());
        var target = await fixture.Run(_service.NewTargetAsync(new NewTargetRequest(), fixture.Stop));
        var first = await _service.PublishAsync(new PublishRequest(one.Id, TargetIqn: target.Iqn), fixture.Stop);
        var second = await _service.PublishAsync(new PublishRequest(two.Id, TargetIqn: target.Iqn), fixture.Stop);
        await ServiceFixture.RunOn(Task.FromResult(first));
        await ServiceFixture.Fails(Task.FromResult(second), BlockErrors.TargetInUse);
        Assert.Equal(one.Path, fixture.Targets.Exports[target.Iqn].Lun!.Path);
        Assert.Equal(one.Name, (await _service.GetTargetsAsync(new TargetQuery([target.Iqn]), fixture.Stop))[0].Volume);
    }

    [Fact]
    public async Task A_snapshot_is_published_by_one_target()
    {
        var volume = await Volume();
        var snapshot = await fixture.Run(_service.NewSnapshotAsync(new NewSnapshotRequest(volume.Id, volume.Name + "-s"), fixture.Stop));
        var target = await fixture.Run(_service.NewTargetAsync(new NewTargetRequest(), fixture.Stop));
        var first = await _service.PublishAsync(new PublishRequest(SnapshotId: snapshot.Id), fixture.Stop);
        var second = await _service.PublishAsync(new PublishRequest(SnapshotId: snapshot.Id, TargetIqn: target.Iqn), fixture.Stop);
        await ServiceFixture.RunOn(Task.FromResult(first));
        await ServiceFixture.Fails(Task.FromResult(second), BlockErrors.VolumePublished);
        Assert.Single(await _service.GetTargetsAsync(new TargetQuery(Volume: [volume.Name]), fixture.Stop));
    }

    [Fact]
    public async Task A_refused_unpublish_leaves_the_target_as_it_was()
    {
        var volume = await Volume();
        var target = await Published(volume, First);
        fixture.Targets.Sessions[target.Iqn] = new LiveSession(Second, "192.0.2.1");
        var operations = (await _service.GetOperationsAsync(new OperationQuery(), fixture.Stop)).Count;
        await ServiceFixture.Fails(_service.UnpublishAsync(target.Id, force: false, fixture.Stop), BlockErrors.TargetHasSessions);
        Assert.Equal(operations, (await _service.GetOperationsAsync(new OperationQuery(), fixture.Stop)).Count);
        await ServiceFixture.Fails(_service.RemoveTargetAsync(target.Id, force: false, fixture.Stop), BlockErrors.TargetHasSessions);
        var now = Assert.Single(await _service.GetTargetsAsync(new TargetQuery(Id: [target.Id]), fixture.Stop));
        Assert.Equal((BlockStates.Online, "ok", 1), (now.State, now.Health, now.SessionCount));
        Assert.Equal([First], Served(target));
        await fixture.Run(_service.UnpublishAsync(target.Id, force: true, fixture.Stop));
        Assert.Empty(await _service.GetTargetsAsync(new TargetQuery(Id: [target.Id]), fixture.Stop));
        fixture.Targets.Sessions.Clear();
    }

    [Fact]
    public async Task A_resize_that_was_planned_before_another_is_refused()
    {
        var volume = await Volume();
        var stale = await _service.ResizeVolumeAsync(volume.Id, new ResizeVolumeRequest(Size: 4 << 20), fixture.Stop);
        await fixture.Run(_service.ResizeVolumeAsync(volume.Id, new ResizeVolumeRequest(Size: 8 << 20), fixture.Stop));
        await ServiceFixture.Fails(Task.FromResult(stale), BlockErrors.Conflict);
        Assert.Equal(8 << 20, new FileInfo(volume.Path).Length);
    }

    [Fact]
    public async Task A_restore_that_was_planned_before_a_resize_does_not_shrink()
    {
        var volume = await Volume();
        var snapshot = await fixture.Run(_service.NewSnapshotAsync(new NewSnapshotRequest(volume.Id, volume.Name + "-s"), fixture.Stop));
        var stale = await _service.RestoreSnapshotAsync(snapshot.Id, fixture.Stop);
        await fixture.Run(_service.ResizeVolumeAsync(volume.Id, new ResizeVolumeRequest(Size: 8 << 20), fixture.Stop));
        await ServiceFixture.Fails(Task.FromResult(stale), BlockErrors.Conflict);
        Assert.Equal(8 << 20, new FileInfo(volume.Path).Length);
    }

    [Fact]
    public async Task A_published_volume_grows_at_its_target_even_when_it_was_published_after_the_plan()
    {
        var volume = await Volume();
        var plan = await _service.ResizeVolumeAsync(volume.Id, new ResizeVolumeRequest(Size: 4 << 20), fixture.Stop);
        var target = await Published(volume, First);
        await ServiceFixture.Fails(Task.FromResult(plan), BlockErrors.Conflict);
        await fixture.Run(_service.ResizeVolumeAsync(volume.Id, new ResizeVolumeRequest(Size: 4 << 20), fixture.Stop));
        Assert.Contains($"resize {target.Iqn}", fixture.Targets.Calls);
    }

    [Fact]
    public async Task A_copy_that_was_planned_before_its_source_grew_or_went_is_refused()
    {
        var volume = await Volume();
        var snapshot = await fixture.Run(_service.NewSnapshotAsync(new NewSnapshotRequest(volume.Id, volume.Name + "-s"), fixture.Stop));
        var copy = await _service.NewVolumeAsync(new NewVolumeRequest(volume.Name + "-c", FromVolume: volume.Name), fixture.Stop);
        var clone = await _service.NewVolumeAsync(new NewVolumeRequest(volume.Name + "-d", FromSnapshot: snapshot.Name), fixture.Stop);
        var restore = await _service.RestoreSnapshotAsync(snapshot.Id, fixture.Stop);
        await fixture.Run(_service.RemoveSnapshotAsync(snapshot.Id, false, fixture.Stop));
        await ServiceFixture.Fails(Task.FromResult(clone), BlockErrors.SnapshotNotFound);
        await ServiceFixture.Fails(Task.FromResult(restore), BlockErrors.SnapshotNotFound);
        await fixture.Run(_service.ResizeVolumeAsync(volume.Id, new ResizeVolumeRequest(Size: 8 << 20), fixture.Stop));
        await ServiceFixture.Fails(Task.FromResult(copy), BlockErrors.Conflict);
        Assert.Equal([volume.Name], (await _service.GetVolumesAsync(new VolumeQuery([volume.Name + "*"]), fixture.Stop)).Select(found => found.Name));
    }
}
