using System.Net;
using System.Net.Sockets;
using BlockStorage.Engine.Host;

namespace BlockStorage.Engine.Targets.Lio;

/// <summary>Where LIO listens. Targets share a portal, those of others too.</summary>
internal sealed class LioPortals(ConfigFs fs)
{
    private const int DefaultPort = Iscsi.IscsiDiscovery.DefaultPort;
    private const int Attempts = 40;
    private const int PauseMilliseconds = 5;

    /// <summary>Refuses what is no address.</summary>
    /// <exception cref="BlockStorageException">InvalidArgument.</exception>
    public static void Check(ExportSpec export)
    {
        if (export.Portals.FirstOrDefault(portal => !IPAddress.TryParse(portal.Address, out _) || portal.Port is < 1 or > 65535) is { } wrong)
            throw new BlockStorageException(BlockErrors.InvalidArgument, $"'{wrong}' is no IP address and port to listen at.", export.Iqn);
    }

    /// <summary>Portals of a target.</summary>
    public static IReadOnlyList<Portal> List(string iqn) => ConfigFs.Objects($"{LioNames.Group(iqn)}/np").Select(Portal.Parse).ToArray();

    /// <summary>Closes portals that are not wanted, then opens those that are missing.</summary>
    public void Apply(string iqn, IReadOnlyList<Portal> wanted, bool created)
    {
        var names = wanted.Select(Name).ToHashSet(StringComparer.Ordinal);
        var present = created ? [] : ConfigFs.Objects($"{LioNames.Group(iqn)}/np");
        foreach (var name in present.Where(name => !names.Contains(Name(Portal.Parse(name)))))
            fs.Remove($"{LioNames.Group(iqn)}/np/{name}");
        foreach (var portal in wanted.Where(portal => !present.Select(Portal.Parse).Select(Name).Contains(Name(portal))))
            Open(iqn, portal);
    }

    /// <summary>Closes all portals of a target.</summary>
    public void Remove(string iqn)
    {
        foreach (var name in ConfigFs.Objects($"{LioNames.Group(iqn)}/np"))
            fs.Remove($"{LioNames.Group(iqn)}/np/{name}");
    }

    /// <summary>The wanted portal, or where the port is 0: one that targets of ours have, 3260 where LIO has it, the first free one.</summary>
    /// <exception cref="BlockStorageException">PortalUnreachable.</exception>
    public static async Task<Portal> ChooseAsync(string address, int port, IEnumerable<Portal> ours, CancellationToken cancel)
    {
        if (!IPAddress.TryParse(address, out var ip))
            return PortalProbe.Choose(address, port);
        if (port == 0 && ours.FirstOrDefault(portal => IPAddress.TryParse(portal.Address, out var other) && other.Equals(ip)) is { } shared)
            return shared;
        var usual = new Portal(ip.ToString(), port == 0 ? DefaultPort : port);
        if (await RefusalAsync(ip, usual, cancel).ConfigureAwait(false) is not { } refusal)
            return usual;
        return port == 0 && refusal.SocketErrorCode == SocketError.AddressAlreadyInUse ? PortalProbe.Choose(address, port) : throw Unusable(usual, ip, refusal);
    }

    private void Open(string iqn, Portal portal)
    {
        var address = IPAddress.Parse(portal.Address);
        for (var attempt = 1; ; attempt++)
        {
            // LIO itself would take an address that is not of this machine, and a wildcard beside a socket that is in its way.
            if (RefusalAsync(address, portal, CancellationToken.None).GetAwaiter().GetResult() is { } refusal)
                throw Unusable(portal, address, refusal);
            try
            {
                fs.Make($"{LioNames.Group(iqn)}/np/{Name(portal)}");
                return;
            }
            catch (BlockStorageException error) when (Errno.NumberOf(error) is Errno.Invalid or Errno.AddressInUse)
            {
                // The last target that listened there may be going at this instant.
                if (attempt == Attempts)
                    throw Unusable(portal, address, PortalProbe.Refusal(address, portal.Port) ?? new SocketException((int)SocketError.AddressAlreadyInUse));
                Thread.Sleep(PauseMilliseconds);
            }
        }
    }

    // Why LIO cannot listen there, or null where it can or does.
    private static async Task<SocketException?> RefusalAsync(IPAddress address, Portal portal, CancellationToken cancel)
    {
        for (var attempt = 1; ; attempt++)
        {
            if (Find(group => ConfigFs.Exists($"{group}/np/{Name(portal)}")) is not null)
                return null;
            var refusal = PortalProbe.Refusal(address, portal.Port);
            if (refusal?.SocketErrorCode != SocketError.AddressAlreadyInUse)
                return refusal;
            // A socket without a process is the kernel's: its folder appears a moment after it and goes a moment before it.
            // Who else has it is found out once, for it takes a look at every open file of every process.
            if (attempt == Attempts || Covering(address, portal.Port, exactly: false) is not null || (attempt == 2 && ListeningSockets.Owners(address, portal.Port).Count > 0))
                return refusal;
            await Task.Delay(PauseMilliseconds, cancel).ConfigureAwait(false);
        }
    }

    private static BlockStorageException Unusable(Portal portal, IPAddress address, SocketException why)
    {
        var taken = why.SocketErrorCode == SocketError.AddressAlreadyInUse;
        var target = taken ? Covering(address, portal.Port, exactly: true) : null;
        return target is null
            ? PortalProbe.Unusable(portal, address, why)
            : new BlockStorageException(BlockErrors.PortalUnreachable, $"Nothing can listen at {portal}: the LIO target '{target}' listens at an address that covers it.",
                portal.ToString(), "Set-BlockStorageConfiguration -PortalAddress ADDRESS -PortalPort PORT");
    }

    // A target of LIO, of anybody, whose portal leaves no room for this one.
    private static string? Covering(IPAddress address, int port, bool exactly) => Find(group => ConfigFs.Objects($"{group}/np").Select(Portal.Parse)
        .Any(other => other.Meets(new Portal(address.ToString(), port)) && (exactly || Name(other) != Name(new Portal(address.ToString(), port)))));

    // The name of the first target with such a portal group, of anybody. There may be many targets, and the first has it mostly.
    private static string? Find(Func<string, bool> matches) => ConfigFs.Each(LioNames.Fabric).FirstOrDefault(iqn => matches(LioNames.Group(iqn)))
        ?? ConfigFs.Each(LioNames.Fabric).FirstOrDefault(iqn => ConfigFs.Objects($"{LioNames.Fabric}/{iqn}")
            .Any(group => group.StartsWith("tpgt_", StringComparison.Ordinal) && group != "tpgt_1" && matches($"{LioNames.Fabric}/{iqn}/{group}")));

    private static string Name(Portal portal) =>
        IPAddress.TryParse(portal.Address, out var address) ? new Portal(address.ToString(), portal.Port).ToString() : portal.ToString();
}
