using System.Text.Json;
using System.Text.Json.Serialization;
using BlockStorage.Engine.Catalog;

namespace BlockStorage.Engine.Operations;

/// <summary>Operations to and from the journal. A new operation is one line in <see cref="JournalJson"/>.</summary>
internal static class OperationJson
{
    /// <summary>JSON of an operation, without secrets: they are marked to be left out.</summary>
    public static string Write(Operation operation) =>
        JsonSerializer.Serialize(operation, operation.GetType(), JournalJson.Default);

    /// <summary>The operation of a journal entry.</summary>
    /// <exception cref="BlockStorageException">CatalogDamaged: this version does not know it.</exception>
    public static Operation Read(OperationRecord entry)
    {
        try
        {
            if (Type.GetType($"{typeof(Operation).Namespace}.{entry.Kind}") is { } type
                && JsonSerializer.Deserialize(entry.Body, type, JournalJson.Default) is Operation operation)
                return operation;
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException)
        {
            throw Unknown(entry, error);
        }
        throw Unknown(entry, null);
    }

    /// <summary>The operation of a journal entry, or null where this version cannot read it.</summary>
    public static Operation? TryRead(OperationRecord entry)
    {
        try
        {
            return Read(entry);
        }
        catch (BlockStorageException)
        {
            return null;
        }
    }

    private static BlockStorageException Unknown(OperationRecord entry, Exception? cause) => new(BlockErrors.CatalogDamaged,
        $"Operation {entry.Id} ({entry.Kind}) in the journal cannot be read by this version.", entry.Id, cause: cause);
}

/// <summary>Every operation that can stand in the journal.</summary>
[JsonSourceGenerationOptions(DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, IgnoreReadOnlyProperties = true)]
[JsonSerializable(typeof(CreatePool))]
[JsonSerializable(typeof(UpdatePool))]
[JsonSerializable(typeof(RemovePool))]
[JsonSerializable(typeof(CreateVolume))]
[JsonSerializable(typeof(UpdateVolume))]
[JsonSerializable(typeof(ResizeVolume))]
[JsonSerializable(typeof(RemoveVolume))]
[JsonSerializable(typeof(CreateSnapshot))]
[JsonSerializable(typeof(UpdateSnapshot))]
[JsonSerializable(typeof(RemoveSnapshot))]
[JsonSerializable(typeof(RestoreSnapshot))]
[JsonSerializable(typeof(Publish))]
[JsonSerializable(typeof(Unpublish))]
[JsonSerializable(typeof(ServeTarget))]
[JsonSerializable(typeof(ChangeAccess))]
[JsonSerializable(typeof(Connect))]
[JsonSerializable(typeof(Disconnect))]
internal sealed partial class JournalJson : JsonSerializerContext;
