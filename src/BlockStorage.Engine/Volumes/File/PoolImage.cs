using BlockStorage.Engine.Host;
using BlockStorage.Services;

namespace BlockStorage.Engine.Volumes.File;

/// <summary>An own file system in a sparse file: XFS, which shares extents on any machine.</summary>
internal sealed class PoolImage(PoolLayout layout, ICommandRunner runner)
{
    /// <summary>mkfs.xfs refuses less than 300 MiB.</summary>
    public const long MinimumSize = 300L << 20;

    /// <summary>Program that makes the file system.</summary>
    public const string Maker = "mkfs.xfs";

    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(30);

    /// <summary>Whether the image is there.</summary>
    public bool Exists => Native.Stat(layout.Image) is not null;

    /// <summary>Whether this very image is mounted where its data belongs.</summary>
    public bool IsMounted =>
        Mounts.At(layout.DataFolder) is { } mount && LoopDevices.FindByBackingFile(layout.Image).Contains(mount.Source);

    /// <summary>Makes the image with an empty file system. Nothing to do when it is there.</summary>
    public async Task CreateAsync(long size, IWorkSink sink, CancellationToken cancel)
    {
        if (Exists)
            return;
        var temporary = layout.Image + PoolLayout.Unfinished;
        // A maker that outlived a killed parent goes on in a file without a name.
        Native.Unlink(temporary);
        using (var handle = Native.Open(temporary, OpenMode.ReadWrite | OpenMode.Create | OpenMode.Exclusive))
            Native.SetSize(handle, size, temporary);
        await runner.RunCheckedAsync(
            new Command(Maker, ["-q", "-K", "-m", "reflink=1", temporary], TimeSpan.FromMinutes(5)), sink, cancel).ConfigureAwait(false);
        using (var handle = Native.Open(temporary, OpenMode.ReadOnly))
            Native.Sync(handle, temporary);
        Native.Rename(temporary, layout.Image);
        Native.SyncFolder(layout.Folder);
    }

    /// <summary>Mounts the image. Nothing to do when it is mounted.</summary>
    /// <exception cref="BlockStorageException">PoolUnavailable, PrivilegeRequired.</exception>
    public async Task MountAsync(IWorkSink sink, CancellationToken cancel)
    {
        using var image = Native.Open(layout.Image, OpenMode.ReadOnly);
        // Two processes that mount one image through two loop devices would destroy it.
        if (!await Poll.UntilAsync(() => Native.TryLock(image, layout.Image), Bound, cancel).ConfigureAwait(false))
            throw Unavailable("another process has been mounting it for a long time");
        if (IsMounted)
            return;
        if (Mounts.At(layout.DataFolder) is { } other)
            throw Unavailable($"{other.Source} is mounted on '{layout.DataFolder}'");
        // One that was just unmounted goes by itself.
        if (!await Poll.UntilAsync(() => LoopDevices.FindByBackingFile(layout.Image).Count == 0, Bound, cancel).ConfigureAwait(false))
        {
            var device = LoopDevices.FindByBackingFile(layout.Image).FirstOrDefault() ?? "a device that has just gone";
            throw Unavailable($"its image is still in use through {device} by {DeviceHolders.Describe(device)}");
        }
        sink.Verbose($"Mounting {layout.Image} on {layout.DataFolder}");
        using var loop = LoopDevices.Attach(layout.Image, readOnly: false, directIo: true, autoClear: true);
        // With discard the image gives the space of removed volumes back to the file system below.
        Mounts.Mount(loop.Path, layout.DataFolder, "xfs",
            MountFlags.NoSetUserId | MountFlags.NoDevices | MountFlags.NoExecution | MountFlags.NoAccessTime, "discard");
    }

    /// <summary>Unmounts the image and waits until its loop device is gone.</summary>
    /// <exception cref="BlockStorageException">DeviceInUse.</exception>
    public async Task UnmountAsync(CancellationToken cancel)
    {
        if (IsMounted)
            await Mounts.UnmountAsync(layout.DataFolder, cancel).ConfigureAwait(false);
        if (!await Poll.UntilAsync(() => LoopDevices.FindByBackingFile(layout.Image).Count == 0, Bound, cancel).ConfigureAwait(false))
            throw new BlockStorageException(BlockErrors.DeviceInUse,
                $"The image '{layout.Image}' is still mounted or open somewhere.", layout.Image, "losetup --list; findmnt");
    }

    /// <summary>Removes the image and what is half-made of it.</summary>
    public void Remove()
    {
        Native.Unlink(layout.Image + PoolLayout.Unfinished);
        Native.Unlink(layout.Image);
    }

    private BlockStorageException Unavailable(string why) => new(BlockErrors.PoolUnavailable,
        $"The image '{layout.Image}' cannot be mounted: {why}.", layout.Folder, "findmnt; losetup --list");
}
