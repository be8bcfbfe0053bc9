using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using BlockStorage.Engine.Host;
using BlockStorage.Services;

namespace BlockStorage.Engine.Targets.Tgt;

/// <summary>Salted marks of the secrets that the daemon was given; dies with the daemon's folder.</summary>
internal sealed record TgtMarks(byte[] Salt, Dictionary<string, string> Users)
{
    private const int FileLimit = 16 << 20;

    /// <summary>Reads the file; an empty set where there is none or it is damaged, which only makes accounts be replaced.</summary>
    public static TgtMarks Load(string file)
    {
        try
        {
            if (AtomicFile.Read(file, FileLimit) is { } content
                && JsonSerializer.Deserialize(content, TgtJson.Default.TgtMarks) is { Salt.Length: > 0, Users: not null } marks)
                return marks;
        }
        catch (JsonException)
        {
            // As if there were none.
        }
        return new TgtMarks(RandomNumberGenerator.GetBytes(32), []);
    }

    /// <summary>Whether the daemon was given this very secret for the user.</summary>
    public bool Has(ChapCredential chap) => Users.GetValueOrDefault(chap.UserName) == Mark(chap);

    /// <summary>Notes secrets; forgets users that are neither among them nor in the daemon.</summary>
    public void Set(IEnumerable<ChapCredential> given, IReadOnlySet<string> present)
    {
        foreach (var user in Users.Keys.Where(user => !present.Contains(user)).ToArray())
            Users.Remove(user);
        foreach (var chap in given)
            Users[chap.UserName] = Mark(chap);
    }

    /// <summary>Writes the file.</summary>
    public void Save(string file) => AtomicFile.Write(file, JsonSerializer.SerializeToUtf8Bytes(this, TgtJson.Default.TgtMarks));

    private string Mark(ChapCredential chap) =>
        Convert.ToHexStringLower(HMACSHA256.HashData(Salt, Encoding.UTF8.GetBytes($"{chap.UserName}\0{chap.Secret}")));
}

[JsonSerializable(typeof(TgtMarks))]
internal sealed partial class TgtJson : JsonSerializerContext;
