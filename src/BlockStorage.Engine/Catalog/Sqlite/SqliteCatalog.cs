using BlockStorage.Engine.Host;
using Microsoft.Data.Sqlite;

namespace BlockStorage.Engine.Catalog.Sqlite;

/// <summary>The catalogue in one SQLite file (WAL). Made by the first write, whole or not at all.</summary>
internal sealed class SqliteCatalog(StateRoot root) : ICatalog
{
    // Longer than any transaction of ours by orders of magnitude: reaching it means somebody is stuck.
    private const int BusySeconds = 30;
    private readonly string _file = root.CatalogFile;
    private readonly Lock _gate = new();
    private bool _checked;

    /// <inheritdoc/>
    public T Read<T>(Func<ICatalogReader, T> read) => Guard(() =>
    {
        if (!File.Exists(_file))
            return read(new EmptyReader());
        using var connection = Open();
        using var transaction = connection.BeginTransaction(deferred: true);
        return read(new SqliteTransactionScope(connection, transaction));
    });

    /// <inheritdoc/>
    public void Write(Action<ICatalogTransaction> write) => Guard(() =>
    {
        if (!File.Exists(_file))
            Create();
        using var connection = Open();
        using var transaction = connection.BeginTransaction(deferred: false);
        write(new SqliteTransactionScope(connection, transaction));
        transaction.Commit();
        return true;
    });

    /// <summary>Moves a damaged file aside. The next write makes a new one.</summary>
    /// <returns>Where the damaged one is now.</returns>
    public string SetAside()
    {
        SqliteConnection.ClearAllPools();
        var stem = $"{_file}.damaged-{DateTime.UtcNow:yyyyMMddHHmmss}";
        var aside = stem;
        for (var number = 2; File.Exists(aside); number++)
            aside = $"{stem}-{number}";
        foreach (var suffix in new[] { "", "-wal", "-shm" })
        {
            if (File.Exists(_file + suffix))
                File.Move(_file + suffix, aside + suffix);
        }
        _checked = false;
        return aside;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        using var connection = new SqliteConnection(ConnectionString(_file, pooling: true));
        SqliteConnection.ClearPool(connection);
    }

    private static string ConnectionString(string file, bool pooling) => new SqliteConnectionStringBuilder
    {
        DataSource = file,
        Mode = SqliteOpenMode.ReadWrite,
        Pooling = pooling,
        DefaultTimeout = BusySeconds,
    }.ToString();

    private SqliteConnection Open()
    {
        lock (_gate)
        {
            if (!_checked)
            {
                CatalogCheck.Run(_file, Migrate);
                _checked = true;
            }
        }
        return Connect(_file, pooling: true);
    }

    private static SqliteConnection Connect(string file, bool pooling)
    {
        var connection = new SqliteConnection(ConnectionString(file, pooling));
        connection.Open();
        // FULL: a journal entry must be on disk before the step that it announces.
        Execute(connection, "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;");
        return connection;
    }

    private void Create()
    {
        StateRoot.EnsureFolder(root.Home);
        using var alone = LockMaking();
        if (File.Exists(_file))
            return;
        var fresh = _file + ".new";
        // The log of an older database would be played into the new one.
        string[] leftovers = [fresh, fresh + "-journal", fresh + "-wal", fresh + "-shm", _file + "-wal", _file + "-shm"];
        Array.ForEach(leftovers, File.Delete);
        try
        {
            MakeFile(fresh);
            File.Move(fresh, _file);
        }
        catch
        {
            Array.ForEach(leftovers, File.Delete);
            throw;
        }
        Native.SyncFolder(root.Home);
    }

    private FileLock LockMaking()
    {
        try
        {
            return FileLock.Wait(_file + ".new.lock", TimeSpan.FromSeconds(BusySeconds));
        }
        catch (BlockStorageException error) when (error.Error != BlockErrors.LockTimeout)
        {
            throw Unavailable(error);
        }
    }

    private static void MakeFile(string path)
    {
        using (File.Open(path, new FileStreamOptions
        {
            Mode = FileMode.CreateNew,
            Access = FileAccess.ReadWrite,
            UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
        }))
        {
        }
        using var connection = Connect(path, pooling: false);
        Execute(connection, $"PRAGMA journal_mode = WAL; PRAGMA application_id = {Schema.ApplicationId};");
        Migrate(connection, 0);
    }

    private static void Migrate(SqliteConnection connection, int from)
    {
        using var transaction = connection.BeginTransaction(deferred: false);
        for (var version = from; version < Schema.Current; version++)
            Execute(connection, Schema.Versions[version], transaction);
        Execute(connection, $"PRAGMA user_version = {Schema.Current};", transaction);
        transaction.Commit();
    }

    private static void Execute(SqliteConnection connection, string sql, SqliteTransaction? transaction = null)
    {
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        command.Transaction = transaction;
        command.ExecuteNonQuery();
    }

    private T Guard<T>(Func<T> body)
    {
        try
        {
            return body();
        }
        catch (SqliteException error)
        {
            throw CatalogCheck.Translate(error, _file);
        }
        catch (Exception error) when (error is UnauthorizedAccessException or IOException)
        {
            throw Unavailable(error);
        }
    }

    private BlockStorageException Unavailable(Exception error) => new(BlockErrors.CatalogUnavailable,
        $"The catalogue {_file} cannot be opened or written: {error.Message}", _file, cause: error);
}
