using Microsoft.Win32.SafeHandles;

namespace BlockStorage.Engine.Host;

/// <summary>A loop device that was just made and is held open; an autoclear one lasts until its last user closes it.</summary>
internal sealed class LoopDevice(string path, SafeFileHandle handle) : IDisposable
{
    /// <summary>Such as /dev/loop3.</summary>
    public string Path => path;

    /// <summary>Lets go of it. A device without autoclear stays.</summary>
    public void Dispose() => handle.Dispose();
}

/// <summary>Block devices made of files.</summary>
internal static class LoopDevices
{
    private const string Control = "/dev/loop-control";
    private const string Deleted = " (deleted)";
    private const uint LoopMajor = 7;

    /// <summary>Whether the kernel has loop devices.</summary>
    public static bool Supported => Native.Stat(Control) is not null;

    /// <summary>Makes a block device of a file.</summary>
    /// <param name="file">File.</param>
    /// <param name="readOnly">Refuse writes.</param>
    /// <param name="directIo">Pass by the page cache of the file, where its file system can.</param>
    /// <param name="autoClear">It goes with its last user, so that a crash leaks nothing.</param>
    /// <exception cref="BlockStorageException">PrivilegeRequired, DeviceInUse, IoFailed.</exception>
    public static LoopDevice Attach(string file, bool readOnly, bool directIo, bool autoClear)
    {
        if (!Supported)
            throw new BlockStorageException(BlockErrors.NotSupported,
                "This machine has no loop devices.", file, "modprobe loop");
        using var control = Native.Open(Control, OpenMode.ReadWrite);
        using var backing = Native.Open(file, readOnly ? OpenMode.ReadOnly : OpenMode.ReadWrite);
        var flags = (readOnly ? Native.LoopFlags.ReadOnly : 0) | (directIo ? Native.LoopFlags.DirectIo : 0)
            | (autoClear ? Native.LoopFlags.AutoClear : 0);
        // A free device can be taken by another process before we bind it; each loss is somebody else's progress.
        for (var attempt = 0; attempt < 200; attempt++)
        {
            var number = Native.FreeLoop(control, file);
            var path = $"/dev/loop{number}";
            // Without devtmpfs or udev nobody makes the node.
            if (Native.Stat(path) is null)
                Native.MakeBlockNode(path, new DeviceNumber(LoopMajor, (uint)number));
            var device = Native.Open(path, OpenMode.ReadWrite);
            try
            {
                if (Native.TryConfigureLoop(device, backing, flags, file))
                    return new LoopDevice(path, device);
            }
            catch
            {
                device.Dispose();
                throw;
            }
            device.Dispose();
        }
        throw new BlockStorageException(BlockErrors.DeviceInUse,
            "Other processes took every free loop device first.", file, "losetup --list");
    }

    /// <summary>Unbinds a loop device and waits until it is really gone. Nothing to do when it is not bound.</summary>
    /// <param name="device">Such as /dev/loop3.</param>
    /// <param name="file">File that it must have behind it; a device that has another by now is left alone.</param>
    /// <param name="limit">How long to wait for other users to let go.</param>
    /// <param name="cancel">Stops the waiting.</param>
    /// <exception cref="BlockStorageException">DeviceInUse with its holders.</exception>
    public static async Task DetachAsync(string device, string file, TimeSpan limit, CancellationToken cancel)
    {
        if (!IsOf(device, file))
            return;
        using (var handle = Native.Open(device, OpenMode.ReadOnly))
        {
            if (!Native.ClearLoop(handle, device))
                return;
        }
        if (!await Poll.UntilAsync(() => !IsOf(device, file), limit, cancel).ConfigureAwait(false))
            throw new BlockStorageException(BlockErrors.DeviceInUse,
                $"{device} is still used by {DeviceHolders.Describe(device)}; it goes when they let go.", device);
    }

    /// <summary>Loop devices with this file behind them. Asks nothing of the file itself while the name matches.</summary>
    public static IReadOnlyList<string> FindByBackingFile(string file) =>
        List().Select(pair => pair.Device).Where(device => IsOf(device, file)).ToList();

    /// <summary>All bound loop devices and the paths of their files, " (deleted)" behind those that have lost their name.</summary>
    public static IReadOnlyList<(string Device, string BackingFile)> List() =>
        Directory.EnumerateDirectories("/sys/block", "loop*")
            .Select(folder => $"/dev/{Path.GetFileName(folder)}")
            .Select(device => (device, BackingFile(device)))
            .Where(pair => pair.Item2 is not null)
            .Select(pair => (pair.device, pair.Item2!))
            .ToList();

    /// <summary>Path of the file behind a loop device, or null when it is not bound.</summary>
    public static string? BackingFile(string device) => BlockDevices.Attribute(device, "loop/backing_file");

    /// <summary>Makes a loop device take the size its file has now.</summary>
    public static void SetCapacity(string device)
    {
        using var handle = Native.Open(device, OpenMode.ReadOnly);
        Native.RefreshLoop(handle, device);
    }

    private static bool IsOf(string device, string file)
    {
        var backing = BackingFile(device);
        if (backing is null)
            return false;
        // The kernel shows where a device name leads to.
        if (backing == file || backing == BlockDevices.KernelName(file))
            return true;
        // A renamed mount, a link or another namespace shows another path for the same file.
        var deleted = backing.EndsWith(Deleted, StringComparison.Ordinal);
        var path = deleted ? backing[..^Deleted.Length] : backing;
        return Path.GetFileName(path) == Path.GetFileName(file) && IsSameFile(device, file, whenGone: deleted && path == file);
    }

    private static bool IsSameFile(string device, string file, bool whenGone)
    {
        try
        {
            if (Native.Stat(file) is not { } status)
                return whenGone;
            using var handle = Native.Open(device, OpenMode.ReadOnly);
            return Native.LoopBacking(handle) == (status.Device, status.Inode);
        }
        catch (BlockStorageException)
        {
            return false;
        }
    }
}
