using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace BlockStorage.Engine.Host;

/// <summary>Space of files: holes, shared extents, allocation.</summary>
internal static unsafe partial class Native
{
    private const uint CloneFile = 0x40049409;
    private const int KeepSize = 1;

    /// <summary>Makes the whole of a file share the extents of another, in one instant.</summary>
    /// <returns>False where the file system cannot.</returns>
    public static bool TryClone(SafeFileHandle from, SafeFileHandle to, string path)
    {
        if (Retry(() => ioctl(to, CloneFile, (int)from.DangerousGetHandle())) == 0)
            return true;
        return LastError is Errno.NotSupported or Errno.CrossDevice or Errno.Invalid or Errno.NotTty or Errno.NoSystemCall
            ? false
            : throw Errno.Failure(LastError, "Sharing the extents of", path);
    }

    /// <summary>Reserves space, also behind the end; the size stays. New space reads as zeros.</summary>
    public static void Allocate(SafeFileHandle handle, long offset, long length, string path) =>
        Check(Retry(() => fallocate(handle, KeepSize, offset, length)), "Reserving space for", path);

    /// <summary>Start of the next data at or after an offset; null when only a hole follows. Devices are data all through.</summary>
    public static long? SeekData(SafeFileHandle handle, long offset, string path)
    {
        const int data = 3;
        var found = lseek(handle, offset, data);
        return found >= 0 ? found : LastError switch
        {
            Errno.NoDevice => null,
            Errno.Invalid => offset,
            _ => Check(found, "Looking for data in", path),
        };
    }

    /// <summary>Start of the next hole at or after an offset (the end of a file is one); null past the end.</summary>
    public static long? SeekHole(SafeFileHandle handle, long offset, string path)
    {
        const int hole = 4;
        var found = lseek(handle, offset, hole);
        return found < 0 && LastError == Errno.NoDevice ? null : Check(found, "Looking for data in", path);
    }

    /// <summary>Copies inside the kernel.</summary>
    /// <returns>Bytes copied; null where the file systems cannot.</returns>
    public static long? TryCopyRange(SafeFileHandle from, SafeFileHandle to, long offset, long length, string path)
    {
        var copied = Retry(() =>
        {
            var (source, target) = (offset, offset);
            return copy_file_range(from, &source, to, &target, (nuint)length, 0);
        });
        return copied < 0 && LastError is Errno.NotSupported or Errno.CrossDevice or Errno.Invalid or Errno.NoSystemCall
            ? null
            : Check(copied, "Copying to", path);
    }

    [LibraryImport(Libc, SetLastError = true)]
    private static partial int ioctl(SafeFileHandle fd, nuint request, nint argument);

    [LibraryImport(Libc, SetLastError = true)]
    private static partial int fallocate(SafeFileHandle fd, int mode, long offset, long length);

    [LibraryImport(Libc, SetLastError = true)]
    private static partial long lseek(SafeFileHandle fd, long offset, int whence);

    [LibraryImport(Libc, SetLastError = true)]
    private static partial nint copy_file_range(SafeFileHandle from, long* fromOffset, SafeFileHandle to, long* toOffset, nuint length, uint flags);
}
