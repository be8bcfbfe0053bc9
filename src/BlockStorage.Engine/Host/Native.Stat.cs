using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace BlockStorage.Engine.Host;

/// <summary>What the kernel knows of a file.</summary>
/// <param name="Size">Bytes that readers see.</param>
/// <param name="Allocated">Bytes that it takes on the disk.</param>
/// <param name="Inode">Number in its file system.</param>
/// <param name="Device">File system it is on.</param>
/// <param name="Node">Device that it stands for, of device nodes.</param>
/// <param name="Mode">Type and permissions.</param>
/// <param name="ModifiedNanoseconds">Time of the last change, since 1970.</param>
internal readonly record struct FileStatus(
    long Size, long Allocated, ulong Inode, DeviceNumber Device, DeviceNumber Node, int Mode, long ModifiedNanoseconds)
{
    public bool IsFile => (Mode & 0xF000) == 0x8000;
    public bool IsFolder => (Mode & 0xF000) == 0x4000;
    public bool IsBlockDevice => (Mode & 0xF000) == 0x6000;
}

/// <summary>Number of a device.</summary>
internal readonly record struct DeviceNumber(uint Major, uint Minor)
{
    /// <summary>As in /proc and /sys.</summary>
    public override string ToString() => $"{Major}:{Minor}";
}

/// <summary>Figures of a file system, in bytes.</summary>
/// <param name="Type">Magic number.</param>
/// <param name="Total">Size.</param>
/// <param name="Available">Free for everybody.</param>
/// <param name="ReadOnly">Mounted read-only.</param>
internal readonly record struct FileSystemStatus(long Type, long Total, long Available, bool ReadOnly);

/// <summary>Questions about files and file systems.</summary>
internal static unsafe partial class Native
{
    private const int BasicStats = 0x7FF;
    private const int NoFollow = 0x100;
    private const int EmptyPath = 0x1000;
    private const int ForceSync = 0x2000;

    /// <summary>Asks about a path, following links.</summary>
    /// <param name="path">Path.</param>
    /// <param name="fresh">Network and FUSE file systems must ask the far side.</param>
    /// <returns>Null when there is nothing.</returns>
    public static FileStatus? Stat(string path, bool fresh = false) => Stat(CurrentFolder, path, fresh ? ForceSync : 0);

    /// <summary>True when the path still names the open file.</summary>
    public static bool IsSameFile(SafeFileHandle handle, string path) =>
        Stat((int)handle.DangerousGetHandle(), "", EmptyPath) is { } open && Stat(path) is { } named
        && open.Inode == named.Inode && open.Device == named.Device;

    /// <summary>Asks about a name in an open folder that lies with a NUL behind it in a buffer, not following links.</summary>
    public static FileStatus? Stat(SafeFileHandle folder, byte[] buffer, int at, string path)
    {
        StatX x;
        int result;
        fixed (byte* name = &buffer[at])
        {
            do
                result = statx((int)folder.DangerousGetHandle(), name, NoFollow, BasicStats, &x);
            while (result < 0 && LastError == Interrupted);
        }
        return Status(result, x, path);
    }

    private static FileStatus? Stat(int folder, string path, int flags)
    {
        StatX x;
        int result;
        do
            result = statx(folder, path, flags, BasicStats, &x);
        while (result < 0 && LastError == Interrupted);
        return Status(result, x, path);
    }

    private static FileStatus? Status(int result, in StatX x, string path)
    {
        if (result < 0)
            return LastError is Errno.NoEntry or Errno.NotFolder ? null : throw Errno.Failure(LastError, "Looking at", path);
        return new FileStatus(x.Size, x.Blocks * 512, x.Inode, new(x.DeviceMajor, x.DeviceMinor), new(x.NodeMajor, x.NodeMinor),
            x.Mode, x.ModifiedSeconds * 1_000_000_000 + x.ModifiedNanoseconds);
    }

    /// <summary>Asks about the file system that holds a path.</summary>
    public static FileSystemStatus StatFileSystem(string path)
    {
        StatFs s;
        Check(statfs(path, &s), "Looking at the file system of", path);
        return new FileSystemStatus(s.Type, s.Blocks * s.BlockSize, s.Available * s.BlockSize, (s.Flags & 1) != 0);
    }

    [StructLayout(LayoutKind.Explicit, Size = 256)]
    private struct StatX
    {
        [FieldOffset(28)] public ushort Mode;
        [FieldOffset(32)] public ulong Inode;
        [FieldOffset(40)] public long Size;
        [FieldOffset(48)] public long Blocks;
        [FieldOffset(112)] public long ModifiedSeconds;
        [FieldOffset(120)] public uint ModifiedNanoseconds;
        [FieldOffset(128)] public uint NodeMajor;
        [FieldOffset(132)] public uint NodeMinor;
        [FieldOffset(136)] public uint DeviceMajor;
        [FieldOffset(140)] public uint DeviceMinor;
    }

    [StructLayout(LayoutKind.Explicit, Size = 256)]
    private struct StatFs
    {
        [FieldOffset(0)] public long Type;
        [FieldOffset(8)] public long BlockSize;
        [FieldOffset(16)] public long Blocks;
        [FieldOffset(32)] public long Available;
        [FieldOffset(80)] public long Flags;
    }

    [LibraryImport(Libc, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int statx(int folder, string path, int flags, uint mask, StatX* buffer);

    [LibraryImport(Libc, SetLastError = true)]
    private static partial int statx(int folder, byte* name, int flags, uint mask, StatX* buffer);

    [LibraryImport(Libc, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int statfs(string path, StatFs* buffer);
}
