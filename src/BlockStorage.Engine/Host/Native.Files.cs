using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace BlockStorage.Engine.Host;

/// <summary>How to open a file; values that are the same on every architecture.</summary>
[Flags]
internal enum OpenMode
{
    ReadOnly = 0,
    WriteOnly = 1,
    ReadWrite = 2,
    Create = 0x40,
    Exclusive = 0x80,
    Truncate = 0x200,
    NonBlocking = 0x800,
}

/// <summary>Files, folders and names.</summary>
internal static unsafe partial class Native
{
    private const int CloseOnExec = 0x80000;
    private const int CurrentFolder = -100;
    private const int PrivateFolder = 0x1C0;

    /// <summary>Mode of files that only their owner reads and writes.</summary>
    public const int PrivateFile = 0x180;

    /// <summary>Opens a file without the advisory lock that File.OpenHandle takes.</summary>
    public static SafeFileHandle Open(string path, OpenMode mode, int permissions = PrivateFile)
    {
        var handle = new SafeFileHandle((nint)Retry(() => open(path, (int)mode | CloseOnExec, permissions)), ownsHandle: true);
        return handle.IsInvalid ? throw Errno.Failure(LastError, mode.HasFlag(OpenMode.Create) ? "Making" : "Opening", path) : handle;
    }

    /// <summary>Reads what a file of the kernel gives in one call, which is one moment of it.</summary>
    /// <returns>Bytes read; below 0 where there is no such file, or its object goes away.</returns>
    public static int ReadMoment(string path, Span<byte> buffer)
    {
        using var handle = new SafeFileHandle((nint)Retry(() => open(path, CloseOnExec, 0)), ownsHandle: true);
        nint count = -1;
        if (!handle.IsInvalid)
        {
            fixed (byte* bytes = buffer)
            {
                do
                    count = pread(handle, bytes, (nuint)buffer.Length, 0);
                while (count < 0 && LastError == Interrupted);
            }
        }
        return count >= 0 || LastError is Errno.NoEntry or Errno.NoSuchDevice ? (int)count : throw Errno.Failure(LastError, "Reading", path);
    }

    /// <summary>Has the next reads ask the disk and not what the kernel remembers of it.</summary>
    public static void Forget(SafeFileHandle handle)
    {
        const int dontNeed = 4;
        // Advice: where it is not taken, what is remembered is read.
        _ = posix_fadvise(handle, 0, 0, dontNeed);
    }

    /// <summary>Makes what was written durable.</summary>
    public static void Sync(SafeFileHandle handle, string path) => Check(Retry(() => fsync(handle)), "Writing out", path);

    /// <summary>Makes names in a folder durable.</summary>
    public static void SyncFolder(string path)
    {
        using var handle = Open(path, OpenMode.ReadOnly);
        Sync(handle, path);
    }

    /// <summary>Fills a buffer with the next entries of an open folder.</summary>
    /// <returns>Bytes filled; 0 at the end.</returns>
    public static int ReadFolder(SafeFileHandle folder, byte[] buffer, string path)
    {
        fixed (byte* entries = buffer)
        {
            nint count;
            do
                count = getdents64(folder, entries, (nuint)buffer.Length);
            while (count < 0 && LastError == Interrupted);
            return (int)Check(count, "Reading", path);
        }
    }

    /// <summary>Sets the size; new space is a hole.</summary>
    public static void SetSize(SafeFileHandle handle, long size, string path) =>
        Check(Retry(() => ftruncate(handle, size)), "Setting the size of", path);

    /// <summary>Writes all bytes at an offset.</summary>
    public static void Write(SafeFileHandle handle, ReadOnlySpan<byte> content, long offset, string path)
    {
        while (content.Length > 0)
        {
            long count;
            fixed (byte* bytes = content)
            {
                do
                    count = pwrite(handle, bytes, (nuint)content.Length, offset);
                while (count < 0 && LastError == Interrupted);
            }
            content = content[(int)Check(count, "Writing", path)..];
            offset += count;
        }
    }

    /// <summary>Reads at an offset until the buffer is full or the file ends.</summary>
    /// <returns>Bytes read.</returns>
    public static int Read(SafeFileHandle handle, Span<byte> buffer, long offset, string path)
    {
        var done = 0;
        while (done < buffer.Length)
        {
            long count;
            fixed (byte* bytes = buffer[done..])
            {
                do
                    count = pread(handle, bytes, (nuint)(buffer.Length - done), offset + done);
                while (count < 0 && LastError == Interrupted);
            }
            if (Check(count, "Reading", path) == 0)
                break;
            done += (int)count;
        }
        return done;
    }

    /// <summary>Sets the permissions of an open file.</summary>
    public static void SetPermissions(SafeFileHandle handle, int permissions, string path) =>
        Check(fchmod(handle, permissions), "Setting the permissions of", path);

    /// <summary>Makes a folder for the owner alone.</summary>
    /// <returns>False when it was there.</returns>
    public static bool MakeFolder(string path)
    {
        if (mkdir(path, PrivateFolder) == 0)
            return true;
        return LastError == Errno.Exists ? false : throw Errno.Failure(LastError, "Making", path);
    }

    /// <summary>Removes an empty folder. Nothing to do when there is none.</summary>
    public static void RemoveFolder(string path)
    {
        if (rmdir(path) < 0 && LastError != Errno.NoEntry)
            throw Errno.Failure(LastError, "Removing", path);
    }

    /// <summary>Whether we may write there; false on a read-only file system too.</summary>
    public static bool CanWrite(string path) => access(path, 2) == 0;

    /// <summary>Gives a file a new name, over what has it now, in one instant.</summary>
    public static void Rename(string from, string to) => Check(rename(from, to), "Renaming", from);

    /// <summary>Removes a name.</summary>
    /// <returns>False when there was none.</returns>
    public static bool Unlink(string path)
    {
        if (unlink(path) == 0)
            return true;
        return LastError == Errno.NoEntry ? false : throw Errno.Failure(LastError, "Removing", path);
    }

    /// <summary>Makes a symbolic link.</summary>
    /// <returns>False when the name was there.</returns>
    public static bool Link(string target, string path)
    {
        if (symlink(target, path) == 0)
            return true;
        return LastError == Errno.Exists ? false : throw Errno.Failure(LastError, "Linking", path);
    }

    /// <summary>What a symbolic link holds; null where there is none.</summary>
    public static string? ReadLink(string path, int limit)
    {
        var buffer = new byte[limit];
        nint count;
        fixed (byte* bytes = buffer)
            count = readlink(path, bytes, (nuint)limit);
        return count >= 0 ? Encoding.UTF8.GetString(buffer, 0, (int)count)
            : LastError == Errno.NoEntry ? null : throw Errno.Failure(LastError, "Reading", path);
    }

    /// <summary>Takes the lock of a file, which dies with the process; a lock that is held changes its kind.</summary>
    /// <returns>False when another holds it.</returns>
    public static bool TryLock(SafeFileHandle handle, string path, bool shared = false)
    {
        const int forAll = 1, exclusive = 2, noWait = 4;
        if (Retry(() => flock(handle, (shared ? forAll : exclusive) | noWait)) == 0)
            return true;
        return LastError == Errno.Again ? false : throw Errno.Failure(LastError, "Locking", path);
    }

    [LibraryImport(Libc, SetLastError = true)]
    private static partial nint getdents64(SafeFileHandle folder, byte* buffer, nuint length);

    [LibraryImport(Libc, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int open(string path, int flags, int mode);

    [LibraryImport(Libc, SetLastError = true)]
    private static partial int fsync(SafeFileHandle fd);

    [LibraryImport(Libc, SetLastError = true)]
    private static partial int ftruncate(SafeFileHandle fd, long length);

    [LibraryImport(Libc, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int rename(string from, string to);

    [LibraryImport(Libc, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int unlink(string path);

    [LibraryImport(Libc, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int symlink(string target, string path);

    [LibraryImport(Libc, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial nint readlink(string path, byte* buffer, nuint size);

    [LibraryImport(Libc)]
    private static partial int posix_fadvise(SafeFileHandle fd, nint offset, nint length, int advice);

    [LibraryImport(Libc, SetLastError = true)]
    private static partial int flock(SafeFileHandle fd, int operation);

    [LibraryImport(Libc, SetLastError = true)]
    private static partial nint pwrite(SafeFileHandle fd, byte* bytes, nuint count, long offset);

    [LibraryImport(Libc, SetLastError = true)]
    private static partial nint pread(SafeFileHandle fd, byte* bytes, nuint count, long offset);

    [LibraryImport(Libc, SetLastError = true)]
    private static partial int fchmod(SafeFileHandle fd, int mode);

    [LibraryImport(Libc, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int mkdir(string path, int mode);

    [LibraryImport(Libc, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int rmdir(string path);

    [LibraryImport(Libc, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int access(string path, int mode);
}
