using BlockStorage.Engine.Host;
using BlockStorage.Services;

namespace BlockStorage.Engine.Tests.Services;

public sealed class PoolVerbTests : IAsyncLifetime
{
    private readonly ServiceFixture _fixture = new();

    private IBlockStorageService Service => _fixture.Service;

    private string At(string name) => $"{_fixture.Home}/{name}";

    public Task InitializeAsync() => _fixture.InitializeAsync();

    public Task DisposeAsync() => _fixture.DisposeAsync();

    private Task<BlockPool> New(NewPoolRequest request) => _fixture.Run(Service.NewPoolAsync(request, _fixture.Stop));

    private async Task<BlockPool> Get(string name) => Assert.Single(await Service.GetPoolsAsync(new ObjectQuery([name]), _fixture.Stop));

    [RootFact]
    public async Task After_a_reboot_reading_starts_nothing_and_a_change_mounts_the_image_again()
    {
        var pool = await New(new NewPoolRequest("image", "File", At("image"), 320 << 20));
        Assert.Equal((BlockStates.Enabled, "reflink"), (pool.State, pool.SnapshotMethod));
        var volume = await _fixture.Run(Service.NewVolumeAsync(new NewVolumeRequest("v", 1 << 20), _fixture.Stop));
        var data = Path.GetDirectoryName(volume.Path)!;
        await Mounts.UnmountAsync(data, default);

        var offline = await Get("image");
        Assert.Equal(BlockStates.Offline, offline.State);
        Assert.Contains("not mounted", offline.Health, StringComparison.Ordinal);
        var shown = Assert.Single(await Service.GetVolumesAsync(new VolumeQuery(), _fixture.Stop));
        Assert.Equal(BlockStates.Available, shown.State);
        Assert.StartsWith("pool: ", shown.Health, StringComparison.Ordinal);
        Assert.Contains(await Service.TestServerAsync(_fixture.Stop), check => check.Kind == "Pool" && check.State != "ok");
        Assert.NotEmpty((await Service.RepairAsync(_fixture.Stop)).Steps);
        Assert.Empty(await Service.RecoverAsync(SilentSink.Instance, _fixture.Stop));
        Assert.Null(Mounts.At(data));

        var snapshot = await _fixture.Run(Service.NewSnapshotAsync(new NewSnapshotRequest(volume.Id, "s"), _fixture.Stop));
        Assert.NotNull(Mounts.At(data));
        Assert.Equal("ok", snapshot.Health);
        Assert.Equal(BlockStates.Enabled, (await Get("image")).State);
        Assert.Equal("ok", Assert.Single(await Service.GetVolumesAsync(new VolumeQuery(), _fixture.Stop)).Health);
    }

    [RootTheory]
    [InlineData("new volume")]
    [InlineData("largest volume")]
    [InlineData("resize")]
    [InlineData("largest resize")]
    [InlineData("remove")]
    [InlineData("set")]
    [InlineData("repair")]
    public async Task Every_change_mounts_it_again(string change)
    {
        await New(new NewPoolRequest("image", "File", At("image"), 320 << 20));
        var volume = await _fixture.Run(Service.NewVolumeAsync(new NewVolumeRequest("v", 1 << 20), _fixture.Stop));
        var data = Path.GetDirectoryName(volume.Path)!;
        await Mounts.UnmountAsync(data, default);
        switch (change)
        {
            case "new volume":
                await _fixture.Run(Service.NewVolumeAsync(new NewVolumeRequest("w", 1 << 20, Pool: "image"), _fixture.Stop));
                break;
            case "largest volume":
                var largest = await _fixture.Run(Service.NewVolumeAsync(new NewVolumeRequest("w", UseMaximumSize: true, Pool: "image"), _fixture.Stop));
                Assert.InRange(largest.Size, 64 << 20, 320 << 20);
                break;
            case "resize":
                volume = await _fixture.Run(Service.ResizeVolumeAsync(volume.Id, new ResizeVolumeRequest(Increase: 1 << 20), _fixture.Stop));
                Assert.Equal(2 << 20, volume.Size);
                break;
            case "largest resize":
                volume = await _fixture.Run(Service.ResizeVolumeAsync(volume.Id, new ResizeVolumeRequest(UseMaximumSize: true), _fixture.Stop));
                Assert.InRange(volume.Size, 64 << 20, 320 << 20);
                break;
            case "remove":
                await _fixture.Run(Service.RemoveVolumeAsync(volume.Id, false, false, _fixture.Stop));
                Assert.False(File.Exists(volume.Path));
                break;
            case "set":
                await _fixture.Run(Service.SetVolumeAsync(volume.Id, new SetVolumeRequest("new text"), _fixture.Stop));
                break;
            default:
                Assert.All(await _fixture.Run(Service.RepairAsync(_fixture.Stop)), action => Assert.Equal("done", action.State));
                break;
        }
        Assert.NotNull(Mounts.At(data));
    }

    [RootFact]
    public async Task What_takes_of_a_pool_past_its_warning_line_leaves_a_warning_among_the_events()
    {
        await New(new NewPoolRequest("image", "File", At("image"), 320 << 20, WarningPercent: 1));
        Assert.Contains("used, warning from 1 %", (await Get("image")).Health, StringComparison.Ordinal);
        Assert.Null((await Get("image")).DataPercent);
        var volume = await _fixture.Run(Service.NewVolumeAsync(new NewVolumeRequest("v", 1 << 20, Pool: "image"), _fixture.Stop));
        await _fixture.Run(Service.NewSnapshotAsync(new NewSnapshotRequest(volume.Id, "s"), _fixture.Stop));
        await _fixture.Run(Service.SetPoolAsync((await Get("image")).Id, new SetPoolRequest(WarningPercent: 100), _fixture.Stop));
        await _fixture.Run(Service.ResizeVolumeAsync(volume.Id, new ResizeVolumeRequest(Increase: 1 << 20), _fixture.Stop));
        var warnings = await Service.GetEventsAsync(new EventQuery(Level: ["Warning"]), _fixture.Stop);
        Assert.Equal(["v", "v"], warnings.Select(warning => warning.Volume));
        Assert.All(warnings, warning => Assert.Matches("^Pool 'image' fills up: [0-9.]+ % used, warning from 1 %[.]$", warning.Message));
        Assert.All(warnings, warning => Assert.NotEmpty(warning.OperationId));
    }

    [RootTheory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_path_on_a_read_only_or_full_file_system_is_refused_and_nothing_is_left(bool readOnly)
    {
        var mounted = At("small");
        Directory.CreateDirectory(mounted);
        Mounts.Mount("tmpfs", mounted, "tmpfs", readOnly ? MountFlags.ReadOnly : MountFlags.None, "size=256k");
        try
        {
            if (!readOnly)
            {
                await using var ballast = File.Create(Path.Combine(mounted, "ballast"));
                await Assert.ThrowsAsync<IOException>(async () => { await ballast.WriteAsync(new byte[1 << 20]); await ballast.FlushAsync(); });
            }
            foreach (long? size in new long?[] { null, 512 << 20 })
            {
                await ServiceFixture.Fails(Service.NewPoolAsync(new NewPoolRequest("p", "File", mounted + "/pool", size), _fixture.Stop),
                    readOnly ? BlockErrors.InvalidPath : BlockErrors.InsufficientSpace);
            }
            Assert.False(Directory.Exists(mounted + "/pool"));
            Assert.Empty(await Service.GetPoolsAsync(new ObjectQuery(), _fixture.Stop));
            Assert.Empty((await Service.RepairAsync(_fixture.Stop)).Steps);
        }
        finally
        {
            await Mounts.UnmountAsync(mounted, default);
            Directory.Delete(mounted);
        }
    }

    [Fact]
    public async Task Settings_of_a_pool_change_and_wrong_ones_change_nothing()
    {
        var pool = await New(new NewPoolRequest("p", "file", At("p"), OversubscriptionRatio: 2.5, ReservedPercent: 5, Description: "d"));
        Assert.Equal((2.5, 5, 80, "thin", "d", "File"), (pool.OversubscriptionRatio, pool.ReservedPercent, pool.WarningPercent, pool.Provisioning, pool.Description, pool.Driver));
        SetPoolRequest[] wrong =
        [
            new(OversubscriptionRatio: 0.5), new(OversubscriptionRatio: double.NaN), new(OversubscriptionRatio: double.PositiveInfinity),
            new(ReservedPercent: -1), new(ReservedPercent: 101), new(WarningPercent: 0), new(WarningPercent: 101), new(Provisioning: "fat"), new(WhenFull: "burst"), new(WipeRate: 1),
        ];
        foreach (var request in wrong)
            await ServiceFixture.Fails(Service.SetPoolAsync(pool.Id, request, _fixture.Stop), BlockErrors.InvalidArgument);
        foreach (var request in new SetPoolRequest[] { new(WhenFull: "queue"), new(WipeRate: 1 << 20) })
            await ServiceFixture.Fails(Service.SetPoolAsync(pool.Id, request, _fixture.Stop), BlockErrors.NotSupported);
        foreach (var request in new NewPoolRequest[] { new("q", "File", At("q"), Raid: "1"), new("q", "File", At("q"), WhenFull: "queue"), new("q", "File", At("q"), WipeRate: 1 << 20) })
            await ServiceFixture.Fails(Service.NewPoolAsync(request, _fixture.Stop), BlockErrors.NotSupported);
        await ServiceFixture.Fails(Service.NewPoolAsync(new NewPoolRequest("q", "File", At("q"), Raid: "4"), _fixture.Stop), BlockErrors.InvalidArgument);
        Assert.False(Directory.Exists(At("q")));
        Assert.Equal(("", "", 0), (pool.Raid, pool.WhenFull, pool.WipeRate));
        Assert.Equivalent(new { pool.OversubscriptionRatio, pool.ReservedPercent, pool.WarningPercent, pool.Provisioning }, await Get("p"));
        pool = await _fixture.Run(Service.SetPoolAsync(pool.Id, new SetPoolRequest(1, 0, 50, "THICK", "new"), _fixture.Stop));
        Assert.Equal((1.0, 0, 50, "thick", "new"), (pool.OversubscriptionRatio, pool.ReservedPercent, pool.WarningPercent, pool.Provisioning, pool.Description));
        Assert.Empty((await Service.RepairAsync(_fixture.Stop)).Steps);
    }

    [Fact]
    public async Task A_pool_is_made_once_and_its_place_belongs_to_it()
    {
        var pool = await New(new NewPoolRequest("p", "File", At("p")));
        Assert.Equal(pool.Id, (await New(new NewPoolRequest("P", "File", At("elsewhere"), IfNotExists: true))).Id);
        await ServiceFixture.Fails(Service.NewPoolAsync(new NewPoolRequest("P", "File", At("elsewhere")), _fixture.Stop), BlockErrors.NameExists);
        await ServiceFixture.Fails(Service.NewPoolAsync(new NewPoolRequest("q", "File", At("p")), _fixture.Stop), BlockErrors.InvalidPath);
        await ServiceFixture.Fails(Service.NewPoolAsync(new NewPoolRequest("q", "Floppy", At("q")), _fixture.Stop), BlockErrors.DriverNotFound);
        Assert.False(Directory.Exists(At("elsewhere")));
        await _fixture.Run(Service.NewVolumeAsync(new NewVolumeRequest("v", 1 << 20), _fixture.Stop));
        await ServiceFixture.Fails(Service.RemovePoolAsync(pool.Id, _fixture.Stop), BlockErrors.PoolNotEmpty);
        Assert.Equal((BlockStates.Enabled, 1), ((await Get("p")).State, (await Get("p")).VolumeCount));
    }

    [RootFact]
    public async Task The_largest_volume_is_what_is_free_and_allowed()
    {
        await New(new NewPoolRequest("p", "File", At("p"), 320 << 20, OversubscriptionRatio: 1));
        await _fixture.Run(Service.NewVolumeAsync(new NewVolumeRequest("half", 100 << 20), _fixture.Stop));
        var rest = await _fixture.Run(Service.NewVolumeAsync(new NewVolumeRequest("rest", UseMaximumSize: true), _fixture.Stop));
        var pool = await Get("p");
        Assert.InRange(pool.TotalSize - pool.ProvisionedSize, 0, (1 << 20) - 1);
        Assert.True(rest.Size > 100 << 20);
        await ServiceFixture.Fails(Service.NewVolumeAsync(new NewVolumeRequest("more", UseMaximumSize: true, Pool: "p"), _fixture.Stop), BlockErrors.InsufficientSpace);
    }
}
