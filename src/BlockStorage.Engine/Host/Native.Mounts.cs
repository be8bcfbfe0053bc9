using System.Runtime.InteropServices;

namespace BlockStorage.Engine.Host;

/// <summary>How a file system is mounted; values of the kernel.</summary>
[Flags]
internal enum MountFlags : ulong
{
    None = 0,
    ReadOnly = 1,
    NoSetUserId = 2,
    NoDevices = 4,
    NoExecution = 8,
    Remount = 32,
    NoAccessTime = 1024,
    Bind = 4096,
}

/// <summary>Mounts.</summary>
internal static unsafe partial class Native
{
    private const int UnmountNoFollow = 8;
    private const int UnmountDetach = 2;

    /// <summary>Mounts a file system.</summary>
    public static void Mount(string source, string target, string fileSystem, MountFlags flags, string options) =>
        Check(mount(source, target, fileSystem, (nuint)flags, options), $"Mounting '{source}' on", target);

    /// <summary>Takes down the topmost mount at a path.</summary>
    /// <param name="target">Where it is mounted.</param>
    /// <param name="lazy">Also while in use: it is gone from the tree now and for good at the last close.</param>
    /// <returns>False when nothing was mounted there.</returns>
    public static bool Unmount(string target, bool lazy)
    {
        if (umount2(target, UnmountNoFollow | (lazy ? UnmountDetach : 0)) == 0)
            return true;
        return LastError is Errno.Invalid or Errno.NoEntry ? false : throw Errno.Failure(LastError, "Unmounting", target);
    }

    [LibraryImport(Libc, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int mount(string source, string target, string fileSystem, nuint flags, string data);

    [LibraryImport(Libc, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int umount2(string target, int flags);
}
