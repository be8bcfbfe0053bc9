using System.Net;
using System.Net.Sockets;
using BlockStorage.Engine.Host;

namespace BlockStorage.Engine.Targets;

/// <summary>Finds out by binding whether something could listen at an address of this machine.</summary>
internal static class PortalProbe
{
    private const int SocketLevel = 1;
    private const int ReuseAddress = 2;

    /// <summary>First port that is tried where none is wanted, and how many are.</summary>
    private const int FirstPort = 3260;
    private const int PortCount = 200;

    /// <summary>The wanted portal, or the first free one from 3260 where the port is 0.</summary>
    /// <exception cref="BlockStorageException">PortalUnreachable.</exception>
    public static Portal Choose(string address, int port)
    {
        if (!IPAddress.TryParse(address, out var ip) || port is < 0 or > 65535)
            throw new BlockStorageException(BlockErrors.InvalidArgument, $"'{address}' with port {port} is not an address to listen at.", address,
                "Set-BlockStorageConfiguration -PortalAddress 127.0.0.1");
        if (port != 0)
        {
            return Refusal(ip, port) is { } refusal ? throw Unusable(new Portal(ip.ToString(), port), ip, refusal) : new Portal(ip.ToString(), port);
        }
        SocketException? last = null;
        for (var candidate = FirstPort; candidate < FirstPort + PortCount; candidate++)
        {
            last = Refusal(ip, candidate);
            if (last is null)
                return new Portal(ip.ToString(), candidate);
            if (last.SocketErrorCode != SocketError.AddressAlreadyInUse)
                break;
        }
        throw Unusable(new Portal(ip.ToString(), FirstPort), ip, last!);
    }

    /// <summary>Whether this machine has its address now.</summary>
    public static bool IsHere(Portal portal) =>
        !IPAddress.TryParse(portal.Address, out var address) || Refusal(address, 0)?.SocketErrorCode is not SocketError.AddressNotAvailable;

    /// <summary>Why nothing can listen there, or null.</summary>
    public static SocketException? Refusal(IPAddress address, int port)
    {
        using var socket = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            // As servers do: connections of a past server that linger are no obstacle. Nothing listens here, for that would
            // refuse the port to a server that begins and to other probes at this instant.
            socket.SetRawSocketOption(SocketLevel, ReuseAddress, BitConverter.GetBytes(1));
            socket.Bind(new IPEndPoint(address, port));
            return null;
        }
        catch (SocketException error)
        {
            return error;
        }
    }

    /// <summary>The error for a portal that cannot be had; names who has it.</summary>
    public static BlockStorageException Unusable(Portal portal, IPAddress address, SocketException why)
    {
        var owners = why.SocketErrorCode == SocketError.AddressAlreadyInUse ? ListeningSockets.Owners(address, portal.Port) : [];
        var who = owners.Count == 0 ? "" : $" by {string.Join(", ", owners.Select(owner => $"{owner.Name} (process {owner.Pid})"))}";
        return new BlockStorageException(BlockErrors.PortalUnreachable, $"Nothing can listen at {portal}: {why.Message}{who}.", portal.ToString(),
            "Set-BlockStorageConfiguration -PortalAddress ADDRESS -PortalPort PORT", why);
    }
}
