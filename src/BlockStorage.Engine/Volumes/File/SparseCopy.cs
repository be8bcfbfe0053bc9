using System.Diagnostics;
using BlockStorage.Engine.Host;
using BlockStorage.Services;
using Microsoft.Win32.SafeHandles;

namespace BlockStorage.Engine.Volumes.File;

/// <summary>Copies a file and keeps its holes. Stops between chunks; the caller removes what was made.</summary>
internal sealed class SparseCopy(string activity, IWorkSink sink, CancellationToken cancel)
{
    private const int Chunk = 16 << 20;
    private const long SyncEvery = 256L << 20;
    private static readonly TimeSpan ReportEvery = TimeSpan.FromMilliseconds(200);
    private readonly Stopwatch _clock = new();
    private byte[]? _buffer;
    private long _done;

    /// <summary>Copies everything; the target has the size of the source afterwards.</summary>
    /// <param name="from">Source.</param>
    /// <param name="to">Empty target.</param>
    /// <param name="size">Bytes of the source.</param>
    /// <param name="total">Bytes to be copied, for the progress.</param>
    /// <param name="path">Of the target, for errors.</param>
    public void Run(SafeFileHandle from, SafeFileHandle to, long size, long total, string path)
    {
        Native.SetSize(to, size, path);
        Report(total);
        var unsynced = 0L;
        for (var offset = Native.SeekData(from, 0, path); offset is { } start && start < size; offset = Native.SeekData(from, start, path))
        {
            var end = Math.Min(Native.SeekHole(from, start, path) ?? size, size);
            while (start < end)
            {
                cancel.ThrowIfCancellationRequested();
                var count = CopyChunk(from, to, start, Math.Min(Chunk, end - start), path);
                start += count;
                _done += count;
                unsynced += count;
                // Otherwise one long, unstoppable wait for all of it would stand at the end.
                if (unsynced >= SyncEvery)
                {
                    Native.Sync(to, path);
                    unsynced = 0;
                }
                if (_clock.Elapsed >= ReportEvery)
                    Report(total);
            }
        }
        Report(_done);
    }

    private long CopyChunk(SafeFileHandle from, SafeFileHandle to, long offset, long length, string path)
    {
        var copied = _buffer is null ? Native.TryCopyRange(from, to, offset, length, path) : null;
        if (copied is > 0)
            return copied.Value;
        // The file systems cannot do it among themselves.
        _buffer ??= new byte[1 << 20];
        var count = Native.Read(from, _buffer.AsSpan(0, (int)Math.Min(length, _buffer.Length)), offset, path);
        if (count == 0)
            throw new BlockStorageException(BlockErrors.IoFailed, $"The source of '{path}' became shorter while it was copied.", path);
        Native.Write(to, _buffer.AsSpan(0, count), offset, path);
        return count;
    }

    private void Report(long total)
    {
        _clock.Restart();
        var percent = total > 0 ? (int)Math.Min(100, _done * 100.0 / total) : 100;
        sink.Progress(new WorkProgress(activity, "Copying", percent, _done, total));
    }
}
