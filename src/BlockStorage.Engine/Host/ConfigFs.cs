using System.Text;

namespace BlockStorage.Engine.Host;

/// <summary>
/// The kernel's configuration file system: folders are objects, files are their attributes, links join them. Every change is
/// one system call, and is done or not done.
/// </summary>
/// <param name="before">Called with what is about to change; tests end the world there.</param>
/// <param name="look">Changes nothing: the first change that there would be ends in a ConfigDifferenceException.</param>
internal sealed class ConfigFs(Action<string>? before = null, bool look = false)
{
    /// <summary>Where it is mounted.</summary>
    public const string Root = "/sys/kernel/config";

    // No attribute is longer than a page.
    private const int AttributeLimit = 4096;
    private const int FolderBuffer = 4096;
    private const int LinkLimit = 4096;

    /// <summary>Whether there is such an object or attribute.</summary>
    public static bool Exists(string path) => Native.Stat(path) is not null;

    /// <summary>Makes an object.</summary>
    /// <returns>False when it was there.</returns>
    public bool Make(string path)
    {
        if (look && Same(Exists(path), path))
            return false;
        before?.Invoke(path);
        return Native.MakeFolder(path);
    }

    /// <summary>Removes an object. Nothing to do when there is none.</summary>
    public void Remove(string path)
    {
        if (look && Same(!Exists(path), path))
            return;
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
        if (look)
            throw new ConfigDifferenceException(path);
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
        if (look && Same(Exists(path), path))
            return;
        before?.Invoke(path);
        Native.Link(target, path);
    }

    /// <summary>Takes a link away. Nothing to do when there is none.</summary>
    public void Unlink(string path)
    {
        if (look && Same(!Exists(path), path))
            return;
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
    public static IReadOnlyList<(string Path, string Target)> Links(string path)
    {
        List<(string, string)> links = [];
        foreach (var name in Names(path, folder => folder.IsLink))
        {
            var link = $"{path}/{name}";
            if (Native.ReadLink(link, LinkLimit) is { } target)
                links.Add((link, Path.GetFullPath(target, path)));
        }
        return links;
    }

    /// <summary>Names of the objects in an object, in no order, one by one as they are asked for.</summary>
    public static IEnumerable<string> Each(string path)
    {
        if (Open(path) is not { } folder)
            yield break;
        using (folder)
        {
            while (Next(folder))
            {
                if (folder.IsFolder)
                    yield return folder.Name.ToString();
            }
        }
    }

    private static bool Same(bool same, string path) => same ? true : throw new ConfigDifferenceException(path);

    private static List<string> Names(string path, Func<FolderReader, bool> wanted)
    {
        List<string> names = [];
        if (Open(path) is not { } folder)
            return names;
        using (folder)
        {
            while (Next(folder))
            {
                if (wanted(folder))
                    names.Add(folder.Name.ToString());
            }
        }
        names.Sort(StringComparer.Ordinal);
        return names;
    }

    // Objects come and go while others look.
    private static bool Next(FolderReader folder)
    {
        try
        {
            return folder.Next();
        }
        catch (BlockStorageException error) when (Errno.NumberOf(error) == Errno.NoEntry)
        {
            return false;
        }
    }

    private static FolderReader? Open(string path)
    {
        try
        {
            return new FolderReader(path, FolderBuffer);
        }
        catch (BlockStorageException error) when (Errno.NumberOf(error) == Errno.NoEntry)
        {
            return null;
        }
    }
}

/// <summary>Something in configfs is not as it should be.</summary>
/// <param name="path">What.</param>
internal sealed class ConfigDifferenceException(string path) : Exception($"{path} differs")
{
    /// <summary>Object or attribute.</summary>
    public string Path { get; } = path;
}
