using System.Globalization;
using System.Net;
using BlockStorage.Services;

namespace BlockStorage.Engine.Targets.Iscsi;

/// <summary>A target that a portal told of.</summary>
/// <param name="Iqn">iSCSI name.</param>
/// <param name="Address">IP address or host name.</param>
/// <param name="Port">TCP port.</param>
/// <param name="PortalGroup">Portal group tag.</param>
internal sealed record DiscoveredTarget(string Iqn, string Address, int Port, int PortalGroup);

/// <summary>Asks portals what they have, and proves logins and disks, without the kernel's help.</summary>
internal static class IscsiDiscovery
{
    private const int NameLimit = 223;

    /// <summary>Port of iSCSI where none is given.</summary>
    public const int DefaultPort = 3260;

    /// <summary>All targets of a portal that this initiator may see (SendTargets).</summary>
    /// <exception cref="BlockStorageException">PortalUnreachable, ChapRejected, CredentialRequired, AccessDenied.</exception>
    public static async Task<IReadOnlyList<DiscoveredTarget>> DiscoverAsync(
        Portal portal, string initiatorIqn, ChapCredential? chap, TimeSpan timeout, CancellationToken cancel)
    {
        try
        {
            return await DiscoverAsync(new IscsiLogin(portal, "", initiatorIqn, null, null, timeout), cancel).ConfigureAwait(false);
        }
        catch (BlockStorageException error) when (error.Error == BlockErrors.CredentialRequired && chap is not null)
        {
            // Most portals tell their targets to anybody, and LIO refuses a secret that it has no discovery account for.
            return await DiscoverAsync(new IscsiLogin(portal, "", initiatorIqn, chap, null, timeout), cancel).ConfigureAwait(false);
        }
    }

    private static async Task<IReadOnlyList<DiscoveredTarget>> DiscoverAsync(IscsiLogin login, CancellationToken cancel)
    {
        var session = await IscsiSession.OpenAsync(login, cancel).ConfigureAwait(false);
        await using (session.ConfigureAwait(false))
            return ParseTargets(await session.TextAsync("SendTargets", "All").ConfigureAwait(false), login.Portal);
    }

    /// <summary>Logs in to a target and out again.</summary>
    /// <exception cref="BlockStorageException">PortalUnreachable, ChapRejected, CredentialRequired, AccessDenied.</exception>
    public static async Task ProveLoginAsync(IscsiLogin login, CancellationToken cancel)
    {
        var session = await IscsiSession.OpenAsync(login, cancel).ConfigureAwait(false);
        await session.DisposeAsync().ConfigureAwait(false);
    }

    /// <summary>Logs in and reads what a disk is.</summary>
    /// <param name="login">Who logs in where.</param>
    /// <param name="lun">Logical unit number; below zero for the only disk of the target.</param>
    /// <param name="cancel">Stops it.</param>
    /// <param name="all">Ask for the numbers of the other disks too.</param>
    /// <exception cref="BlockStorageException">Those of a login; WrongDevice, InvalidArgument where the target has several disks.</exception>
    public static async Task<ScsiUnit> InspectAsync(IscsiLogin login, int lun, CancellationToken cancel, bool all = false)
    {
        var session = await IscsiSession.OpenAsync(login, cancel).ConfigureAwait(false);
        await using (session.ConfigureAwait(false))
        {
            var disks = lun < 0 || all ? await ScsiReader.DisksAsync(session, login.Iqn).ConfigureAwait(false) : [];
            if (lun < 0)
            {
                lun = disks.Count switch
                {
                    0 => throw new BlockStorageException(BlockErrors.WrongDevice, $"The target '{login.Iqn}' publishes no disk.", login.Iqn),
                    1 => disks[0],
                    _ => throw new BlockStorageException(BlockErrors.InvalidArgument,
                        $"The target '{login.Iqn}' publishes disks {string.Join(", ", disks)}: say which one.", login.Iqn,
                        $"Connect-BlockVolume -Address {login.Portal.Address} -Iqn {login.Iqn} -Lun {disks[0]}"),
                };
            }
            return await ScsiReader.UnitAsync(session, login.Iqn, lun).ConfigureAwait(false) with { PortalGroup = session.PortalGroup, Disks = disks };
        }
    }

    /// <summary>Reads the answer to SendTargets; leaves out what cannot be a name or an address.</summary>
    public static IReadOnlyList<DiscoveredTarget> ParseTargets(IReadOnlyList<(string Key, string Value)> answer, Portal asked)
    {
        List<DiscoveredTarget> targets = [];
        string? name = null;
        var told = false;
        foreach (var (key, value) in answer)
        {
            if (key == "TargetName")
            {
                AddBare();
                name = IsName(value) ? value : null;
                told = false;
            }
            else if (key == "TargetAddress" && name is not null)
            {
                told = true;
                if (ParseAddress(value) is { } address)
                    targets.Add(new DiscoveredTarget(name, IsAny(address.Host) ? asked.Address : address.Host, address.Port, address.Group));
            }
        }
        AddBare();
        return targets.Distinct().ToArray();

        // A target without an address is at the portal that was asked (RFC 7143, appendix C).
        void AddBare()
        {
            if (name is not null && !told)
                targets.Add(new DiscoveredTarget(name, asked.Address, asked.Port, 1));
        }
    }

    private static (string Host, int Port, int Group)? ParseAddress(string text)
    {
        var group = 1;
        if (text.LastIndexOf(',') is >= 0 and var comma)
        {
            if (!int.TryParse(text.AsSpan(comma + 1), NumberStyles.None, CultureInfo.InvariantCulture, out group))
                return null;
            text = text[..comma];
        }
        var port = DefaultPort;
        var colon = text.LastIndexOf(':');
        if (colon > text.LastIndexOf(']') && colon > 0)
        {
            if (!int.TryParse(text.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out port) || port is 0 or > 65535)
                return null;
            text = text[..colon];
        }
        var host = text.StartsWith('[') && text.EndsWith(']') ? text[1..^1] : text;
        return Uri.CheckHostName(host) is UriHostNameType.Unknown or UriHostNameType.Basic ? null : (host, port, group);
    }

    private static bool IsAny(string host) =>
        IPAddress.TryParse(host, out var address) && (address.Equals(IPAddress.Any) || address.Equals(IPAddress.IPv6Any));

    private static bool IsName(string text) =>
        text.Length is > 4 and <= NameLimit
        && (text.StartsWith("iqn.", StringComparison.Ordinal) || text.StartsWith("eui.", StringComparison.Ordinal)
            || text.StartsWith("naa.", StringComparison.Ordinal))
        && text.All(c => c > ' ' && !char.IsControl(c) && !char.IsWhiteSpace(c));
}
