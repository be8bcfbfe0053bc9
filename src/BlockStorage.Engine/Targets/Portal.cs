using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace BlockStorage.Engine.Targets;

/// <summary>A TCP address that a target listens on.</summary>
internal sealed record Portal(string Address, int Port)
{
    /// <summary>address:port, IPv6 in brackets.</summary>
    public override string ToString() => Address.Contains(':', StringComparison.Ordinal) ? $"[{Address}]:{Port}" : $"{Address}:{Port}";

    /// <summary>Reads what ToString writes.</summary>
    public static Portal Parse(string text)
    {
        var colon = text.LastIndexOf(':');
        return new Portal(text[..colon].Trim('[', ']'), int.Parse(text[(colon + 1)..], CultureInfo.InvariantCulture));
    }

    /// <summary>Reads what people write: an address with or without a port, an IPv6 one in brackets before a port. Without a port it is 0.</summary>
    /// <exception cref="BlockStorageException">InvalidArgument.</exception>
    public static Portal Read(string text)
    {
        var (address, tail, bracketed) = Split(text.Trim());
        var port = 0;
        // An address as it is written in full: .NET also takes 127.1 and 0x7f000001. A zone is a name of this machine's alone.
        if (!IPAddress.TryParse(address, out var ip) || address.Contains('%', StringComparison.Ordinal)
            || (ip.AddressFamily == AddressFamily.InterNetwork && (bracketed || ip.ToString() != address))
            || (tail.Length > 0 && !(tail[0] == ':' && int.TryParse(tail.AsSpan(1), NumberStyles.None, CultureInfo.InvariantCulture, out port) && port is > 0 and < 65536)))
        {
            throw new BlockStorageException(BlockErrors.InvalidArgument, $"'{text}' is no portal: an IP address, or one with a port.", text,
                "Publish-IscsiTarget -Volume VOLUME -Portal 192.0.2.1, 192.0.2.2:3260, '[2001:db8::1]:3260'");
        }
        return new Portal((ip.IsIPv4MappedToIPv6 ? ip.MapToIPv4() : ip).ToString(), port);
    }

    /// <summary>Whether nothing can listen at both at once: the same, or one is every address of the machine.</summary>
    public bool Meets(Portal other) => Port == other.Port
        && IPAddress.TryParse(Address, out var one) && IPAddress.TryParse(other.Address, out var two)
        && (one.Equals(two) || IsEvery(one) || IsEvery(two));

    private static bool IsEvery(IPAddress address) => address.Equals(IPAddress.Any) || address.Equals(IPAddress.IPv6Any);

    // The address, what follows it, and whether it stands in brackets.
    private static (string Address, string Tail, bool Bracketed) Split(string text)
    {
        if (text.StartsWith('[') && text.IndexOf(']', StringComparison.Ordinal) is var end and > 0)
            return (text[1..end], text[(end + 1)..], true);
        var colon = text.IndexOf(':', StringComparison.Ordinal);
        return colon < 0 || colon != text.LastIndexOf(':') ? (text, "", false) : (text[..colon], text[colon..], false);
    }
}
