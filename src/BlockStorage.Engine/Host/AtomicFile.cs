namespace BlockStorage.Engine.Host;

/// <summary>Small files that are always either the old or the new text, whatever happens.</summary>
internal static class AtomicFile
{
    /// <summary>What a kill in the middle of a write may leave beside the file.</summary>
    public const string TemporarySuffix = ".tmp";

    /// <summary>Writes a file for the owner alone, durable when it returns. One writer at a time: callers hold a lock.</summary>
    public static void Write(string path, ReadOnlySpan<byte> content)
    {
        var temporary = path + TemporarySuffix;
        try
        {
            using (var handle = Native.Open(temporary, OpenMode.WriteOnly | OpenMode.Create | OpenMode.Truncate))
            {
                Native.Write(handle, content, 0, temporary);
                Native.Sync(handle, temporary);
            }
            Native.Rename(temporary, path);
        }
        catch
        {
            Native.Unlink(temporary);
            throw;
        }
        Native.SyncFolder(Path.GetDirectoryName(path)!);
    }

    /// <summary>Reads a file.</summary>
    /// <param name="path">Path.</param>
    /// <param name="limit">Bytes; a longer file is not ours.</param>
    /// <returns>Null when there is none or it is longer.</returns>
    public static byte[]? Read(string path, int limit)
    {
        if (Native.Stat(path) is not { IsFile: true } status || status.Size > limit)
            return null;
        using var handle = Native.Open(path, OpenMode.ReadOnly);
        var content = new byte[status.Size];
        var count = Native.Read(handle, content, 0, path);
        return content[..count];
    }
}
