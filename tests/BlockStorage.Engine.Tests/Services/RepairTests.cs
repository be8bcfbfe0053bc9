using System.Security.Cryptography;
using BlockStorage.Engine.Host;
using BlockStorage.Engine.Tests.Catalog;
using BlockStorage.Services;
using Microsoft.Data.Sqlite;

namespace BlockStorage.Engine.Tests.Services;

/// <summary>What goes wrong outside of our commands: it is shown, repaired where that is safe, and never costs data.</summary>
public sealed class RepairTests : IAsyncLifetime
{
    private readonly ServiceFixture _fixture = new();

    private IBlockStorageService Service => _fixture.Service;

    public Task InitializeAsync() => _fixture.InitializeAsync();

    public Task DisposeAsync() => _fixture.DisposeAsync();

    private async Task<BlockVolume> New(string name) => await _fixture.Run(Service.NewVolumeAsync(
        new NewVolumeRequest(name, 2 << 20, Tag: ["gold", "a,b"], Description: "of " + name), _fixture.Stop));

    private async Task<BlockVolume> Get(string name) => Assert.Single(await Service.GetVolumesAsync(new VolumeQuery([name]), _fixture.Stop));

    private async Task<IReadOnlyList<BlockRepairAction>> Repair() => await _fixture.Run(Service.RepairAsync(_fixture.Stop));

    private static string Sidecar(BlockVolume volume) => Path.ChangeExtension(volume.Path, ".json");

    [Fact]
    public async Task Where_nothing_is_wrong_nothing_is_repaired()
    {
        await New("fine");
        Assert.Empty((await Service.RepairAsync(_fixture.Stop)).Steps);
        Assert.Empty(await Repair());
    }

    [Theory]
    [InlineData("")]
    [InlineData("{ not json")]
    [InlineData("\u0000\u0001\u0002")]
    [InlineData(null)]
    public async Task A_damaged_sidecar_shows_and_is_written_again(string? content)
    {
        var volume = await New("v");
        await Write(volume.Path, 1);
        var good = await File.ReadAllBytesAsync(Sidecar(volume));
        if (content is null)
            File.Delete(Sidecar(volume));
        else
            await File.WriteAllTextAsync(Sidecar(volume), content);

        var shown = await Get("v");
        Assert.NotEqual("ok", shown.Health);
        Assert.Equal(BlockStates.Available, shown.State);
        var plan = await Service.RepairAsync(_fixture.Stop);
        Assert.Contains("v", Assert.Single(plan.Steps).Text, StringComparison.Ordinal);
        var action = Assert.Single(await ServiceFixture.RunOn(Task.FromResult(plan)));
        Assert.Equal(("Volume", "v", "done"), (action.Kind, action.Name, action.State));
        Assert.Equal("ok", (await Get("v")).Health);
        Assert.Equal(good, await File.ReadAllBytesAsync(Sidecar(volume)));
        Assert.Equal(1, First(volume.Path));
    }

    [Fact]
    public async Task A_volume_whose_file_is_gone_says_so_and_can_be_given_up()
    {
        var volume = await New("v");
        File.Delete(volume.Path);
        Assert.Equal("missing", (await Get("v")).Health);
        var action = Assert.Single(await Repair());
        Assert.Equal(("Volume", "v", "manual"), (action.Kind, action.Name, action.State));
        Assert.Equal("missing", (await Get("v")).Health);
        await _fixture.Run(Service.RemoveVolumeAsync(volume.Id, false, false, _fixture.Stop));
        Assert.Empty(await Service.GetVolumesAsync(new VolumeQuery(), _fixture.Stop));
    }

    [Fact]
    public async Task A_volume_that_was_made_larger_behind_our_back_keeps_its_bytes()
    {
        var volume = await New("v");
        using (var file = File.OpenWrite(volume.Path))
            file.SetLength(5 << 20);
        Assert.Contains("5 MiB", (await Get("v")).Health, StringComparison.Ordinal);
        Assert.Equal("done", Assert.Single(await Repair()).State);
        var now = await Get("v");
        Assert.Equal((5L << 20, "ok"), (now.Size, now.Health));
    }

    [Fact]
    public async Task Foreign_files_in_a_pool_are_never_touched()
    {
        var volume = await New("v");
        var folder = Path.GetDirectoryName(volume.Path)!;
        string[] foreign = ["notes.txt", $"{Guid.NewGuid()}.img", "backup.vol", $"{Guid.NewGuid():N}.vol"];
        foreach (var name in foreign)
            await File.WriteAllTextAsync(Path.Combine(folder, name), name);
        Assert.Empty(await Repair());
        foreach (var name in foreign)
        {
            Assert.Equal(name, await File.ReadAllTextAsync(Path.Combine(folder, name)));
            File.Delete(Path.Combine(folder, name));
        }
    }

    [Fact]
    public async Task Half_made_files_are_removed_and_strangers_of_ours_adopted()
    {
        var volume = await New("v");
        var folder = Path.GetDirectoryName(volume.Path)!;
        var (half, stranger) = (Guid.NewGuid().ToString(), Guid.NewGuid().ToString());
        await File.WriteAllTextAsync(Path.Combine(folder, $"{half}.vol.new"), "half");
        File.Copy(volume.Path, Path.Combine(folder, $"{stranger}.vol"));
        await File.WriteAllTextAsync(Path.Combine(folder, $"{stranger}.json"), (await File.ReadAllTextAsync(Sidecar(volume)))
            .Replace(volume.Id, stranger, StringComparison.Ordinal).Replace("\"v\"", "\"found\"", StringComparison.Ordinal));
        var actions = await Repair();
        Assert.Equal(2, actions.Count);
        Assert.All(actions, action => Assert.Equal("done", action.State));
        Assert.False(File.Exists(Path.Combine(folder, $"{half}.vol.new")));
        var found = await Get("found");
        Assert.Equal((stranger, "ok", 2L << 20), (found.Id, found.Health, found.Size));
        Assert.Empty(await Repair());
    }

    [Fact]
    public async Task A_stranger_with_a_taken_name_stays_as_it_is_and_the_rest_is_repaired()
    {
        var volume = await New("v");
        var other = await New("w");
        var folder = Path.GetDirectoryName(volume.Path)!;
        var stranger = Guid.NewGuid().ToString();
        File.Copy(volume.Path, Path.Combine(folder, $"{stranger}.vol"));
        await File.WriteAllTextAsync(Path.Combine(folder, $"{stranger}.json"),
            (await File.ReadAllTextAsync(Sidecar(volume))).Replace(volume.Id, stranger, StringComparison.Ordinal));
        await File.WriteAllTextAsync(Sidecar(other), "damaged");
        var actions = await Repair();
        Assert.Equal(["done", "failed"], actions.Select(action => action.State).Order());
        Assert.Contains("'v'", actions.Single(action => action.State == "failed").Error, StringComparison.Ordinal);
        Assert.True(File.Exists(Path.Combine(folder, $"{stranger}.vol")));
        File.Delete(Path.Combine(folder, $"{stranger}.vol"));
        File.Delete(Path.Combine(folder, $"{stranger}.json"));
    }

    [Fact]
    public async Task A_stray_secret_is_forgotten()
    {
        await New("v");
        var secrets = new SecretStore(_fixture.Root);
        secrets.Save("stray", SecretStore.Generate());
        var action = Assert.Single(await Repair());
        Assert.Equal(("Secret", "done"), (action.Kind, action.State));
        Assert.Empty(secrets.List());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_lost_catalogue_is_rebuilt_from_the_pools_with_every_byte(bool empty)
    {
        var pool = await _fixture.Run(Service.NewPoolAsync(new NewPoolRequest("deep", "File", $"{_fixture.Home}/deep", Description: "the pool"), _fixture.Stop));
        var volume = await New("v");
        await Write(volume.Path, 7);
        var snapshot = await _fixture.Run(Service.NewSnapshotAsync(new NewSnapshotRequest(volume.Id, "v-snap", ["daily"], "first", DateTime.Now.AddDays(3)), _fixture.Stop));
        await Write(volume.Path, 8);
        var hash = SHA256.HashData(await File.ReadAllBytesAsync(volume.Path));
        byte[] garbage = empty ? [] : [1, 2, 3];
        await Damage(garbage);

        await using var fresh = _fixture.Open();
        var error = await Assert.ThrowsAsync<BlockStorageException>(() => fresh.GetVolumesAsync(new VolumeQuery(), _fixture.Stop));
        Assert.Equal(BlockErrors.CatalogDamaged.Id, error.ErrorId);
        Assert.Contains("Repair-BlockStorage", error.NextStep, StringComparison.Ordinal);
        Assert.Contains(await fresh.TestServerAsync(_fixture.Stop), check => check.Kind == "Catalogue" && check.State != "ok");
        var plan = await fresh.RepairAsync(_fixture.Stop);
        Assert.Equal(garbage, await File.ReadAllBytesAsync(_fixture.Root.CatalogFile));
        var actions = await ServiceFixture.RunOn(Task.FromResult(plan));
        Assert.All(actions, action => Assert.Equal("done", action.State));

        var aside = Assert.Single(Directory.GetFiles(_fixture.Home, "catalog.db.damaged-*"));
        Assert.Equal(garbage, await File.ReadAllBytesAsync(aside));
        await using var other = _fixture.Open();
        Assert.Equivalent(new { pool.Id, pool.Name, pool.Path, pool.Description, pool.State, Health = "ok", VolumeCount = 1, SnapshotCount = 1 },
            Assert.Single(await other.GetPoolsAsync(new ObjectQuery(), _fixture.Stop)));
        Assert.Equivalent(new { volume.Id, Name = "v", volume.Size, Tag = new[] { "gold", "a,b" }, Description = "of v", State = BlockStates.Available, Health = "ok", volume.Provisioning, volume.Serial },
            Assert.Single(await other.GetVolumesAsync(new VolumeQuery(), _fixture.Stop)));
        Assert.Equivalent(new { snapshot.Id, Name = "v-snap", VolumeId = volume.Id, Tag = new[] { "daily" }, Description = "first", snapshot.ExpiresAt, State = BlockStates.Available, Health = "ok" },
            Assert.Single(await other.GetSnapshotsAsync(new SnapshotQuery(), _fixture.Stop)));
        Assert.Equal(hash, SHA256.HashData(await File.ReadAllBytesAsync(volume.Path)));
        Assert.Equal(7, First(snapshot.Path));
        Assert.Empty((await other.RepairAsync(_fixture.Stop)).Steps);
    }

    [RootFact]
    public async Task A_lost_catalogue_is_rebuilt_from_an_image_that_is_not_mounted_either()
    {
        var pool = await _fixture.Run(Service.NewPoolAsync(new NewPoolRequest("image", "File", $"{_fixture.Home}/image", 320 << 20), _fixture.Stop));
        var volume = await New("v");
        await Mounts.UnmountAsync(Path.GetDirectoryName(volume.Path)!, default);
        await Damage([9]);
        await using var fresh = _fixture.Open();
        var actions = await ServiceFixture.RunOn(fresh.RepairAsync(_fixture.Stop));
        Assert.All(actions, action => Assert.Equal("done", action.State));
        Assert.Equal(pool.Id, Assert.Single(await fresh.GetPoolsAsync(new ObjectQuery(), _fixture.Stop)).Id);
        var found = Assert.Single(await fresh.GetVolumesAsync(new VolumeQuery(), _fixture.Stop));
        Assert.Equal((volume.Id, "ok"), (found.Id, found.Health));
    }

    [Fact]
    public async Task A_newer_catalogue_is_left_alone_by_repair_too()
    {
        await New("v");
        using (var connection = new SqliteConnection($"Data Source={_fixture.Root.CatalogFile};Pooling=False"))
        {
            connection.Open();
            using var command = connection.CreateCommand();
            command.CommandText = "PRAGMA user_version = 99";
            command.ExecuteNonQuery();
        }
        await using (var fresh = _fixture.Open())
            await ServiceFixture.Fails(fresh.RepairAsync(_fixture.Stop), BlockErrors.CatalogTooNew);
        Assert.Empty(Directory.GetFiles(_fixture.Home, "catalog.db.damaged-*"));
        using var back = new SqliteConnection($"Data Source={_fixture.Root.CatalogFile};Pooling=False");
        back.Open();
        using var restore = back.CreateCommand();
        restore.CommandText = "PRAGMA user_version = 1";
        restore.ExecuteNonQuery();
    }

    [Fact]
    public async Task A_journal_entry_that_nobody_can_read_stops_nothing_and_costs_nothing()
    {
        await New("v");
        var unreadable = Sample.Operation() with { Kind = "FromTheFuture", Target = "strange", ProcessId = int.MaxValue };
        using (var catalog = new Engine.Catalog.Sqlite.SqliteCatalog(_fixture.Root))
            catalog.Write(write => write.Insert(unreadable));
        Assert.Equal("failed", Assert.Single(await Service.RecoverAsync(SilentSink.Instance, _fixture.Stop)).State);
        await New("w");
        var action = Assert.Single(await Repair());
        Assert.Equal(("Operation", "done"), (action.Kind, action.State));
        var closed = Assert.Single(await Service.GetOperationsAsync(new OperationQuery([unreadable.Id]), _fixture.Stop));
        Assert.Equal(BlockStates.Failed, closed.State);
        Assert.Equal(2, (await Service.GetVolumesAsync(new VolumeQuery(), _fixture.Stop)).Count);
        Assert.Empty(Directory.GetFiles(_fixture.Home, "catalog.db.damaged-*"));
        Assert.Empty(await Repair());
    }

    private async Task Damage(byte[] garbage)
    {
        SqliteConnection.ClearAllPools();
        foreach (var file in Directory.GetFiles(_fixture.Home, "catalog.db*"))
            File.Delete(file);
        await File.WriteAllBytesAsync(_fixture.Root.CatalogFile, garbage);
    }

    private static async Task Write(string path, byte value)
    {
        await using var file = File.OpenWrite(path);
        await file.WriteAsync(Enumerable.Repeat(value, 1 << 20).ToArray());
    }

    private static int First(string path)
    {
        using var file = File.OpenRead(path);
        return file.ReadByte();
    }
}
