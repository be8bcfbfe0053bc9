using BlockStorage.Engine.Host;
using BlockStorage.Engine.Volumes;

namespace BlockStorage.Engine.Tests.Volumes;

/// <summary>Sidecars that are damaged, what a kill leaves, full and vanished file systems.</summary>
public sealed class FilePoolDamageTests : IAsyncLifetime
{
    private const long MiB = 1 << 20;
    private readonly TestFolder _folder = new();
    private TestFileSystem _fileSystem = null!;
    private IVolumeDriver _pool = null!;

    public async Task InitializeAsync()
    {
        _fileSystem = await TestFileSystem.MakeAsync(_folder, "ext4", 64 * MiB);
        _pool = FilePools.Open(Path.Combine(_fileSystem.Path, "pool"));
        await _pool.CreatePoolAsync(SilentSink.Instance, default);
    }

    public async Task DisposeAsync()
    {
        await _fileSystem.DisposeAsync();
        _folder.Dispose();
    }

    [RootFact]
    public async Task A_damaged_missing_strange_or_newer_sidecar_is_told_and_the_data_stays()
    {
        var volume = FilePools.Identity("v", MiB);
        await _pool.CreateAsync(volume, false, SilentSink.Instance, default);
        var sidecar = Data(volume.Id + ".json");
        var good = await File.ReadAllTextAsync(sidecar);
        foreach (var bad in new[] { "", "{", "garbage", "null", "{}", good[..^20], good.Replace(volume.Id, Guid.NewGuid().ToString()),
            good.Replace("\"name\": \"v\"", "\"name\": null"), new string(' ', 5 << 20) })
        {
            await File.WriteAllTextAsync(sidecar, bad);
            var found = (await _pool.FindAsync(volume.Id, default))!;
            Assert.StartsWith("sidecar damaged", found.Health, StringComparison.Ordinal);
            Assert.Null(found.Identity);
            await FilePools.FailsAsync("VolumeDamaged", () => _pool.ReadIdentityAsync(volume.Id, default));
        }
        await File.WriteAllTextAsync(sidecar, """{ "format": 2, "what": { "is": "this" } }""");
        var newer = await FilePools.FailsAsync("VolumeDamaged", () => _pool.ReadIdentityAsync(volume.Id, default));
        Assert.Contains("newer version", newer.Message, StringComparison.Ordinal);

        File.Delete(sidecar);
        Assert.Equal("sidecar missing", (await _pool.FindAsync(volume.Id, default))!.Health);
        Assert.Equal("sidecar missing", Assert.Single(await _pool.ListAsync(default)).Health);
        await _pool.UpdateIdentityAsync(volume, default);
        Assert.Equivalent(volume, await _pool.ReadIdentityAsync(volume.Id, default));
    }

    [RootFact]
    public async Task What_a_kill_leaves_is_seen_and_can_be_deleted_or_made_again()
    {
        var volume = FilePools.Identity("v", MiB);
        foreach (var suffix in new[] { ".vol.new", ".snap.new", ".json", ".json.tmp" })
        {
            foreach (var again in new[] { false, true })
            {
                await File.WriteAllTextAsync(Data(volume.Id + suffix), "half");
                var partial = Assert.Single(await _pool.ListAsync(default));
                Assert.Equal((volume.Id, BackendKind.Partial), (partial.Id, partial.Kind));
                Assert.Null(await _pool.FindAsync(volume.Id, default));
                if (again)
                {
                    await _pool.CreateAsync(volume, false, SilentSink.Instance, default);
                    Assert.Equal("ok", Assert.Single(await _pool.ListAsync(default)).Health);
                }
                await _pool.DeleteAsync(volume.Id, default);
                Assert.Equal([".blockstorage-pool"], Directory.GetFiles(Data("")).Select(Path.GetFileName));
            }
        }
        await _pool.CreateAsync(volume, false, SilentSink.Instance, default);
        await File.WriteAllTextAsync(Data(volume.Id + ".json.tmp"), "new texts");
        Assert.Equal("ok", Assert.Single(await _pool.ListAsync(default)).Health);
        await File.WriteAllTextAsync(Data(volume.Id + ".vol.new"), "unfinished revert");
        Assert.NotEqual("ok", Assert.Single(await _pool.ListAsync(default)).Health);
        await _pool.CleanAsync(volume.Id, default);
        Assert.Equal((BackendKind.Volume, "ok", MiB),
            (await _pool.ListAsync(default)).Select(item => (item.Kind, item.Health, item.Size)).Single());
    }

    [RootFact]
    public async Task Foreign_files_are_shown_and_never_touched()
    {
        foreach (var name in new[] { "letter.txt", "-rf", $"{Guid.NewGuid():N}.vol", $"{Guid.NewGuid().ToString().ToUpperInvariant()}.vol", ".hidden" })
            await File.WriteAllTextAsync(Data(name), "x");
        var list = await _pool.ListAsync(default);
        Assert.Equal(5, list.Count);
        Assert.All(list, item => Assert.Equal(BackendKind.Foreign, item.Kind));
        await FilePools.FailsAsync("InvalidArgument", () => _pool.DeleteAsync("letter.txt", default));
        await FilePools.FailsAsync("InvalidArgument", () => _pool.DeleteAsync("../pool", default));
        await FilePools.FailsAsync("PoolNotEmpty", () => _pool.DestroyPoolAsync(SilentSink.Instance, default));
        Assert.Equal(5, (await _pool.ListAsync(default)).Count);
    }

    [RootFact]
    public async Task A_full_file_system_refuses_and_loses_nothing()
    {
        var volume = FilePools.Identity("v", 8 * MiB);
        await _pool.CreateAsync(volume, thick: true, SilentSink.Instance, default);
        var path = await _pool.ActivateAsync(volume.Id, default);
        await File.WriteAllBytesAsync(path, Enumerable.Repeat((byte)7, (int)(8 * MiB)).ToArray());
        FilePoolPathTests.Fill(_fileSystem.Path);
        Assert.InRange((await _pool.GetPoolAsync(default)).Free, 0, 64 << 10);

        await FilePools.FailsAsync("InsufficientSpace", () => _pool.ResizeAsync(volume.Id, 16 * MiB, true, default));
        await FilePools.FailsAsync("InsufficientSpace", () => _pool.CreateSnapshotAsync(
            FilePools.Identity("s", 8 * MiB, BackendKind.Snapshot, volume.Id), SilentSink.Instance, default));
        await FilePools.FailsAsync("InsufficientSpace", () => _pool.UpdateIdentityAsync(
            volume with { Description = new string('x', 1 << 20) }, default));
        var found = Assert.Single(await _pool.ListAsync(default));
        Assert.Equal((volume.Id, 8 * MiB, "ok"), (found.Id, found.Size, found.Health));
        Assert.Equivalent(volume, await _pool.ReadIdentityAsync(volume.Id, default));
        Assert.All(await File.ReadAllBytesAsync(path), b => Assert.Equal(7, b));
    }

    [RootFact]
    public async Task A_size_that_no_file_can_have_is_refused_and_leaves_nothing()
    {
        await FilePools.FailsAsync("InvalidSize", () => _pool.CreateAsync(
            FilePools.Identity("v", 1L << 60), false, SilentSink.Instance, default));
        Assert.Empty(await _pool.ListAsync(default));
    }

    [RootFact]
    public async Task A_file_system_that_became_read_only_is_told_and_nothing_is_lost()
    {
        var volume = FilePools.Identity("v", MiB);
        await _pool.CreateAsync(volume, false, SilentSink.Instance, default);
        Mounts.Mount("", _fileSystem.Path, "", MountFlags.Remount | MountFlags.ReadOnly);
        var status = await _pool.GetPoolAsync(default);
        Assert.Equal((false, "the file system is read-only"), (status.Usable, status.Health));
        await FilePools.FailsAsync("InvalidPath", () => _pool.CreateAsync(
            FilePools.Identity("w", MiB), false, SilentSink.Instance, default));
        await FilePools.FailsAsync("InvalidPath", () => _pool.DeleteAsync(volume.Id, default));
        Assert.Equal("ok", Assert.Single(await _pool.ListAsync(default)).Health);
    }

    [RootFact]
    public async Task An_unmounted_folder_is_never_written_to()
    {
        var empty = Directory.CreateDirectory(_folder.File("empty")).FullName;
        Mounts.Mount(empty, _fileSystem.Path, "", MountFlags.Bind);
        var status = await _pool.GetPoolAsync(default);
        Assert.False(status.Usable);
        Assert.Contains("missing or not mounted", status.Health, StringComparison.Ordinal);
        await FilePools.FailsAsync("PoolUnavailable", () => _pool.OpenPoolAsync(SilentSink.Instance, default));
        await FilePools.FailsAsync("PoolUnavailable", () => _pool.CreateAsync(
            FilePools.Identity("v", MiB), false, SilentSink.Instance, default));
        await FilePools.FailsAsync("PoolUnavailable", () => _pool.DeleteAsync(Guid.NewGuid().ToString(), default));
        await FilePools.FailsAsync("PoolUnavailable", () => _pool.ListAsync(default));
        Assert.Empty(Directory.GetFileSystemEntries(empty));
        await Mounts.UnmountAsync(_fileSystem.Path, default);
        Assert.True((await _pool.GetPoolAsync(default)).Usable);
    }

    [RootFact]
    public async Task A_damaged_pool_description_is_told_and_written_again_on_update()
    {
        await File.WriteAllTextAsync(Path.Combine(_fileSystem.Path, "pool/pool.json"), "garbage");
        var status = await _pool.GetPoolAsync(default);
        Assert.True(status.Usable);
        Assert.Contains("damaged", status.Health, StringComparison.Ordinal);
        await _pool.UpdatePoolAsync(FilePools.Spec(Path.Combine(_fileSystem.Path, "pool")), default);
        Assert.Equal("ok", (await _pool.GetPoolAsync(default)).Health);
    }

    private string Data(string name) => Path.Combine(_fileSystem.Path, "pool/data", name);
}
