using System.Text;

namespace BlockStorage.Engine.Host;

/// <summary>
/// The kernel's configuration file system: folders are objects, files are their attributes, links join them. Every change is
/// one system call, and is done or not done.
/// </summary>
/// <param name="before">Called with what is about to change; tests end the world there.</param>
internal sealed class ConfigFs(Action<string>? before = null)
{
    /// <summary>Where it is mounted.</summary>
    public const string Root = "/sys/kernel/config";

    // No attribute is longer than a page.
    private const int AttributeLimit = 4096;
    private const int FolderBuffer = 4096;

    /// <summary>Whether there is such an object or attribute.</summary>
    public static bool Exists(string path) => Native.Stat(path) is not null;

    /// <summary>Makes an object.</summary>
    /// <returns>False when it was there.</returns>
    public bool Make(string path)
    {
        before?.Invoke(path);
        return Native.MakeFolder(path);
    }

    /// <summary>Removes an object. Nothing to do when there is none.</summary>
    public void Remove(string path)
    {
        before?.Invoke(path);
        Native.RemoveFolder(path);
    }

    /// <summary>Removes an object, unless something is in it.</summary>
    public void RemoveEmpty(string path)
    {
        try
        {
            Remove(path);
        }
        catch (BlockStorageException error) when (Errno.NumberOf(error) is Errno.NotEmpty or Errno.Busy)
        {
            // Something else lives there.
        }
    }

    /// <summary>Writes an attribute in one call and without a line end, which the kernel would take for a part of a secret.</summary>
    public void Write(string path, string value)
    {
        before?.Invoke(path);
        using var handle = Native.Open(path, OpenMode.WriteOnly);
        Native.Write(handle, Encoding.UTF8.GetBytes(value), 0, path);
    }

    /// <summary>Writes an attribute unless it has the value.</summary>
    public void Set(string path, string value)
    {
        if (Read(path) != value)
            Write(path, value);
    }

    /// <summary>Joins an object to another. Nothing to do when the link is there.</summary>
    public void Link(string target, string path)
    {
        before?.Invoke(path);
        Native.Link(target, path);
    }

    /// <summary>Takes a link away. Nothing to do when there is none.</summary>
    public void Unlink(string path)
    {
        before?.Invoke(path);
        Native.Unlink(path);
    }

    /// <summary>An attribute without its line end; null where there is none.</summary>
    public static string? Read(string path)
    {
        Span<byte> buffer = stackalloc byte[AttributeLimit];
        var count = Native.ReadMoment(path, buffer);
        return count < 0 ? null : Encoding.UTF8.GetString(buffer[..count]).TrimEnd('\n');
    }

    /// <summary>Names of the objects in an object, in order; none where it is absent.</summary>
    public static IReadOnlyList<string> Objects(string path) => Names(path, folder => folder.IsFolder);

    /// <summary>Links of an object and the full paths of what they join it to.</summary>
    public static IReadOnlyList<(string Path, string Target)> Links(string path) => Names(path, folder => folder.IsLink)
        .Select(name => Path.Combine(path, name))
        .Select(link => (link, Target: new FileInfo(link).ResolveLinkTarget(returnFinalTarget: false)?.FullName))
        .Where(pair => pair.Target is not null)
        .Select(pair => (pair.link, pair.Target!))
        .ToArray();

    private static List<string> Names(string path, Func<FolderReader, bool> wanted)
    {
        List<string> names = [];
        if (!Exists(path))
            return names;
        try
        {
            using var folder = new FolderReader(path, FolderBuffer);
            while (folder.Next())
            {
                if (wanted(folder))
                    names.Add(folder.Name.ToString());
            }
        }
        catch (BlockStorageException error) when (Errno.NumberOf(error) == Errno.NoEntry)
        {
            // Gone meanwhile.
        }
        names.Sort(StringComparer.Ordinal);
        return names;
    }
}
