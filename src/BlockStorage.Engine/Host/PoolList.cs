namespace BlockStorage.Engine.Host;

/// <summary>Where the pools are, as links in the state folder, so that a lost catalogue can be rebuilt.</summary>
internal sealed class PoolList(StateRoot root)
{
    private string Folder => Path.Combine(root.Home, "pools", "by-id");

    /// <summary>Notes a pool. Nothing to do when it is noted.</summary>
    public void Add(string id, string path)
    {
        StateRoot.EnsureFolder(Folder);
        if (!Has(id))
            File.CreateSymbolicLink(Path.Combine(Folder, id), path);
    }

    /// <summary>Forgets a pool. Succeeds when it is not noted.</summary>
    public void Remove(string id)
    {
        if (Directory.Exists(Folder))
            File.Delete(Path.Combine(Folder, id));
    }

    /// <summary>True when the pool is noted.</summary>
    public bool Has(string id) => new FileInfo(Path.Combine(Folder, id)).LinkTarget is not null;

    /// <summary>All pools, also those whose folder is gone.</summary>
    public IReadOnlyList<(string Id, string Path)> Read() => !Directory.Exists(Folder) ? [] : new DirectoryInfo(Folder)
        .EnumerateFileSystemInfos()
        .Where(link => link.LinkTarget is not null)
        .Select(link => (link.Name, link.LinkTarget!))
        .ToArray();
}
