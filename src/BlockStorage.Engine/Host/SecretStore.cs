using System.Security.Cryptography;
using System.Text;
using BlockStorage.Services;

namespace BlockStorage.Engine.Host;

/// <summary>CHAP secrets, each in a 0600 file of its own outside the catalogue: user name, line feed, secret.</summary>
internal sealed class SecretStore(StateRoot root)
{
    // Without 0, O, 1, I and l, which people mix up; 57^16 is about 93 bits.
    private const string Alphabet = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789";
    private const UnixFileMode Private = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    /// <summary>A random user name and a secret of 16 characters.</summary>
    public static ChapCredential Generate() =>
        new("bs-" + RandomNumberGenerator.GetHexString(12, lowercase: true), RandomNumberGenerator.GetString(Alphabet, 16));

    /// <summary>Keeps a secret; replaces one that is there, atomically.</summary>
    public void Save(string id, ChapCredential credential)
    {
        StateRoot.EnsureFolder(root.Home);
        StateRoot.EnsureFolder(root.SecretFolder);
        var file = FileOf(id);
        File.Delete(file + ".new");
        using (var stream = new FileStream(file + ".new", new FileStreamOptions
        {
            Mode = FileMode.CreateNew,
            Access = FileAccess.Write,
            UnixCreateMode = Private,
        }))
        {
            stream.Write(Encoding.UTF8.GetBytes($"{credential.UserName}\n{credential.Secret}"));
            stream.Flush(flushToDisk: true);
        }
        File.Move(file + ".new", file, overwrite: true);
    }

    /// <summary>The secret, or null when it is lost.</summary>
    public ChapCredential? Load(string id)
    {
        try
        {
            var text = File.ReadAllText(FileOf(id));
            var line = text.IndexOf('\n', StringComparison.Ordinal);
            return line > 0 ? new ChapCredential(text[..line], text[(line + 1)..]) : null;
        }
        catch (Exception error) when (error is FileNotFoundException or DirectoryNotFoundException)
        {
            return null;
        }
    }

    /// <summary>True when the secret is there.</summary>
    public bool Has(string id) => File.Exists(FileOf(id));

    /// <summary>Ids of all secrets.</summary>
    public IReadOnlyList<string> List() => !Directory.Exists(root.SecretFolder) ? []
        : Directory.EnumerateFiles(root.SecretFolder).Select(file => Path.GetFileName(file)!).ToArray();

    /// <summary>Forgets a secret. Succeeds when it is gone.</summary>
    public void Delete(string id)
    {
        if (!Directory.Exists(root.SecretFolder))
            return;
        File.Delete(FileOf(id));
        File.Delete(FileOf(id) + ".new");
    }

    private string FileOf(string id) => Path.Combine(root.SecretFolder, id);
}
