using System.Globalization;
using System.Net;

namespace BlockStorage.Engine.Targets.Tgt;

/// <summary>
/// Access rules in tgtd's words. tgtd lets in who matches an address or a name, takes a network only when the bits
/// behind its prefix are zero, and compares an IPv4 rule with the zero flow label of an IPv6 peer.
/// </summary>
internal static class TgtAcl
{
    private const string Everybody = "ALL";

    /// <summary>tgtd's rule for an initiator of a grant.</summary>
    /// <exception cref="BlockStorageException">InvalidArgument.</exception>
    public static string Rule(string initiator)
    {
        if (initiator == "*")
            return Everybody;
        if (IsName(initiator))
            return initiator;
        var slash = initiator.IndexOf('/', StringComparison.Ordinal);
        var text = slash < 0 ? initiator : initiator[..slash];
        if (!IPAddress.TryParse(text, out var address) || address.ScopeId() != 0)
            throw Invalid(initiator, "is neither an iSCSI name nor an IP address");
        var bytes = address.GetAddressBytes();
        var length = bytes.Length * 8;
        var prefix = length;
        if (slash >= 0 && (!int.TryParse(initiator.AsSpan(slash + 1), NumberStyles.None, CultureInfo.InvariantCulture, out prefix) || prefix > length))
            throw Invalid(initiator, $"has a prefix length that is not 1 to {length}");
        for (var bit = prefix; bit < length; bit++)
            bytes[bit / 8] &= (byte)~(0x80 >> (bit % 8));
        if (bytes.All(value => value == 0))
            throw Invalid(initiator, "stands for everybody; say * instead");
        var network = new IPAddress(bytes).ToString();
        return bytes.Length == 4
            ? prefix == length ? network : $"{network}/{prefix}"
            : prefix == length ? $"[{network}]" : $"[{network}]/{prefix}";
    }

    /// <summary>The initiator of a grant for a rule of tgtd.</summary>
    public static string Initiator(string rule) => rule == Everybody ? "*" : rule.Replace("[", "", StringComparison.Ordinal).Replace("]", "", StringComparison.Ordinal);

    /// <summary>Parameters that bind or unbind a rule.</summary>
    public static string Parameters(string rule) => $"{(IsName(rule) ? "initiator-name" : "initiator-address")}={rule}";

    private static bool IsName(string text) =>
        text.StartsWith("iqn.", StringComparison.Ordinal) || text.StartsWith("eui.", StringComparison.Ordinal)
        || text.StartsWith("naa.", StringComparison.Ordinal);

    private static long ScopeId(this IPAddress address) =>
        address.AddressFamily == System.Net.Sockets.AddressFamily.InterNetworkV6 ? address.ScopeId : 0;

    private static BlockStorageException Invalid(string initiator, string what) => new(BlockErrors.InvalidArgument,
        $"The initiator '{initiator}' {what}.", initiator, "Get-IscsiInitiator | Format-List Iqn");
}
