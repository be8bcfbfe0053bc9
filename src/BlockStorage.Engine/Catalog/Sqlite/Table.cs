using System.Globalization;
using System.Text.Json;
using Microsoft.Data.Sqlite;

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

    public T Read(SqliteDataReader reader) => read(new RowReader(reader));

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

/// <summary>Reads the columns of a row one after the other.</summary>
internal sealed class RowReader(SqliteDataReader reader)
{
    private int _next;

    public string Text() => reader.GetString(_next++);

    public long Number() => reader.GetInt64(_next++);

    public double Real() => reader.GetDouble(_next++);

    public bool Flag() => reader.GetInt64(_next++) != 0;

    public long? NumberOrNull() => reader.IsDBNull(_next) ? Skip<long?>() : reader.GetInt64(_next++);

    public DateTime Time() => Parse(reader.GetString(_next++));

    public DateTime? TimeOrNull() => reader.IsDBNull(_next) ? Skip<DateTime?>() : Parse(reader.GetString(_next++));

    public IReadOnlyList<string> Texts()
    {
        var json = reader.GetString(_next++);
        return json == "[]" ? [] : JsonSerializer.Deserialize(json, CatalogJson.Default.IReadOnlyListString) ?? [];
    }

    private TValue? Skip<TValue>()
    {
        _next++;
        return default;
    }

    private static DateTime Parse(string text) =>
        DateTime.ParseExact(text, "o", CultureInfo.InvariantCulture, DateTimeStyles.RoundtripKind);
}

[System.Text.Json.Serialization.JsonSerializable(typeof(IReadOnlyList<string>))]
internal sealed partial class CatalogJson : System.Text.Json.Serialization.JsonSerializerContext;
