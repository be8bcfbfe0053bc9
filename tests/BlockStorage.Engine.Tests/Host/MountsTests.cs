using BlockStorage.Engine.Host;

namespace BlockStorage.Engine.Tests.Host;

public sealed class MountsTests : IDisposable
{
    private readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Mountinfo_is_read_with_escapes_and_optional_fields()
    {
        var mount = Mounts.Parse(@"36 35 98:7 /a\040b /mnt/with\040blank\134 ro,noatime shared:1 master:2 - ext3 /dev/root rw,errors=continue")!;
        Assert.Equal(new MountEntry(new DeviceNumber(98, 7), "/a b", @"/mnt/with blank\", true, "ext3", "/dev/root"), mount);
        Assert.Null(Mounts.Parse("what is this"));
        Assert.Null(Mounts.Parse(""));
    }

    [Fact]
    public void The_root_is_mounted_and_an_ordinary_folder_is_not()
    {
        Assert.True(Mounts.IsMountPoint("/"));
        Assert.False(Mounts.IsMountPoint(_folder.Path));
    }

    [RootFact]
    public async Task A_mounted_device_shows_its_mount_and_holders()
    {
        var image = _folder.File("image");
        using (var handle = Native.Open(image, OpenMode.ReadWrite | OpenMode.Create))
            Native.SetSize(handle, 16 << 20, image);
        await new CommandRunner().RunCheckedAsync(
            new Command("mkfs.ext4", ["-q", image], TimeSpan.FromSeconds(20)), new RecordingSink(), CancellationToken.None);
        var target = Directory.CreateDirectory(_folder.File("with blank")).FullName;
        using var loop = LoopDevices.Attach(image, readOnly: false, directIo: false, autoClear: true);
        Mounts.Mount(loop.Path, target, "ext4", MountFlags.NoSetUserId | MountFlags.NoDevices);
        loop.Dispose();

        Assert.True(Mounts.IsMountPoint(target));
        Assert.Equal("ext4", Mounts.At(target)!.FileSystem);
        Assert.Equal(target, Assert.Single(Mounts.FindDevice(loop.Path)).Mount.Target);
        using (var held = Native.Open(Path.Combine(target, "file"), OpenMode.ReadWrite | OpenMode.Create))
        {
            var busy = Assert.Throws<BlockStorageException>(() => Mounts.Unmount(target));
            Assert.Equal("DeviceInUse", busy.ErrorId);
        }
        Assert.Contains(new DeviceHolder("mount", target), DeviceHolders.Find(loop.Path));

        var until = Native.Open(Path.Combine(target, "file"), OpenMode.ReadOnly);
        var unmounting = Mounts.UnmountAsync(target, CancellationToken.None);
        Assert.False(unmounting.IsCompleted);
        until.Dispose();
        await unmounting;
        Mounts.Unmount(target);
        Assert.False(Mounts.IsMountPoint(target));
        Assert.True(await Poll.UntilAsync(() => LoopDevices.BackingFile(loop.Path) is null, TimeSpan.FromSeconds(5), CancellationToken.None));
        Assert.Empty(DeviceHolders.Find(loop.Path));
    }

    [RootFact]
    public void A_mount_that_cannot_be_is_a_clear_error()
    {
        var error = Assert.Throws<BlockStorageException>(() => Mounts.Mount("none", _folder.Path, "no-such-fs"));
        Assert.Equal("IoFailed", error.ErrorId);
        Assert.Contains(_folder.Path, error.Message, StringComparison.Ordinal);
    }
}
