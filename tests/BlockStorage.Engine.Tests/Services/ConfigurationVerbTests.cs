using BlockStorage.Services;

namespace BlockStorage.Engine.Tests.Services;

public sealed class ConfigurationVerbTests : IAsyncLifetime
{
    private readonly ServiceFixture _fixture = new() { OwnAddress = false };

    private IBlockStorageService Service => _fixture.Service;

    public Task InitializeAsync() => _fixture.InitializeAsync();

    public Task DisposeAsync() => _fixture.DisposeAsync();

    private Task<BlockStorageConfiguration> Get() => Service.GetConfigurationAsync(_fixture.Stop);

    private Task<BlockStorageConfiguration> Set(SetConfigurationRequest request) => _fixture.Run(Service.SetConfigurationAsync(request, _fixture.Stop));

    [Fact]
    public async Task Reading_verbs_on_a_fresh_machine_answer_and_write_nothing()
    {
        var configuration = await Get();
        Assert.Equal(("127.0.0.1", 0, "", 30, 90), (configuration.PortalAddress, configuration.PortalPort, configuration.DefaultPool, configuration.LockTimeoutSeconds, configuration.HistoryDays));
        Assert.Equal(_fixture.Home, configuration.StateRoot);
        Assert.StartsWith("iqn.", configuration.InitiatorIqn, StringComparison.Ordinal);
        Assert.Empty(await Service.GetPoolsAsync(new ObjectQuery(), _fixture.Stop));
        Assert.Empty(await Service.GetVolumesAsync(new VolumeQuery(), _fixture.Stop));
        Assert.Empty(await Service.GetTargetsAsync(new TargetQuery(), _fixture.Stop));
        Assert.Empty(await Service.GetConnectionsAsync(new ConnectionQuery(), _fixture.Stop));
        Assert.Empty(await Service.GetEventsAsync(new EventQuery(), _fixture.Stop));
        Assert.Empty(await Service.RecoverAsync(Engine.Host.SilentSink.Instance, _fixture.Stop));
        Assert.Empty((await Service.RepairAsync(_fixture.Stop)).Steps);
        Assert.NotEmpty(await Service.TestServerAsync(_fixture.Stop));
        Assert.False(Directory.Exists(_fixture.Home));
        Directory.CreateDirectory(_fixture.Home);
    }

    [RootFact]
    public async Task Of_the_drivers_of_a_kind_one_says_that_it_is_used()
    {
        var drivers = (await Service.TestServerAsync(_fixture.Stop)).Where(check => check is { Kind: "Driver", State: "ok" }).ToArray();
        foreach (var what in new[] { "target driver", "iscsi connector", "local connector" })
        {
            var kind = drivers.Where(check => check.Detail.StartsWith(what, StringComparison.Ordinal)).ToArray();
            Assert.Contains(", used by ", kind[0].Detail, StringComparison.Ordinal);
            Assert.All(kind.Skip(1), check => Assert.Contains($", in reserve, {kind[0].Name} is used", check.Detail, StringComparison.Ordinal));
        }
        Directory.CreateDirectory(_fixture.Home);
    }

    [Fact]
    public async Task What_is_set_is_kept_for_other_processes_and_the_rest_stays()
    {
        var before = await Get();
        var plan = await Service.SetConfigurationAsync(new SetConfigurationRequest(PortalPort: 3999, HistoryDays: 7), _fixture.Stop);
        Assert.Contains("PortalPort = 3999", plan.Target, StringComparison.Ordinal);
        Assert.Equal(0, (await Get()).PortalPort);
        await ServiceFixture.RunOn(Task.FromResult(plan));
        await using var other = _fixture.Open();
        var after = await other.GetConfigurationAsync(_fixture.Stop);
        Assert.Equal((3999, 7, before.LockTimeoutSeconds, before.IqnPrefix), (after.PortalPort, after.HistoryDays, after.LockTimeoutSeconds, after.IqnPrefix));
        Assert.Equal("iqn.2026-01.org.example:x", (await Set(new SetConfigurationRequest(IqnPrefix: "IQN.2026-01.org.example:X"))).IqnPrefix);
        Assert.Equal("::1", (await Set(new SetConfigurationRequest(PortalAddress: "0:0::1"))).PortalAddress);
        Assert.Equal(3999, (await Get()).PortalPort);
        Assert.Empty((await Service.SetConfigurationAsync(new SetConfigurationRequest(), _fixture.Stop)).Steps);
    }

    [Fact]
    public async Task What_cannot_be_is_refused_and_changes_nothing()
    {
        await Set(new SetConfigurationRequest(PortalPort: 3999));
        SetConfigurationRequest[] wrong =
        [
            new(PortalPort: -1), new(PortalPort: 65536), new(PortalAddress: ""), new(PortalAddress: "host name"), new(PortalAddress: "1.2.3.4:5"),
            new(LockTimeoutSeconds: 0), new(LockTimeoutSeconds: 3601), new(HistoryDays: 0), new(HistoryDays: int.MaxValue),
        ];
        foreach (var request in wrong)
            await ServiceFixture.Fails(Service.SetConfigurationAsync(request with { PortalPort = request.PortalPort ?? 4000 }, _fixture.Stop), BlockErrors.InvalidArgument);
        await ServiceFixture.Fails(Service.SetConfigurationAsync(new SetConfigurationRequest(IqnPrefix: "iqn.bad"), _fixture.Stop), BlockErrors.InvalidIqn);
        await ServiceFixture.Fails(Service.SetConfigurationAsync(new SetConfigurationRequest(DefaultPool: "nowhere"), _fixture.Stop), BlockErrors.PoolNotFound);
        // Room for ":snapshot:" and an id must be left below the 223 characters of an IQN.
        await ServiceFixture.Fails(Service.SetConfigurationAsync(
            new SetConfigurationRequest(IqnPrefix: "iqn.2026-01.org.example:" + new string('x', 190)), _fixture.Stop), BlockErrors.InvalidIqn);
        Assert.Equal(3999, (await Get()).PortalPort);
    }

    [Fact]
    public async Task The_initiator_name_is_checked_and_kept()
    {
        var initiator = await _fixture.Run(Service.SetInitiatorAsync("IQN.2026-01.org.example:Host", _fixture.Stop));
        Assert.Equal("iqn.2026-01.org.example:host", initiator.Iqn);
        Assert.Equal(initiator.Iqn, (await Get()).InitiatorIqn);
        Assert.Empty((await Service.SetInitiatorAsync(initiator.Iqn, _fixture.Stop)).Steps);
        await ServiceFixture.Fails(Service.SetInitiatorAsync("host", _fixture.Stop), BlockErrors.InvalidIqn);
    }

    [Fact]
    public async Task The_default_pool_is_used_and_follows_a_rename()
    {
        foreach (var name in new[] { "one", "two" })
            await _fixture.Run(Service.NewPoolAsync(new NewPoolRequest(name, "File", $"{_fixture.Home}/{name}"), _fixture.Stop));
        await Set(new SetConfigurationRequest(DefaultPool: "TWO"));
        Assert.Equal("two", (await New("v1")).Pool);
        var two = (await Service.GetPoolsAsync(new ObjectQuery(["two"]), _fixture.Stop))[0];
        await _fixture.Run(Service.RenamePoolAsync(two.Id, "zwei", _fixture.Stop));
        Assert.Equal("zwei", (await Get()).DefaultPool);
        Assert.Equal("zwei", (await New("v2")).Pool);
        Assert.Equal("", (await Set(new SetConfigurationRequest(DefaultPool: ""))).DefaultPool);
    }

    [Fact]
    public async Task Events_tell_what_happened_and_can_be_chosen()
    {
        var begin = DateTime.Now;
        await New("told");
        var volume = (await Service.GetVolumesAsync(new VolumeQuery(["told"]), _fixture.Stop))[0];
        await _fixture.Run(Service.RenameVolumeAsync(volume.Id, "told-2", _fixture.Stop));
        var events = await Service.GetEventsAsync(new EventQuery(Volume: ["told"]), _fixture.Stop);
        Assert.Equal(["Create volume: told (1 MiB, thin) in pool default", "Rename volume: told to told-2"], events.Select(told => told.Message));
        Assert.All(events, told => Assert.Equal(("Information", Environment.UserName), (told.Level, told.UserName)));
        Assert.Equal(3, (await Service.GetEventsAsync(new EventQuery(Since: begin), _fixture.Stop)).Count);
        Assert.Empty(await Service.GetEventsAsync(new EventQuery(Since: DateTime.Now.AddHours(1)), _fixture.Stop));
        Assert.Empty(await Service.GetEventsAsync(new EventQuery(["Error"]), _fixture.Stop));
        Assert.Empty(await Service.GetEventsAsync(new EventQuery(Volume: ["other"]), _fixture.Stop));
    }

    private Task<BlockVolume> New(string name) => _fixture.Run(Service.NewVolumeAsync(new NewVolumeRequest(name, 1 << 20), _fixture.Stop));
}
