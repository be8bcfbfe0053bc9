using BlockStorage.Engine.Host;

namespace BlockStorage.Engine.Tests.Volumes;

/// <summary>What New-BlockPool refuses before anything is written.</summary>
public sealed class FilePoolPathTests : IDisposable
{
    private readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("")]
    [InlineData("relative/pool")]
    [InlineData("/tmp/with,comma")]
    [InlineData("/tmp/with\nnewline")]
    [InlineData("/tmp/with\"quote")]
    [InlineData("/tmp/with'quote")]
    [InlineData("/tmp/with\\backslash")]
    [InlineData("/tmp/with\0zero")]
    [InlineData("/")]
    [InlineData("/etc")]
    [InlineData("/etc/hostname")]
    [InlineData("/etc/hostname/pool")]
    public void A_path_that_cannot_hold_a_pool_is_refused(string path) => Refused("InvalidPath", path);

    [Fact]
    public void Paths_that_are_too_long_are_refused()
    {
        Refused("InvalidPath", "/tmp/" + new string('x', 300));
        Refused("InvalidPath", "/tmp" + string.Concat(Enumerable.Repeat("/0123456789", 100)));
    }

    [Fact]
    public void A_new_or_empty_folder_is_taken_by_its_real_path()
    {
        Directory.CreateDirectory(_folder.File("real"));
        Directory.CreateSymbolicLink(_folder.File("link"), _folder.File("real"));
        Assert.Equal(_folder.File("real/pool"), FilePools.Factory.Check(FilePools.Spec(_folder.File("link/pool/"))).Path);
        Assert.Equal(_folder.File("real"), FilePools.Factory.Check(FilePools.Spec(_folder.File("link"))).Path);
        Directory.CreateDirectory(_folder.File("real/lost+found"));
        Assert.Equal(_folder.File("real"), FilePools.Factory.Check(FilePools.Spec(_folder.File("x/../real"))).Path);
        Assert.Equal(_folder.File("with blank ☃"), FilePools.Factory.Check(FilePools.Spec(_folder.File("with blank ☃"))).Path);
        Assert.False(Directory.Exists(_folder.File("real/pool")));
    }

    [Fact]
    public async Task A_folder_with_something_of_others_is_refused()
    {
        File.WriteAllText(_folder.File("letter.txt"), "dear");
        Refused("InvalidPath", _folder.Path);

        var pool = FilePools.Open(_folder.File("pool"));
        await pool.CreatePoolAsync(SilentSink.Instance, default);
        Assert.Contains("p1", Refused("InvalidPath", _folder.File("pool")).Message, StringComparison.Ordinal);
        Refused("InvalidPath", _folder.File("pool/data/inner"));
        var other = FilePools.Factory.Open(FilePools.Spec(_folder.File("pool")));
        await FilePools.FailsAsync("InvalidPath", () => other.CreatePoolAsync(SilentSink.Instance, default));
        await other.DestroyPoolAsync(SilentSink.Instance, default);
        Assert.True((await pool.GetPoolAsync(default)).Usable);
        await pool.DestroyPoolAsync(SilentSink.Instance, default);
        Assert.Equal("dear", File.ReadAllText(_folder.File("letter.txt")));
        Assert.False(Directory.Exists(_folder.File("pool")));
    }

    [RootFact]
    public void An_image_has_bounds()
    {
        var error = Assert.Throws<BlockStorageException>(() => FilePools.Factory.Check(FilePools.Spec(_folder.File("pool"), 100 << 20)));
        Assert.Equal("InvalidSize", error.ErrorId);
        Assert.Contains("300 MiB", error.Message, StringComparison.Ordinal);
        error = Assert.Throws<BlockStorageException>(() => FilePools.Factory.Check(FilePools.Spec(_folder.File("pool"), 1L << 58)));
        Assert.Equal("InsufficientSpace", error.ErrorId);
        error = Assert.Throws<BlockStorageException>(() => FilePools.Factory.Check(FilePools.Spec(_folder.File("pool"), long.MaxValue)));
        Assert.Equal("InvalidSize", error.ErrorId);
        Assert.Equal(301 << 20, FilePools.Factory.Check(FilePools.Spec(_folder.File("pool"), (300 << 20) + 1)).Size);
    }

    [RootFact]
    public async Task Read_only_and_full_file_systems_are_refused()
    {
        await using (var readOnly = await TestFileSystem.MakeAsync(_folder, "ext4", 8 << 20))
        {
            Mounts.Mount("", readOnly.Path, "", MountFlags.Remount | MountFlags.ReadOnly);
            Assert.Contains("read-only", Refused("InvalidPath", Path.Combine(readOnly.Path, "a/pool")).Message, StringComparison.Ordinal);
        }
        await using var full = await TestFileSystem.MakeAsync(_folder, "ext4", 8 << 20);
        Fill(full.Path);
        Refused("InsufficientSpace", Path.Combine(full.Path, "pool"));
        var forced = FilePools.Factory.Open(FilePools.Spec(Path.Combine(full.Path, "pool")));
        await FilePools.FailsAsync("InsufficientSpace", () => forced.CreatePoolAsync(SilentSink.Instance, default));
        Assert.False(Directory.Exists(Path.Combine(full.Path, "pool")));
    }

    [Fact]
    public async Task The_probe_names_its_tools()
    {
        var probe = await FilePools.Factory.ProbeAsync(default);
        Assert.True(probe.Usable);
        Assert.Contains("snapshot", probe.Capabilities);
        Assert.Contains(probe.Checks, check => check is { Name: "mkfs.xfs", State: "ok" or "warning" });
        Assert.All(probe.Checks, check => Assert.True(check.State == "ok" || check.Fix.Length > 0));
    }

    internal static void Fill(string folder)
    {
        var path = Path.Combine(folder, "filler");
        using var handle = Native.Open(path, OpenMode.ReadWrite | OpenMode.Create);
        foreach (var step in new[] { 1 << 20, 4096 })
        {
            try
            {
                for (var offset = Native.Stat(path)!.Value.Allocated; ; offset += step)
                    Native.Allocate(handle, offset, step, path);
            }
            catch (BlockStorageException error) when (error.ErrorId == "InsufficientSpace")
            {
                // Full, to this grain.
            }
        }
    }

    private static BlockStorageException Refused(string id, string path)
    {
        var error = Assert.Throws<BlockStorageException>(() => FilePools.Factory.Check(FilePools.Spec(path)));
        Assert.Equal(id, error.ErrorId);
        Assert.NotEmpty(error.NextStep);
        return error;
    }
}
