namespace BlockStorage.Engine.Host;

/// <summary>Where all state lives: /var/lib/blockstorage for root, $XDG_DATA_HOME/blockstorage otherwise, or BLOCKSTORAGE_HOME.</summary>
internal sealed class StateRoot
{
    /// <summary>Takes the folder from the environment.</summary>
    public static StateRoot FromEnvironment()
    {
        var home = Environment.GetEnvironmentVariable("BLOCKSTORAGE_HOME");
        if (!string.IsNullOrEmpty(home))
            return new StateRoot(home);
        if (Environment.IsPrivilegedProcess)
            return new StateRoot("/var/lib/blockstorage");
        var data = Environment.GetEnvironmentVariable("XDG_DATA_HOME");
        return new StateRoot(Path.Combine(
            string.IsNullOrEmpty(data) ? Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".local/share") : data,
            "blockstorage"));
    }

    /// <summary>Takes a folder.</summary>
    /// <param name="path">Absolute or relative to the current folder.</param>
    /// <exception cref="BlockStorageException">InvalidPath: control sockets would not fit, or tools would misread it.</exception>
    public StateRoot(string path)
    {
        Home = Path.TrimEndingDirectorySeparator(Path.GetFullPath(path));
        // sun_path holds 107 characters; the longest socket below the root needs 60. tgtd splits at commas.
        if (Home.Length > 45 || Home.Any(c => c is ',' or '"' || char.IsControl(c)))
            throw new BlockStorageException(BlockErrors.InvalidPath,
                $"The state folder '{Home}' is longer than 45 characters or has a comma, quote or control character.", Home,
                "Set BLOCKSTORAGE_HOME to a short folder such as /var/lib/blockstorage.");
    }

    /// <summary>The folder.</summary>
    public string Home { get; }

    /// <summary>The catalogue.</summary>
    public string CatalogFile => Path.Combine(Home, "catalog.db");

    /// <summary>Lock files, gone when nobody holds them.</summary>
    public string LockFolder => Path.Combine(Home, "locks");

    /// <summary>CHAP secrets, one 0600 file a grant.</summary>
    public string SecretFolder => Path.Combine(Home, "secrets");

    /// <summary>Sockets, pid files and mount points of running things; one folder a thing.</summary>
    public string RunFolder => Path.Combine(Home, "run");

    /// <summary>Where the pool "default" is.</summary>
    public string DefaultPoolFolder => Path.Combine(Home, "pools", "default");

    /// <summary>Makes a folder below the root, closed to others.</summary>
    public static void EnsureFolder(string path) =>
        Directory.CreateDirectory(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
}
