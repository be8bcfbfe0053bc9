using System.Diagnostics;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace BlockStorage.Engine.Host;

/// <summary>A lock that dies with its holder: flock(2) on a file that is gone when nobody holds it.</summary>
internal sealed class FileLock : IDisposable
{
    /// <summary>How a holder begins to tell who it is.</summary>
    public const string ProcessWord = "process";

    private const int LongestHolder = 4096;

    private readonly string _path;
    private readonly SafeFileHandle _handle;
    private readonly bool _shared;

    private FileLock(string path, SafeFileHandle handle, bool shared)
    {
        _path = path;
        _handle = handle;
        _shared = shared;
    }

    /// <summary>Takes the lock if it is free.</summary>
    /// <returns>The lock, or null when somebody holds it.</returns>
    public static FileLock? Try(string path, bool shared = false, string holder = "")
    {
        while (true)
        {
            var handle = Native.Open(path, OpenMode.ReadWrite | OpenMode.Create);
            if (!Native.TryLock(handle, path, shared))
            {
                handle.Dispose();
                return null;
            }
            // The last holder may have removed the file between our open and our lock; then our lock is on nothing.
            if (!Native.IsSameFile(handle, path))
            {
                handle.Dispose();
                continue;
            }
            NoteHolder(handle, holder);
            return new FileLock(path, handle, shared);
        }
    }

    /// <summary>Takes the lock, waiting for it.</summary>
    /// <exception cref="BlockStorageException">LockTimeout, saying who holds it.</exception>
    public static FileLock Wait(string path, TimeSpan timeout, bool shared = false, string holder = "", CancellationToken cancel = default)
    {
        var watch = Stopwatch.StartNew();
        for (var pause = 1; ; pause = Math.Min(pause * 2, 50))
        {
            if (Try(path, shared, holder) is { } taken)
                return taken;
            if (watch.Elapsed > timeout)
            {
                throw new BlockStorageException(BlockErrors.LockTimeout,
                    $"'{Path.GetFileName(path)}' is held by {Holder(path)}; gave up after {timeout.TotalSeconds:0} s.", Path.GetFileName(path));
            }
            if (cancel.WaitHandle.WaitOne(pause))
                cancel.ThrowIfCancellationRequested();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_handle.IsClosed)
            return;
        // Removing is safe only for the one that holds it alone; a shared holder tries to become that.
        if ((!_shared || Native.TryLock(_handle, _path)) && Native.IsSameFile(_handle, _path))
            File.Delete(_path);
        _handle.Dispose();
    }

    /// <summary>The process that took the lock last, or null where the file does not say.</summary>
    public static int? HolderProcess(string path) =>
        Holder(path).Split(' ') is [ProcessWord, var number, ..] && int.TryParse(number, out var pid) ? pid : null;

    private static void NoteHolder(SafeFileHandle handle, string holder)
    {
        if (holder.Length == 0)
            return;
        try
        {
            RandomAccess.SetLength(handle, 0);
            RandomAccess.Write(handle, Encoding.UTF8.GetBytes(holder), 0);
        }
        catch (IOException)
        {
            // On a full file system the lock works as well without a name in it.
        }
    }

    private static string Holder(string path)
    {
        try
        {
            // Not by the streams of .NET: opening one asks for a lock itself, and is refused.
            if (AtomicFile.Read(path, LongestHolder) is { Length: > 0 } text)
                return Encoding.UTF8.GetString(text).Trim();
        }
        catch (BlockStorageException)
        {
            // Given back between looking and opening.
        }
        return "another process";
    }
}
