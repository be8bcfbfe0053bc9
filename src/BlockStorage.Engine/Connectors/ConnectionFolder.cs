using System.Text.Json;
using System.Text.Json.Serialization;
using BlockStorage.Engine.Host;

namespace BlockStorage.Engine.Connectors;

/// <summary>What a connector must know of a connection to find and end it in another process. Holds no secret.</summary>
/// <param name="Connector">Name of the connector that made it.</param>
/// <param name="Portal">Portal, or empty.</param>
/// <param name="Iqn">Target, or empty.</param>
/// <param name="Lun">Logical unit.</param>
/// <param name="Serial">Proven serial number, or empty.</param>
/// <param name="Size">Bytes.</param>
/// <param name="ReadOnly">Writes are refused.</param>
/// <param name="BackingFile">File behind the loop device.</param>
/// <param name="Device">Loop device, or empty before there is one.</param>
internal sealed record ConnectionState(
    string Connector, string Portal, string Iqn, int Lun, string Serial, long Size, bool ReadOnly, string BackingFile, string Device)
{
    /// <summary>Version of the file.</summary>
    public int Version { get; init; } = 1;

    /// <summary>Devices that others had on the same file or disk before.</summary>
    public IReadOnlyList<string> Foreign { get; init; } = [];

    /// <summary>Interface of an iSCSI session that others had opened; empty where it is our own.</summary>
    public string ForeignSession { get; init; } = "";

    /// <summary>It comes back when the machine boots.</summary>
    public bool Persistent { get; init; }

    /// <summary>All portals, one session each, where the multipath daemon joins them; none otherwise.</summary>
    public IReadOnlyList<string> Paths { get; init; } = [];

    /// <summary>Name of the disk that we made known to the multipath daemon; empty where it was known or is not wanted.</summary>
    public string Wwid { get; init; } = "";

    /// <summary>
    /// Names that the multipath daemon knew before the first disk came, until it is clear whether ours is one of them: it may learn
    /// ours by itself at any moment between.
    /// </summary>
    public IReadOnlyList<string>? WwidsBefore { get; init; }
}

[JsonSerializable(typeof(ConnectionState))]
internal sealed partial class ConnectionJson : JsonSerializerContext;

/// <summary>The run folder of a connection. It exists from before the first thing is made until after the last is gone.</summary>
internal sealed class ConnectionFolder
{
    private const string Prefix = "conn-";
    private const string Unfinished = ".new";
    private const string StateFile = "state.json";
    private const string OwnerSuffix = ".connector";
    private const int StateLimit = 1 << 20;

    private ConnectionFolder(StateRoot root, string id) => (Id, Path) = (id, System.IO.Path.Combine(root.RunFolder, Prefix + id));

    /// <summary>Id of the connection.</summary>
    public string Id { get; }

    /// <summary>The folder.</summary>
    public string Path { get; }

    /// <summary>The folder of a connection, there or not.</summary>
    /// <exception cref="BlockStorageException">InvalidArgument: no UUID, so no part of a path.</exception>
    public static ConnectionFolder Of(StateRoot root, string id) => Guid.TryParseExact(id, "D", out _)
        ? new ConnectionFolder(root, id)
        : throw new BlockStorageException(BlockErrors.InvalidArgument, $"'{id}' is no id of a connection.", id, "Get-BlockConnection");

    /// <summary>The folders that there are.</summary>
    public static IReadOnlyList<ConnectionFolder> List(StateRoot root) => !Directory.Exists(root.RunFolder) ? [] :
        Directory.EnumerateDirectories(root.RunFolder, Prefix + "*")
            .Select(path => System.IO.Path.GetFileName(path)[Prefix.Length..])
            .Where(id => Guid.TryParseExact(id, "D", out _))
            .Order(StringComparer.Ordinal).Select(id => new ConnectionFolder(root, id)).ToArray();

    /// <summary>A file in it.</summary>
    public string File(string name) => System.IO.Path.Combine(Path, name);

    /// <summary>Makes the folder with its state in one instant, so that it is never there without.</summary>
    public void Create(StateRoot root, ConnectionState state)
    {
        StateRoot.EnsureFolder(root.Home);
        StateRoot.EnsureFolder(root.RunFolder);
        var unfinished = Path + Unfinished;
        DeleteTree(unfinished);
        StateRoot.EnsureFolder(unfinished);
        // Says whose it is where the state is damaged.
        AtomicFile.Write(System.IO.Path.Combine(unfinished, state.Connector + OwnerSuffix), []);
        AtomicFile.Write(System.IO.Path.Combine(unfinished, StateFile), Serialize(state));
        Native.Rename(unfinished, Path);
    }

    /// <summary>Changes the state.</summary>
    public void Save(ConnectionState state) => AtomicFile.Write(File(StateFile), Serialize(state));

    /// <summary>The state, or null when there is no folder.</summary>
    /// <exception cref="BlockStorageException">VolumeDamaged: it cannot be read.</exception>
    public ConnectionState? Load()
    {
        if (!Directory.Exists(Path))
            return null;
        try
        {
            if (AtomicFile.Read(File(StateFile), StateLimit) is { } content
                && JsonSerializer.Deserialize(content, ConnectionJson.Default.ConnectionState) is { Version: 1, Connector: not null, BackingFile: not null } state)
                return state;
        }
        catch (JsonException)
        {
            // Told below.
        }
        // It may have gone while we looked.
        return !Directory.Exists(Path) ? null : throw new BlockStorageException(BlockErrors.VolumeDamaged,
            $"The state of connection {Id} in '{Path}' cannot be read.", Id, "Disconnect-BlockVolume -Force");
    }

    /// <summary>The state, or null where there is none or it cannot be read.</summary>
    public ConnectionState? TryLoad()
    {
        try
        {
            return Load();
        }
        catch (BlockStorageException)
        {
            return null;
        }
    }

    /// <summary>Whether a connector made it, also where its state cannot be read.</summary>
    public bool IsOf(string connector, ConnectionState? state) =>
        state is null ? System.IO.File.Exists(File(connector + OwnerSuffix)) : state.Connector == connector;

    /// <summary>Removes the folder and what a kill in the middle of Create left.</summary>
    public void Delete()
    {
        DeleteTree(Path);
        DeleteTree(Path + Unfinished);
    }

    private static byte[] Serialize(ConnectionState state) => JsonSerializer.SerializeToUtf8Bytes(state, ConnectionJson.Default.ConnectionState);

    private static void DeleteTree(string path)
    {
        if (Directory.Exists(path))
            Directory.Delete(path, recursive: true);
    }
}
