using BlockStorage.Engine.Tests.Operations;
using BlockStorage.Services;

namespace BlockStorage.Engine.Tests.Services;

/// <summary>Targets that listen at several portals.</summary>
public sealed class TargetPortalTests(MemoryTargetFixture fixture) : IClassFixture<MemoryTargetFixture>
{
    private readonly IBlockStorageService _service = fixture.Service;

    private async Task<string> VolumeAsync() =>
        (await fixture.Run(_service.NewVolumeAsync(new NewVolumeRequest($"v{Guid.NewGuid():N}"[..12], 1 << 20), fixture.Stop))).Id;

    [Fact]
    public async Task It_listens_where_it_was_told_to_in_that_order()
    {
        var volume = await VolumeAsync();
        var plan = await _service.PublishAsync(new PublishRequest(volume, Portal: ["198.51.100.12:3261", "[2001:DB8::1]:3262", "198.51.100.11"]), fixture.Stop);
        string[] expected = ["198.51.100.12:3261", "[2001:db8::1]:3262", "198.51.100.11:3260"];
        Assert.Contains(string.Join(", ", expected), plan.Target, StringComparison.Ordinal);
        var target = await ServiceFixture.RunOn(Task.FromResult(plan));
        Assert.Equal(expected, target.Portal);
        Assert.Equal(expected, fixture.Targets.Exports[target.Iqn].Portals.Select(portal => portal.ToString()));
        Assert.Equal(expected, Assert.Single(await _service.GetTargetsAsync(new TargetQuery(Id: [target.Id]), fixture.Stop)).Portal);
    }

    [Fact]
    public async Task An_address_without_a_port_has_the_one_that_other_targets_have_there_or_the_configured_one()
    {
        await fixture.Run(_service.PublishAsync(new PublishRequest(await VolumeAsync(), Portal: ["198.51.100.7:3299"]), fixture.Stop));
        var shared = await fixture.Run(_service.PublishAsync(new PublishRequest(await VolumeAsync(), Portal: ["198.51.100.7", "198.51.100.8"]), fixture.Stop));
        Assert.Equal(["198.51.100.7:3299", "198.51.100.8:3260"], shared.Portal);
    }

    [Fact]
    public async Task Publishing_again_compares_portals_where_some_are_given()
    {
        var volume = await VolumeAsync();
        var target = await fixture.Run(_service.PublishAsync(new PublishRequest(volume, Portal: ["198.51.100.1", "198.51.100.2"]), fixture.Stop));
        foreach (var same in new string[]?[] { null, [], ["198.51.100.2", "198.51.100.1:3260"] })
            Assert.Empty((await _service.PublishAsync(new PublishRequest(volume, Portal: same), fixture.Stop)).Steps);
        foreach (var other in new string[][] { ["198.51.100.1"], ["198.51.100.1", "198.51.100.2:3261"], ["198.51.100.1", "198.51.100.1"], ["198.51.100.1", "198.51.100.2", "198.51.100.3"] })
            await ServiceFixture.Fails(_service.PublishAsync(new PublishRequest(volume, Portal: other), fixture.Stop), BlockErrors.VolumePublished);
        Assert.Equal(["198.51.100.1:3260", "198.51.100.2:3260"], fixture.Targets.Exports[target.Iqn].Portals.Select(portal => portal.ToString()));
    }

    [Theory]
    [InlineData("twice", "198.51.100.1", "198.51.100.1:3260")]
    [InlineData("twice", "[2001:db8::1]:3260", "2001:DB8:0::1")]
    [InlineData("covers", "0.0.0.0:3260", "198.51.100.1:3260")]
    [InlineData("covers", "198.51.100.1", "::")]
    [InlineData("no portal", "198.51.100.1", "store1")]
    [InlineData("no portal", "198.51.100.1:70000")]
    public async Task Duplicates_and_what_is_no_portal_are_refused_and_nothing_is_made(string says, params string[] portals)
    {
        var volume = await VolumeAsync();
        var error = await ServiceFixture.Fails(_service.PublishAsync(new PublishRequest(volume, Portal: portals), fixture.Stop), BlockErrors.InvalidArgument);
        Assert.Contains(says, error.Message, StringComparison.Ordinal);
        await ServiceFixture.Fails(_service.NewTargetAsync(new NewTargetRequest(Portal: portals), fixture.Stop), BlockErrors.InvalidArgument);
        Assert.DoesNotContain(await _service.GetTargetsAsync(new TargetQuery(), fixture.Stop), target => target.VolumeId == volume);
    }

    [Fact]
    public async Task An_empty_target_keeps_its_portals()
    {
        var made = await fixture.Run(_service.NewTargetAsync(new NewTargetRequest("iqn.2026-01.org.example:paths", Portal: ["198.51.100.1:4260", "198.51.100.2:4260"]), fixture.Stop));
        Assert.Equal(["198.51.100.1:4260", "198.51.100.2:4260"], made.Portal);
        var volume = await VolumeAsync();
        var error = await ServiceFixture.Fails(_service.PublishAsync(new PublishRequest(volume, TargetIqn: made.Iqn, Portal: ["198.51.100.1"]), fixture.Stop), BlockErrors.InvalidArgument);
        Assert.Contains("198.51.100.2:4260", error.Message, StringComparison.Ordinal);
        Assert.Equal(made.Portal, (await fixture.Run(_service.PublishAsync(new PublishRequest(volume, TargetIqn: made.Iqn), fixture.Stop))).Portal);
    }

    [Fact]
    public async Task After_a_restart_a_missing_address_keeps_only_its_own_path_away()
    {
        var plan = await _service.PublishAsync(new PublishRequest(await VolumeAsync(), Portal: ["127.0.0.1:3290", "192.0.2.77:3290"]), fixture.Stop);
        var target = await ServiceFixture.RunOn(Task.FromResult(plan));
        fixture.Targets.Exports.Remove(target.Iqn);

        var action = Assert.Single(await fixture.Run(_service.RepairAsync(fixture.Stop)), action => action.Name == target.Iqn);
        Assert.Equal("done", action.State);
        Assert.Equal(["127.0.0.1:3290"], fixture.Targets.Exports[target.Iqn].Portals.Select(portal => portal.ToString()));

        var missing = Assert.Single(await fixture.Run(_service.RepairAsync(fixture.Stop)), action => action.Name == target.Iqn);
        Assert.Equal("manual", missing.State);
        Assert.Contains("192.0.2.77:3290", missing.Problem, StringComparison.Ordinal);
        await fixture.Run(_service.UnpublishAsync(target.Id, false, fixture.Stop));
    }
}
