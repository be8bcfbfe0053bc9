using System.Buffers.Text;
using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Json;
using Microsoft.Data.Sqlite;
using SQLitePCL;

namespace BlockStorage.Engine.Catalog.Sqlite;

/// <summary>How one kind of record lies in its table: columns, their values, and back.</summary>
internal sealed class Table<T>(string name, (string Column, Func<T, object?> Value)[] columns, Func<RowReader, T> read)
    where T : CatalogRecord
{
    private readonly string _columns = string.Join(", ", columns.Select(column => column.Column));

    public string Name { get; } = name;

    public string Select => $"SELECT id, version, {_columns} FROM {Name}";

    public string Insert =>
        $"INSERT INTO {Name} (id, version, {_columns}) VALUES ($id, 1, {string.Join(", ", columns.Select(c => "$" + c.Column))})";

    public string Update =>
        $"UPDATE {Name} SET version = version + 1, {string.Join(", ", columns.Select(c => $"{c.Column} = ${c.Column}"))} WHERE id = $id AND version = $version";

    public bool HasColumn(string column) => columns.Any(known => known.Column == column);

    // Optimized at once: a command lists once or twice, and the runtime would see that it is hot only after several.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public List<T> Read(SqliteDataReader reader)
    {
        var found = new List<T>();
        var row = reader.Handle is { } statement ? new RowReader(statement) : null;
        while (reader.Read())
        {
            row!.Rewind();
            found.Add(read(row));
        }
        return found;
    }

    public void Bind(SqliteCommand command, T record)
    {
        command.Parameters.AddWithValue("$id", record.Id);
        foreach (var (column, value) in columns)
            command.Parameters.AddWithValue("$" + column, Encode(value(record)));
    }

    private static object Encode(object? value) => value switch
    {
        null => DBNull.Value,
        DateTime time => time.ToUniversalTime().ToString("o", CultureInfo.InvariantCulture),
        bool flag => flag ? 1 : 0,
        IReadOnlyList<string> list => JsonSerializer.Serialize(list, CatalogJson.Default.IReadOnlyListString),
        _ => value,
    };
}

/// <summary>
/// Reads the columns of a row one after the other, out of SQLite's own memory: with ten thousand rows a new string for
/// every cell would be most of the cost, and most cells of a column repeat.
/// </summary>
internal sealed class RowReader(sqlite3_stmt row)
{
    private readonly string[] _last = new string[raw.sqlite3_column_count(row)];
    private int _next;

    /// <summary>Begins the next row.</summary>
    public void Rewind() => _next = 0;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public string Text()
    {
        var column = _next++;
        var utf8 = raw.sqlite3_column_blob(row, column);
        if (utf8.IsEmpty)
            return "";
        var last = _last[column];
        return last is not null && Ascii.Equals(utf8, last) ? last : _last[column] = Encoding.UTF8.GetString(utf8);
    }

    public long Number() => raw.sqlite3_column_int64(row, _next++);

    public double Real() => raw.sqlite3_column_double(row, _next++);

    public bool Flag() => Number() != 0;

    public long? NumberOrNull() => IsNull() ? Skip<long?>() : Number();

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public DateTime Time()
    {
        var utf8 = raw.sqlite3_column_blob(row, _next++);
        return Utf8Parser.TryParse(utf8, out DateTime time, out var used, 'O') && used == utf8.Length ? time
            : throw new FormatException($"'{Encoding.UTF8.GetString(utf8)}' in the catalogue is not a time.");
    }

    public DateTime? TimeOrNull() => IsNull() ? Skip<DateTime?>() : Time();

    public IReadOnlyList<string> Texts()
    {
        var json = raw.sqlite3_column_blob(row, _next++);
        return json.SequenceEqual("[]"u8) ? [] : JsonSerializer.Deserialize(json, CatalogJson.Default.IReadOnlyListString) ?? [];
    }

    private bool IsNull() => raw.sqlite3_column_type(row, _next) == raw.SQLITE_NULL;

    private TValue? Skip<TValue>()
    {
        _next++;
        return default;
    }
}

[System.Text.Json.Serialization.JsonSerializable(typeof(IReadOnlyList<string>))]
internal sealed partial class CatalogJson : System.Text.Json.Serialization.JsonSerializerContext;
