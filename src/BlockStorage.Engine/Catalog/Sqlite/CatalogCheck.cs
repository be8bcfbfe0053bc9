using BlockStorage.Engine.Host;
using Microsoft.Data.Sqlite;

namespace BlockStorage.Engine.Catalog.Sqlite;

/// <summary>Tells a good catalogue file from an empty, foreign, damaged or newer one before it is used.</summary>
internal static class CatalogCheck
{
    // SQLite primary result codes (sqlite.org/rescode.html).
    private const int Constraint = 19, Corrupt = 11, NotADatabase = 26, Busy = 5, Locked = 6;

    /// <summary>Checks the file and brings an older schema up to date, after copying the file.</summary>
    /// <param name="file">The file; it exists.</param>
    /// <param name="migrate">Leads a connection from a version to the current one.</param>
    public static void Run(string file, Action<SqliteConnection, int> migrate)
    {
        if (new FileInfo(file).Length == 0)
            throw Damaged(file, "it is empty", null);
        using var connection = new SqliteConnection(new SqliteConnectionStringBuilder
        {
            DataSource = file,
            Mode = SqliteOpenMode.ReadWrite,
            Pooling = false,
        }.ToString());
        connection.Open();
        if (Number(connection, "PRAGMA application_id") != Schema.ApplicationId)
            throw Damaged(file, "it is not a BlockStorage catalogue", null);
        var version = (int)Number(connection, "PRAGMA user_version");
        if (version > Schema.Current)
        {
            throw new BlockStorageException(BlockErrors.CatalogTooNew,
                $"The catalogue {file} has schema version {version}; this version of BlockStorage knows up to {Schema.Current}.", file);
        }
        using (var check = connection.CreateCommand())
        {
            check.CommandText = "PRAGMA quick_check(1)";
            if (check.ExecuteScalar() as string is var said && said != "ok")
                throw Damaged(file, said ?? "the check gave nothing", null);
        }
        if (version == Schema.Current)
            return;
        using (var copy = new SqliteConnection($"Data Source={file}.v{version};Pooling=False"))
        {
            copy.Open();
            connection.BackupDatabase(copy);
        }
        migrate(connection, version);
    }

    /// <summary>The error that a failure of SQLite means to a user.</summary>
    public static BlockStorageException Translate(SqliteException error, string file) => error.SqliteErrorCode switch
    {
        Constraint => new BlockStorageException(BlockErrors.NameExists, "The name is taken.", cause: error),
        Corrupt or NotADatabase => Damaged(file, error.Message, error),
        Busy or Locked => new BlockStorageException(BlockErrors.LockTimeout,
            $"The catalogue {file} was locked by another process for too long.", file, cause: error),
        _ when IsFull(file) => new BlockStorageException(BlockErrors.CatalogUnavailable,
            $"The catalogue {file} cannot be written: its file system is full.", file, "df -h", error),
        _ => new BlockStorageException(BlockErrors.CatalogUnavailable,
            $"The catalogue {file} cannot be opened or written: {error.Message}", file, cause: error),
    };

    private static BlockStorageException Damaged(string file, string why, Exception? cause) =>
        new(BlockErrors.CatalogDamaged, $"The catalogue {file} is damaged: {why}. Nothing was changed.", file, cause: cause);

    // SQLite calls it an I/O error where it is its index of the log that does not fit.
    private static bool IsFull(string file)
    {
        const long least = 64 << 10;
        return Native.StatFileSystem(Path.GetDirectoryName(file)!) is { ReadOnly: false, Available: < least };
    }

    private static long Number(SqliteConnection connection, string pragma)
    {
        using var command = connection.CreateCommand();
        command.CommandText = pragma;
        return (long)command.ExecuteScalar()!;
    }
}
