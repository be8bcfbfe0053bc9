using BlockStorage.Engine.Tests.Operations;
using BlockStorage.Services;

namespace BlockStorage.Engine.Tests.Services;

/// <summary>Target drivers that let initiators in by their names only, as Lio does.</summary>
public sealed class NamedInitiatorTests : IClassFixture<MemoryTargetFixture>
{
    private readonly MemoryTargetFixture _fixture;
    private readonly IBlockStorageService _service;

    public NamedInitiatorTests(MemoryTargetFixture fixture)
    {
        _fixture = fixture;
        _service = fixture.Service;
        fixture.Targets.AnyInitiator = false;
    }

    [Fact]
    public async Task Without_a_name_this_machine_is_let_in()
    {
        var own = (await _service.GetInitiatorAsync(_fixture.Stop)).Iqn;
        var volume = await _fixture.Run(_service.NewVolumeAsync(new NewVolumeRequest("named", 1 << 20), _fixture.Stop));
        var target = await _fixture.Run(_service.PublishAsync(new PublishRequest(volume.Id), _fixture.Stop));
        Assert.Equal([own], target.Initiator);
        var empty = await _fixture.Run(_service.NewTargetAsync(new NewTargetRequest("iqn.2026-01.org.example:named"), _fixture.Stop));
        Assert.Equal([own], empty.Initiator);
    }

    [Theory]
    [InlineData("*")]
    [InlineData("192.0.2.1")]
    [InlineData("2001:db8::/32")]
    public async Task Everybody_and_addresses_are_refused_and_nothing_is_made(string initiator)
    {
        var volume = await _fixture.Run(_service.NewVolumeAsync(new NewVolumeRequest($"v{Guid.NewGuid():N}"[..12], 1 << 20), _fixture.Stop));
        await ServiceFixture.Fails(_service.PublishAsync(new PublishRequest(volume.Id, Initiator: ["iqn.2026-01.org.example:a", initiator]), _fixture.Stop), BlockErrors.InvalidArgument);
        Assert.Empty(await _service.GetTargetsAsync(new TargetQuery(Volume: [volume.Name]), _fixture.Stop));
        var target = await _fixture.Run(_service.PublishAsync(new PublishRequest(volume.Id), _fixture.Stop));
        await ServiceFixture.Fails(_service.GrantAccessAsync(target.Id, initiator, null, false, _fixture.Stop), BlockErrors.InvalidArgument);
    }
}
