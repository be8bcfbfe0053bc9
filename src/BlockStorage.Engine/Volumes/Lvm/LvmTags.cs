using System.Buffers.Text;
using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace BlockStorage.Engine.Volumes.Lvm;

/// <summary>
/// What things say of themselves, in tags: the id, and a JSON text in base64url over as many tags as it takes. Descriptions and
/// labels beyond what fits are cut there; the catalogue has them in full.
/// </summary>
internal static class LvmTags
{
    private const string Prefix = "blockstorage.";
    private const string IdPrefix = Prefix + "id=";
    private const string PoolPrefix = Prefix + "pool=";
    private const int TagLimit = 900;
    private const int TextLimit = 4;

    /// <summary>On a volume group that we made, not only use.</summary>
    public const string MadeGroup = Prefix + "made=vg";

    /// <summary>Which pool a volume group belongs to.</summary>
    public static string Pool(string id) => PoolPrefix + LvmNames.Hex(id);

    /// <summary>Id of the pool, or null.</summary>
    public static string? PoolOf(IEnumerable<string> tags) => IdOf(tags, PoolPrefix);

    /// <summary>Id of the object, or null.</summary>
    public static string? ObjectOf(IEnumerable<string> tags) => IdOf(tags, IdPrefix);

    /// <summary>All tags of an object.</summary>
    public static IReadOnlyList<string> Of(ObjectIdentity identity)
    {
        var text = new LvmText(identity.Name, identity.OriginId, identity.Description, identity.Tags, identity.ReadOnly, identity.Provisioning,
            identity.CreatedAt, identity.ExpiresAt);
        while (Encode(text) is var tags)
        {
            if (tags.Count <= TextLimit)
                return [IdPrefix + LvmNames.Hex(identity.Id), .. tags];
            text = text.Description.Length > 0 ? text with { Description = Shorter(text.Description) } : text with { Tags = [.. text.Tags.SkipLast(1)] };
        }
        throw new InvalidOperationException();
    }

    /// <summary>All tags of a volume group that is a pool.</summary>
    public static IReadOnlyList<string> Of(PoolSpec pool)
    {
        var text = new LvmText(pool.Name, "", pool.Description, [], false, pool.Size?.ToString(CultureInfo.InvariantCulture) ?? "", pool.CreatedAt, null,
            pool.Raid.Length > 0 ? pool.Raid : null, pool.Queues);
        while (Encode(text) is { Count: > TextLimit })
            text = text with { Description = Shorter(text.Description) };
        return [Pool(pool.Id), .. Encode(text)];
    }

    /// <summary>What an object says; null where the text is missing or damaged.</summary>
    public static ObjectIdentity? Read(LvmVolume volume) => volume.Id is { } id && Decode(volume.Tags) is { } text
        ? new ObjectIdentity(volume.Kind, id, text.Name, volume.Size, text.Origin, text.Description, text.Tags, text.ReadOnly,
            text.Kind, text.Created, text.Expires)
        : null;

    /// <summary>What a volume group says; null where it is no pool.</summary>
    public static PoolSpec? Read(string group, IReadOnlyList<string> tags, string driver)
    {
        if (PoolOf(tags) is not { } id)
            return null;
        var text = Decode(tags);
        return new PoolSpec(id, text?.Name ?? group, driver, group,
            long.TryParse(text?.Kind, CultureInfo.InvariantCulture, out var size) ? size : null, text?.Description ?? "", text?.Created ?? default)
        {
            Raid = text?.Raid ?? "",
            Queues = text?.Queues ?? false,
        };
    }

    /// <summary>Arguments that turn one set of tags of ours into another; tags of others stay.</summary>
    public static IReadOnlyList<string> Change(IReadOnlyList<string> old, IReadOnlyList<string> now) =>
    [
        .. old.Where(tag => tag.StartsWith(Prefix, StringComparison.Ordinal) && tag != MadeGroup).Except(now).SelectMany(tag => new[] { "--deltag", tag }),
        .. Add(now.Except(old)),
    ];

    /// <summary>Arguments that give tags.</summary>
    public static IEnumerable<string> Add(IEnumerable<string> tags) => tags.SelectMany(tag => new[] { "--addtag", tag });

    private static string? IdOf(IEnumerable<string> tags, string prefix) =>
        tags.FirstOrDefault(tag => tag.StartsWith(prefix, StringComparison.Ordinal)) is { } found
        && Guid.TryParseExact(found[prefix.Length..], "N", out var id) ? id.ToString("D") : null;

    private static string Shorter(string text) => text.Length < 64 ? "" : text[..(text.Length * 3 / 4)];

    private static List<string> Encode(LvmText text) =>
        Base64Url.EncodeToString(JsonSerializer.SerializeToUtf8Bytes(text, LvmTextContext.Relaxed.LvmText))
            .Chunk(TagLimit).Select((part, i) => $"{Prefix}{i}={new string(part)}").ToList();

    private static LvmText? Decode(IReadOnlyList<string> tags)
    {
        var text = new StringBuilder();
        for (var i = 0; tags.FirstOrDefault(tag => tag.StartsWith($"{Prefix}{i}=", StringComparison.Ordinal)) is { } part; i++)
            text.Append(part.AsSpan(part.IndexOf('=', StringComparison.Ordinal) + 1));
        try
        {
            return JsonSerializer.Deserialize(Base64Url.DecodeFromChars(text.ToString()), LvmTextContext.Relaxed.LvmText);
        }
        catch (Exception error) when (error is JsonException or FormatException)
        {
            return null;
        }
    }
}

/// <summary>The text in the tags; short names, for LVM keeps them for every volume twice in its metadata.</summary>
internal sealed record LvmText(
    [property: JsonPropertyName("n")] string Name,
    [property: JsonPropertyName("o")] string Origin,
    [property: JsonPropertyName("d")] string Description,
    [property: JsonPropertyName("t")] IReadOnlyList<string> Tags,
    [property: JsonPropertyName("r")] bool ReadOnly,
    [property: JsonPropertyName("k")] string Kind,
    [property: JsonPropertyName("c")] DateTime Created,
    [property: JsonPropertyName("e")] DateTime? Expires,
    [property: JsonPropertyName("g"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)] string? Raid = null,
    [property: JsonPropertyName("q"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)] bool Queues = false);

[JsonSourceGenerationOptions(RespectNullableAnnotations = true, RespectRequiredConstructorParameters = true)]
[JsonSerializable(typeof(LvmText))]
internal sealed partial class LvmTextContext : JsonSerializerContext
{
    /// <summary>Writes letters of all alphabets as they are, which is shorter.</summary>
    public static LvmTextContext Relaxed { get; } = new(new JsonSerializerOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping });
}
