using BlockStorage.Services;

namespace BlockStorage.Engine.Tests.Services;

public sealed class VolumeVerbTests(ServiceFixture fixture) : IClassFixture<ServiceFixture>
{
    private readonly IBlockStorageService _service = fixture.Service;

    private Task<BlockVolume> New(string name, long size = 64 << 20, string? provisioning = null) =>
        fixture.Run(_service.NewVolumeAsync(new NewVolumeRequest(name, size, Provisioning: provisioning), fixture.Stop));

    [Fact]
    public async Task The_first_volume_makes_the_pool_default_and_the_plan_says_so()
    {
        var plan = await _service.NewVolumeAsync(new NewVolumeRequest("first", 64 << 20), fixture.Stop);
        Assert.Contains("Allocate 64 MiB thin in pool default", plan.Describe(), StringComparison.Ordinal);
        var volume = await ServiceFixture.RunOn(Task.FromResult(plan));
        Assert.Equal("default", volume.Pool);
        Assert.Equal(BlockStates.Available, volume.State);
        Assert.Equal("ok", volume.Health);
        Assert.Equal(64 << 20, volume.Size);
        Assert.Equal(64 << 20, new FileInfo(volume.Path).Length);
        Assert.Equal(32, volume.Serial.Length);
    }

    [Fact]
    public async Task A_plan_changes_nothing()
    {
        await New("planned-pool");
        var before = await Hash();
        var plan = await _service.NewVolumeAsync(new NewVolumeRequest("planned", 1 << 30), fixture.Stop);
        Assert.NotEmpty(plan.Steps);
        Assert.Equal(before, await Hash());
        Assert.Empty(await _service.GetVolumesAsync(new VolumeQuery(["planned"]), fixture.Stop));
    }

    [Theory]
    [InlineData("")]
    [InlineData("../x")]
    [InlineData("-rf")]
    [InlineData("a;b")]
    [InlineData("a\nb")]
    [InlineData("\U0001F4BE")]
    [InlineData("a/b")]
    [InlineData(".hidden")]
    public async Task A_bad_name_is_refused_and_changes_nothing(string name)
    {
        await ServiceFixture.Fails(_service.NewVolumeAsync(new NewVolumeRequest(name, 1 << 20), fixture.Stop), BlockErrors.InvalidName);
        Assert.DoesNotContain(await _service.GetVolumesAsync(new VolumeQuery(), fixture.Stop), volume => volume.Name == name);
    }

    [Fact]
    public async Task A_name_of_300_characters_is_refused() => await ServiceFixture.Fails(
        _service.NewVolumeAsync(new NewVolumeRequest(new string('x', 300), 1 << 20), fixture.Stop), BlockErrors.InvalidName);

    [Fact]
    public async Task Names_that_differ_only_in_case_are_the_same()
    {
        await New("Cased");
        await ServiceFixture.Fails(_service.NewVolumeAsync(new NewVolumeRequest("cASED", 1 << 20), fixture.Stop), BlockErrors.NameExists);
        var found = Assert.Single(await _service.GetVolumesAsync(new VolumeQuery(["CASED"]), fixture.Stop));
        Assert.Equal("Cased", found.Name);
    }

    [Fact]
    public async Task If_not_exists_gives_what_is_there()
    {
        var volume = await New("kept");
        var again = await fixture.Run(_service.NewVolumeAsync(new NewVolumeRequest("kept", 1 << 20, IfNotExists: true), fixture.Stop));
        Assert.Equal(volume.Id, again.Id);
        Assert.Equal(64 << 20, again.Size);
    }

    [Fact]
    public async Task An_unknown_pool_and_too_much_space_are_refused()
    {
        await New("spacious");
        await ServiceFixture.Fails(_service.NewVolumeAsync(new NewVolumeRequest("v", 1 << 20, Pool: "nowhere"), fixture.Stop), BlockErrors.PoolNotFound);
        await ServiceFixture.Fails(_service.NewVolumeAsync(new NewVolumeRequest("v", 1L << 60, Pool: "default"), fixture.Stop), BlockErrors.InsufficientSpace);
        await ServiceFixture.Fails(_service.NewVolumeAsync(new NewVolumeRequest("v", 1L << 60), fixture.Stop), BlockErrors.NoValidPool);
        await ServiceFixture.Fails(_service.NewVolumeAsync(new NewVolumeRequest("v", 1L << 50, Pool: "default", Provisioning: "thick"), fixture.Stop), BlockErrors.InsufficientSpace);
        await ServiceFixture.Fails(_service.NewVolumeAsync(new NewVolumeRequest("v"), fixture.Stop), BlockErrors.InvalidArgument);
        await ServiceFixture.Fails(_service.NewVolumeAsync(new NewVolumeRequest("v", 1 << 20, FromVolume: "spacious", FromSnapshot: "x"), fixture.Stop), BlockErrors.InvalidArgument);
        Assert.Empty(await _service.GetVolumesAsync(new VolumeQuery(["v"]), fixture.Stop));
    }

    [Fact]
    public async Task A_thick_volume_has_its_space()
    {
        var volume = await New("thick1", provisioning: "thick");
        Assert.True(volume.UsedSize >= 64 << 20);
        Assert.Null(volume.UsedPercent);
    }

    [Fact]
    public async Task Rename_keeps_id_path_and_serial()
    {
        var before = await New("oldname");
        var after = await fixture.Run(_service.RenameVolumeAsync(before.Id, "newname", fixture.Stop));
        Assert.Equal(("newname", before.Id, before.Path, before.Serial), (after.Name, after.Id, after.Path, after.Serial));
        Assert.Equal("ok", after.Health);
        Assert.Empty(await _service.GetVolumesAsync(new VolumeQuery(["oldname"]), fixture.Stop));
    }

    [Fact]
    public async Task Resize_grows_and_never_shrinks()
    {
        var volume = await New("grow");
        volume = await fixture.Run(_service.ResizeVolumeAsync(volume.Id, new ResizeVolumeRequest(Increase: 64 << 20), fixture.Stop));
        Assert.Equal(128 << 20, volume.Size);
        Assert.Equal(128 << 20, new FileInfo(volume.Path).Length);
        await ServiceFixture.Fails(_service.ResizeVolumeAsync(volume.Id, new ResizeVolumeRequest(Size: 1 << 20), fixture.Stop), BlockErrors.ShrinkNotAllowed);
        var plan = await _service.ResizeVolumeAsync(volume.Id, new ResizeVolumeRequest(Size: 128 << 20), fixture.Stop);
        Assert.Empty(plan.Steps);
    }

    [Fact(DisplayName = "Scenario 15: -AllowShrink refuses what is used or would be lost, and shows its plan")]
    public async Task Shrink_is_allowed_where_nothing_is_lost()
    {
        var volume = await New("less");
        var shrink = new ResizeVolumeRequest(Size: 16 << 20, AllowShrink: true);
        var plan = await _service.ResizeVolumeAsync(volume.Id, shrink, fixture.Stop);
        Assert.Contains("reads as zeros behind 16 MiB", Assert.Single(plan.Steps).Text, StringComparison.Ordinal);
        Assert.Equal(64 << 20, new FileInfo(volume.Path).Length);
        await ServiceFixture.Fails(_service.ResizeVolumeAsync(volume.Id, shrink with { Size = 0 }, fixture.Stop), BlockErrors.InvalidSize);
        var snapshot = await fixture.Run(_service.NewSnapshotAsync(new NewSnapshotRequest(volume.Id, "less-s"), fixture.Stop));
        await ServiceFixture.Fails(_service.ResizeVolumeAsync(volume.Id, shrink, fixture.Stop), BlockErrors.SnapshotDependency);
        await fixture.Run(_service.RemoveSnapshotAsync(snapshot.Id, false, fixture.Stop));

        using (var file = File.OpenWrite(volume.Path))
        {
            file.Seek(20 << 20, SeekOrigin.Begin);
            file.WriteByte(1);
        }
        await ServiceFixture.Fails(_service.ResizeVolumeAsync(volume.Id, shrink, fixture.Stop), BlockErrors.ShrinkNotAllowed);
        var now = (await _service.GetVolumesAsync(new VolumeQuery(["less"]), fixture.Stop)).Single();
        Assert.Equal((64L << 20, "available", "ok"), (now.Size, now.State, now.Health));
        now = await fixture.Run(_service.ResizeVolumeAsync(volume.Id, shrink with { Size = 24 << 20 }, fixture.Stop));
        Assert.Equal((24L << 20, 24L << 20, "available"), (now.Size, new FileInfo(volume.Path).Length, now.State));
    }

    [Fact]
    public async Task Snapshot_clone_and_revert_have_the_right_bytes()
    {
        var volume = await New("bytes");
        Fill(volume.Path, 1);
        var snapshot = await fixture.Run(_service.NewSnapshotAsync(new NewSnapshotRequest(volume.Id, "{Volume}-one"), fixture.Stop));
        Assert.Equal("bytes-one", snapshot.Name);
        Fill(volume.Path, 2);
        Assert.Equal(1, First(snapshot.Path));
        Assert.Equal(2, First(volume.Path));

        var clone = await fixture.Run(_service.NewVolumeAsync(new NewVolumeRequest("bytes2", FromSnapshot: "bytes-one"), fixture.Stop));
        Assert.Equal(1, First(clone.Path));
        await ServiceFixture.Fails(_service.NewVolumeAsync(new NewVolumeRequest("small", 1 << 20, FromSnapshot: "bytes-one"), fixture.Stop), BlockErrors.InvalidSize);

        await fixture.Run(_service.ResizeVolumeAsync(volume.Id, new ResizeVolumeRequest(Size: 96 << 20), fixture.Stop));
        var reverted = await fixture.Run(_service.RestoreSnapshotAsync(snapshot.Id, fixture.Stop));
        Assert.Equal(1, First(reverted.Path));
        Assert.Equal(96 << 20, reverted.Size);
        Assert.Equal("ok", reverted.Health);

        await ServiceFixture.Fails(_service.RemoveVolumeAsync(volume.Id, cascade: false, force: false, fixture.Stop), BlockErrors.SnapshotDependency);
        await fixture.Run(_service.RemoveVolumeAsync(volume.Id, cascade: true, force: false, fixture.Stop));
        Assert.False(File.Exists(volume.Path) || File.Exists(snapshot.Path));
        Assert.Equal(1, First(clone.Path));
    }

    [Fact]
    public async Task Every_operation_is_in_the_journal_and_closed()
    {
        await New("journaled");
        var operation = Assert.Single(await _service.GetOperationsAsync(new OperationQuery(Volume: ["journaled"]), fixture.Stop));
        Assert.Equal((BlockStates.Succeeded, "CreateVolume", 100), (operation.State, operation.Kind, operation.PercentComplete));
        Assert.All(operation.Step, step => Assert.Equal("done", step.State));
        Assert.Contains(await _service.GetEventsAsync(new EventQuery(), fixture.Stop), entry => entry.OperationId == operation.Id);
    }

    private static void Fill(string path, byte value)
    {
        using var file = File.OpenWrite(path);
        file.Write(Enumerable.Repeat(value, 1 << 20).ToArray());
    }

    private static int First(string path)
    {
        using var file = File.OpenRead(path);
        return file.ReadByte();
    }

    private async Task<string> Hash()
    {
        var volumes = await _service.GetVolumesAsync(new VolumeQuery(), fixture.Stop);
        var files = Directory.EnumerateFiles(fixture.Home, "*", SearchOption.AllDirectories).Order(StringComparer.Ordinal);
        return string.Join('\n', files.Concat(volumes.Select(volume => $"{volume.Id} {volume.State}")));
    }
}
