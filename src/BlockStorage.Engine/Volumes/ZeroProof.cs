using BlockStorage.Engine.Host;
using BlockStorage.Services;
using Microsoft.Win32.SafeHandles;

namespace BlockStorage.Engine.Volumes;

/// <summary>Proves that nothing lies behind the new end of a volume, by reading it; holes of files are skipped.</summary>
internal static class ZeroProof
{
    private const int Step = 1 << 20;

    /// <summary>Refuses when a byte behind the new end is not zero.</summary>
    /// <exception cref="BlockStorageException">ShrinkNotAllowed, with the place.</exception>
    public static void Require(SafeFileHandle handle, long from, long to, string path, string id, IWorkSink sink, CancellationToken cancel)
    {
        if (to <= from)
            return;
        var buffer = new byte[Step];
        for (var offset = Native.SeekData(handle, from, path) ?? to; offset < to;)
        {
            cancel.ThrowIfCancellationRequested();
            var part = buffer.AsSpan(0, Native.Read(handle, buffer.AsSpan(0, (int)Math.Min(Step, to - offset)), offset, path));
            if (part.IndexOfAnyExcept((byte)0) is var at and >= 0)
                throw new BlockStorageException(BlockErrors.ShrinkNotAllowed,
                    $"There is data behind the new end of {ByteSize.Format(from)}: byte {offset + at} is not zero.", id,
                    "Make the file system smaller first, then: " + (path.StartsWith("/dev/", StringComparison.Ordinal)
                        ? $"blkdiscard --zeroout --offset {from} {path}" : $"fallocate --punch-hole --offset {from} --length {to - from} '{path}'"));
            offset += part.Length;
            sink.Progress(new WorkProgress("Proving that nothing is lost", "Reading", (int)((offset - from) * 100.0 / (to - from)), offset - from, to - from));
            offset = offset < to ? Native.SeekData(handle, offset, path) ?? to : to;
        }
    }
}
