using BlockStorage.Engine.Host;
using BlockStorage.Engine.Volumes;
using BlockStorage.Engine.Volumes.File;

namespace BlockStorage.Engine.Tests.Volumes;

/// <summary>Short forms for tests of file pools.</summary>
internal static class FilePools
{
    public static FileVolumeDriverFactory Factory { get; } = new(new CommandRunner());

    public static PoolSpec Spec(string path, long? size = null) =>
        new(Guid.NewGuid().ToString(), "p1", "File", path, size, "", DateTime.UnixEpoch);

    public static IVolumeDriver Open(string path, long? size = null) => Factory.Open(Factory.Check(Spec(path, size)));

    public static ObjectIdentity Identity(string name, long size, BackendKind kind = BackendKind.Volume, string origin = "") => new(
        kind, Guid.NewGuid().ToString(), name, size, origin, "about it", ["t1", "t2"], ReadOnly: false, "thin",
        new DateTime(2026, 11, 25, 1, 2, 3, DateTimeKind.Utc), kind == BackendKind.Snapshot ? DateTime.UnixEpoch : null);

    public static async Task<BlockStorageException> FailsAsync(string id, Func<Task> work)
    {
        var error = await Assert.ThrowsAsync<BlockStorageException>(work);
        Assert.Equal(id, error.ErrorId);
        Assert.NotEmpty(error.Subject);
        Assert.NotEmpty(error.NextStep);
        return error;
    }
}

/// <summary>A folder on a file system that shares nothing: snapshots are copies.</summary>
public sealed class FilePoolOnExt4Tests : VolumeDriverSuite
{
    private TestFileSystem _fileSystem = null!;

    protected override bool Shares => false;

    protected override async Task<object> OpenAsync()
    {
        _fileSystem = await TestFileSystem.MakeAsync(Folder, "ext4", 512 << 20);
        return FilePools.Open(Path.Combine(_fileSystem.Path, "pool"));
    }

    protected override async Task CloseAsync() => await _fileSystem.DisposeAsync();
}

/// <summary>A folder on btrfs.</summary>
public sealed class FilePoolOnBtrfsTests : VolumeDriverSuite
{
    private TestFileSystem _fileSystem = null!;

    protected override bool Shares => true;

    protected override async Task<object> OpenAsync()
    {
        // It counts the space of removed files as free at the next commit only, by default after half a minute.
        _fileSystem = await TestFileSystem.MakeAsync(Folder, "btrfs", 1 << 30, "commit=1");
        return FilePools.Open(Path.Combine(_fileSystem.Path, "pool"));
    }

    protected override async Task CloseAsync() => await _fileSystem.DisposeAsync();
}

/// <summary>An image of its own with XFS.</summary>
public sealed class FilePoolWithImageTests : VolumeDriverSuite
{
    protected override bool Shares => true;

    protected override Task<object> OpenAsync() => Task.FromResult<object>(FilePools.Open(Folder.File("pool"), 512 << 20));

    protected override Task CloseAsync()
    {
        Assert.False(Directory.Exists(Folder.File("pool")));
        Assert.Empty(Folder.Leftovers());
        return Task.CompletedTask;
    }
}
