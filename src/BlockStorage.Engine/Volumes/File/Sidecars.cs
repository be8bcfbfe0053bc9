using System.Text.Json;
using System.Text.Json.Serialization;
using BlockStorage.Engine.Host;

namespace BlockStorage.Engine.Volumes.File;

/// <summary>What a pool folder says of itself.</summary>
/// <param name="Pool">The pool.</param>
/// <param name="SharesExtents">Tried when the pool was made: its file system can share extents.</param>
/// <param name="MadeFolder">We made the folder, so we may remove it.</param>
internal sealed record PoolRecord(PoolSpec Pool, bool SharesExtents, bool MadeFolder);

/// <summary>Descriptions that lie beside the data, so that a lost catalogue can be made again.</summary>
internal static class Sidecars
{
    private const int Format = 1;
    private const int SizeLimit = 4 << 20;

    /// <summary>Writes the description of an object.</summary>
    public static void Write(string path, ObjectIdentity identity) => AtomicFile.Write(path,
        JsonSerializer.SerializeToUtf8Bytes(new SidecarFile<ObjectIdentity>(Format, identity), SidecarContext.Default.SidecarFileObjectIdentity));

    /// <summary>Writes the description of a pool.</summary>
    public static void Write(string path, PoolRecord pool) => AtomicFile.Write(path,
        JsonSerializer.SerializeToUtf8Bytes(new SidecarFile<PoolRecord>(Format, pool), SidecarContext.Default.SidecarFilePoolRecord));

    /// <summary>Reads the description of an object.</summary>
    /// <exception cref="BlockStorageException">VolumeDamaged: missing, damaged, of another object or of a newer version.</exception>
    public static ObjectIdentity ReadObject(string path, string id)
    {
        var identity = Read(path, bytes => JsonSerializer.Deserialize(bytes, SidecarContext.Default.SidecarFileObjectIdentity))
            ?? throw Damaged(path, "is missing");
        return identity.Id == id ? identity : throw Damaged(path, $"describes another object ('{identity.Id}')");
    }

    /// <summary>Reads the description of a pool.</summary>
    /// <returns>Null when there is none.</returns>
    /// <exception cref="BlockStorageException">VolumeDamaged.</exception>
    public static PoolRecord? ReadPool(string path) =>
        Read(path, bytes => JsonSerializer.Deserialize(bytes, SidecarContext.Default.SidecarFilePoolRecord));

    private static T? Read<T>(string path, Func<byte[], SidecarFile<T>?> parse) where T : class
    {
        if (Native.Stat(path) is null)
            return null;
        var bytes = AtomicFile.Read(path, SizeLimit) ?? throw Damaged(path, "is no description of ours");
        try
        {
            // A newer version may look quite different behind its number.
            var version = JsonSerializer.Deserialize(bytes, SidecarContext.Default.SidecarVersion)?.Format ?? 0;
            if (version > Format)
                throw new BlockStorageException(BlockErrors.VolumeDamaged,
                    $"The description '{path}' was written by a newer version of BlockStorage (format {version}, this one knows {Format}).",
                    path, "Install-PSResource BlockStorage");
            return parse(bytes)?.Content ?? throw Damaged(path, "is empty");
        }
        catch (JsonException error)
        {
            throw Damaged(path, "is damaged", error);
        }
    }

    private static BlockStorageException Damaged(string path, string what, Exception? cause = null) =>
        new(BlockErrors.VolumeDamaged, $"The description '{path}' {what}.", path, cause: cause);
}

/// <summary>The file around a description.</summary>
internal sealed record SidecarFile<T>(int Format, T Content);

/// <summary>The part of the file that every version has.</summary>
internal sealed record SidecarVersion(int Format);

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, UseStringEnumConverter = true, WriteIndented = true,
    RespectNullableAnnotations = true, RespectRequiredConstructorParameters = true)]
[JsonSerializable(typeof(SidecarFile<ObjectIdentity>))]
[JsonSerializable(typeof(SidecarFile<PoolRecord>))]
[JsonSerializable(typeof(SidecarVersion))]
internal sealed partial class SidecarContext : JsonSerializerContext;
