using BlockStorage.Engine.Host;

namespace BlockStorage.Engine.Tests.Host;

public sealed class NativeTests : IDisposable
{
    private readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Holes_are_seen_and_filled()
    {
        var path = _folder.File("sparse");
        using var handle = Native.Open(path, OpenMode.ReadWrite | OpenMode.Create | OpenMode.Exclusive);
        Native.SetSize(handle, 8 << 20, path);
        Assert.Null(Native.SeekData(handle, 0, path));
        Assert.Equal(0, Native.SeekHole(handle, 0, path));
        Assert.Equal(0, Native.Stat(path)!.Value.Allocated);

        RandomAccess.Write(handle, new byte[4096], 1 << 20);
        Native.Sync(handle, path);
        Assert.Equal(1 << 20, Native.SeekData(handle, 0, path));
        Assert.Equal((1 << 20) + 4096, Native.SeekHole(handle, 1 << 20, path));
        Assert.Equal(4096, Native.Stat(path, fresh: true)!.Value.Allocated);

        Native.Allocate(handle, 0, 9 << 20, path);
        Assert.Equal(8 << 20, Native.Stat(path)!.Value.Size);
        Assert.True(Native.Stat(path)!.Value.Allocated >= 9 << 20);
    }

    [Fact]
    public void Names_change_in_one_instant()
    {
        File.WriteAllText(_folder.File("a"), "A");
        File.WriteAllText(_folder.File("b"), "B");
        Native.Rename(_folder.File("a"), _folder.File("b"));
        Native.SyncFolder(_folder.Path);
        Assert.Equal("A", File.ReadAllText(_folder.File("b")));
        Assert.True(Native.Unlink(_folder.File("b")));
        Assert.False(Native.Unlink(_folder.File("b")));
        Assert.Null(Native.Stat(_folder.File("b")));
    }

    [Fact]
    public void A_lock_has_one_holder()
    {
        var path = _folder.File("lock");
        using var second = Native.Open(path, OpenMode.ReadWrite | OpenMode.Create);
        using (var first = Native.Open(path, OpenMode.ReadWrite))
        {
            Assert.True(Native.TryLock(first, path));
            Assert.False(Native.TryLock(second, path));
        }
        Assert.True(Native.TryLock(second, path));
    }

    [Fact]
    public void Files_are_private_and_ranges_are_copied_in_the_kernel()
    {
        var (from, to) = (_folder.File("from"), _folder.File("to"));
        File.WriteAllBytes(from, [.. Enumerable.Range(0, 8192).Select(i => (byte)(i * 7))]);
        using (var source = Native.Open(from, OpenMode.ReadOnly))
        using (var target = Native.Open(to, OpenMode.ReadWrite | OpenMode.Create))
            Assert.Equal(4096, Native.TryCopyRange(source, target, 4096, 4096, to));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(to));
        Assert.Equal(File.ReadAllBytes(from)[4096..], File.ReadAllBytes(to)[4096..]);
    }

    [Theory]
    [InlineData(Errno.NoSpace, "InsufficientSpace")]
    [InlineData(Errno.Quota, "InsufficientSpace")]
    [InlineData(Errno.ReadOnly, "InvalidPath")]
    [InlineData(Errno.NameTooLong, "InvalidPath")]
    [InlineData(Errno.TooLarge, "InvalidSize")]
    [InlineData(Errno.Busy, "DeviceInUse")]
    [InlineData(Errno.NotSupported, "NotSupported")]
    [InlineData(Errno.Io, "IoFailed")]
    public void Error_numbers_become_errors_of_the_catalogue(int number, string id)
    {
        var error = Errno.Failure(number, "Making", "/some/path");
        Assert.Equal(id, error.ErrorId);
        Assert.Contains("/some/path", error.Message, StringComparison.Ordinal);
        Assert.Equal(number, Errno.NumberOf(error));
        Assert.NotEmpty(error.NextStep);
    }
}
