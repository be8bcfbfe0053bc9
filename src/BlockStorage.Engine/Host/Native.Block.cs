using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace BlockStorage.Engine.Host;

/// <summary>Block and loop devices.</summary>
internal static unsafe partial class Native
{
    private const uint GetSize64 = 0x80081272;
    private const uint FlushBuffers = 0x1261;
    private const uint ZeroOutRange = 0x127F;
    private const uint LoopConfigure = 0x4C0A;
    private const uint LoopClear = 0x4C01;
    private const uint LoopStatus64 = 0x4C05;
    private const uint LoopSetCapacity = 0x4C07;
    private const uint LoopGetFree = 0x4C82;
    private const int BlockNode = 0x6000;

    /// <summary>Flags of a loop device.</summary>
    [Flags]
    internal enum LoopFlags : uint
    {
        None = 0,
        ReadOnly = 1,
        AutoClear = 4,
        DirectIo = 16,
    }

    /// <summary>Bytes of an open block device.</summary>
    public static long DeviceSize(SafeFileHandle device, string path)
    {
        ulong size;
        Check(ioctl(device, GetSize64, (nint)(&size)), "Asking for the size of", path);
        return (long)size;
    }

    /// <summary>Writes out and forgets what the kernel holds of a block device.</summary>
    public static void FlushDevice(SafeFileHandle device, string path)
    {
        Sync(device, path);
        Check(ioctl(device, FlushBuffers, 0), "Flushing", path);
    }

    /// <summary>Makes a range of a block device read as zeros, written out when it returns.</summary>
    public static void ZeroOut(SafeFileHandle device, long offset, long count, string path)
    {
        var range = stackalloc ulong[] { (ulong)offset, (ulong)count };
        Check(ioctl(device, ZeroOutRange, (nint)range), "Writing zeros to", path);
    }

    /// <summary>Number of a loop device that is free now.</summary>
    public static int FreeLoop(SafeFileHandle control, string path) =>
        (int)Check(ioctl(control, LoopGetFree, 0), "Asking for a free loop device of", path);

    /// <summary>Binds a file to a loop device.</summary>
    /// <returns>False when somebody took the device first.</returns>
    public static bool TryConfigureLoop(SafeFileHandle device, SafeFileHandle file, LoopFlags flags, string path)
    {
        var config = new LoopConfig { File = (uint)file.DangerousGetHandle(), Info = { Flags = (uint)flags } };
        // The name is only a hint for losetup; sysfs has the true and unshortened one.
        var name = System.Text.Encoding.UTF8.GetBytes(path);
        for (var i = 0; i < Math.Min(name.Length, 63); i++)
            config.Info.FileName[i] = name[i];
        if (ioctl(device, LoopConfigure, (nint)(&config)) == 0)
            return true;
        return LastError == Errno.Busy ? false : throw Errno.Failure(LastError, "Making a loop device of", path);
    }

    /// <summary>Unbinds a loop device; where others have it open the kernel does so at the last close.</summary>
    /// <returns>False when it was not bound.</returns>
    public static bool ClearLoop(SafeFileHandle device, string path)
    {
        if (ioctl(device, LoopClear, 0) == 0)
            return true;
        return LastError == Errno.NoDevice ? false : throw Errno.Failure(LastError, "Detaching", path);
    }

    /// <summary>File system and inode of the file behind a loop device; null when it is not bound or cannot say.</summary>
    public static (DeviceNumber Device, ulong Inode)? LoopBacking(SafeFileHandle device)
    {
        LoopInfo info;
        if (ioctl(device, LoopStatus64, (nint)(&info)) < 0)
            return null;
        // The kernel's packing of a device number: 12 bits major, 20 bits minor, split around the low byte.
        var (major, minor) = ((uint)(info.Device >> 8) & 0xFFF, (uint)(info.Device & 0xFF) | ((uint)(info.Device >> 12) & 0xFFF00));
        return (new DeviceNumber(major, minor), info.Inode);
    }

    /// <summary>Makes a loop device take the size its file has now.</summary>
    public static void RefreshLoop(SafeFileHandle device, string path) =>
        Check(ioctl(device, LoopSetCapacity, 0), "Taking over the new size of", path);

    /// <summary>Makes the node of a block device. Nothing to do when it is there.</summary>
    public static void MakeBlockNode(string path, DeviceNumber number)
    {
        var packed = ((ulong)(number.Major & 0xFFF) << 8) | (number.Minor & 0xFF) | ((ulong)(number.Minor & 0xFFF00) << 12);
        if (mknod(path, BlockNode | PrivateFile, packed) < 0 && LastError != Errno.Exists)
            throw Errno.Failure(LastError, "Making", path);
    }

    [StructLayout(LayoutKind.Explicit, Size = 232)]
    private struct LoopInfo
    {
        [FieldOffset(0)] public ulong Device;
        [FieldOffset(8)] public ulong Inode;
        [FieldOffset(52)] public uint Flags;
        [FieldOffset(56)] public fixed byte FileName[64];
    }

    [StructLayout(LayoutKind.Explicit, Size = 304)]
    private struct LoopConfig
    {
        [FieldOffset(0)] public uint File;
        [FieldOffset(8)] public LoopInfo Info;
    }

    [LibraryImport(Libc, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int mknod(string path, uint mode, ulong device);
}
