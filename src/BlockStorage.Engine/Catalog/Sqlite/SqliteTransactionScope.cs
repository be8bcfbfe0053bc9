using System.Globalization;
using Microsoft.Data.Sqlite;

namespace BlockStorage.Engine.Catalog.Sqlite;

/// <summary>Reads and changes within one transaction.</summary>
internal sealed class SqliteTransactionScope(SqliteConnection connection, SqliteTransaction transaction) : ICatalogTransaction
{
    /// <inheritdoc/>
    public IReadOnlyList<T> List<T>() where T : CatalogRecord => Query<T>("", null);

    /// <inheritdoc/>
    public IReadOnlyList<T> ListBy<T>(string column, string value) where T : CatalogRecord =>
        Tables.Of<T>().HasColumn(column)
            ? Query<T>($" WHERE {column} = $value", value)
            : throw new ArgumentException($"Table {Tables.Of<T>().Name} has no column {column}.", nameof(column));

    /// <inheritdoc/>
    public T? Find<T>(string id) where T : CatalogRecord => Query<T>(" WHERE id = $value", id).SingleOrDefault();

    /// <inheritdoc/>
    public void Insert<T>(T record) where T : CatalogRecord
    {
        using var command = Command(Tables.Of<T>().Insert);
        Tables.Of<T>().Bind(command, record);
        Run(command, record);
    }

    /// <inheritdoc/>
    public T Update<T>(T record) where T : CatalogRecord
    {
        using var command = Command(Tables.Of<T>().Update);
        Tables.Of<T>().Bind(command, record);
        command.Parameters.AddWithValue("$version", record.Version);
        if (Run(command, record) == 0)
        {
            throw new BlockStorageException(BlockErrors.Conflict,
                "Somebody changed the object at the same time.", record.Id);
        }
        return record with { Version = record.Version + 1 };
    }

    /// <inheritdoc/>
    public void Delete<T>(string id) where T : CatalogRecord
    {
        using var command = Command($"DELETE FROM {Tables.Of<T>().Name} WHERE id = $id");
        command.Parameters.AddWithValue("$id", id);
        command.ExecuteNonQuery();
    }

    /// <inheritdoc/>
    public void Prune(DateTime before)
    {
        using var command = Command(
            "DELETE FROM event WHERE time < $before; DELETE FROM operation WHERE ended_at IS NOT NULL AND ended_at < $before;");
        command.Parameters.AddWithValue("$before", before.ToUniversalTime().ToString("o", CultureInfo.InvariantCulture));
        command.ExecuteNonQuery();
    }

    private SqliteCommand Command(string sql)
    {
        var command = connection.CreateCommand();
        command.CommandText = sql;
        command.Transaction = transaction;
        return command;
    }

    private List<T> Query<T>(string where, string? value) where T : CatalogRecord
    {
        var table = Tables.Of<T>();
        using var command = Command(table.Select + where);
        if (value is not null)
            command.Parameters.AddWithValue("$value", value);
        using var reader = command.ExecuteReader();
        return table.Read(reader);
    }

    private static int Run<T>(SqliteCommand command, T record) where T : CatalogRecord
    {
        const int constraint = 19;
        try
        {
            return command.ExecuteNonQuery();
        }
        catch (SqliteException error) when (error.SqliteErrorCode == constraint)
        {
            var name = record switch
            {
                PoolRecord pool => pool.Name,
                VolumeRecord volume => volume.Name,
                SnapshotRecord snapshot => snapshot.Name,
                TargetRecord target => target.Name,
                GrantRecord grant => grant.Initiator,
                _ => record.Id,
            };
            var noun = typeof(T).Name.Replace("Record", "", StringComparison.Ordinal).ToLowerInvariant();
            throw new BlockStorageException(BlockErrors.NameExists,
                $"There is a {noun} named '{name}' already; names that differ only in case are the same.", name, cause: error);
        }
    }
}

/// <summary>What there is before the first write: nothing.</summary>
internal sealed class EmptyReader : ICatalogReader
{
    /// <inheritdoc/>
    public IReadOnlyList<T> List<T>() where T : CatalogRecord => [];

    /// <inheritdoc/>
    public IReadOnlyList<T> ListBy<T>(string column, string value) where T : CatalogRecord => [];

    /// <inheritdoc/>
    public T? Find<T>(string id) where T : CatalogRecord => null;
}
