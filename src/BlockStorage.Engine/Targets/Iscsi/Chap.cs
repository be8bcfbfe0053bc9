using System.Security.Cryptography;
using System.Text;

namespace BlockStorage.Engine.Targets.Iscsi;

/// <summary>The arithmetic of CHAP with MD5 (RFC 1994; RFC 7143, 12.1.3). The protocol fixes the digest.</summary>
internal static class Chap
{
    private const int ChallengeLimit = 1024;

    /// <summary>The proof of a secret: MD5 over identifier, secret and challenge, as the text CHAP_R takes.</summary>
    public static string Response(byte identifier, string secret, ReadOnlySpan<byte> challenge) =>
        Encode(MD5.HashData([identifier, .. Encoding.UTF8.GetBytes(secret), .. challenge]));

    /// <summary>Whether a peer's CHAP_R proves the secret.</summary>
    public static bool Proves(string response, byte identifier, string secret, ReadOnlySpan<byte> challenge) =>
        Decode(response) is { } given && Decode(Response(identifier, secret, challenge)) is { } wanted
        && CryptographicOperations.FixedTimeEquals(given, wanted);

    /// <summary>Bytes as text.</summary>
    public static string Encode(ReadOnlySpan<byte> bytes) => "0x" + Convert.ToHexStringLower(bytes);

    /// <summary>Text with 0x or 0b in front as bytes, or null where it is neither or is too long.</summary>
    public static byte[]? Decode(string? text)
    {
        if (text is null || text.Length is < 3 or > (ChallengeLimit * 2) + 2)
            return null;
        try
        {
            return text[..2].ToUpperInvariant() switch
            {
                "0X" => Convert.FromHexString(text.Length % 2 == 0 ? text.AsSpan(2) : "0" + text[2..]),
                "0B" => Convert.FromBase64String(text[2..]),
                _ => null,
            };
        }
        catch (FormatException)
        {
            return null;
        }
    }
}
