using System.Globalization;

namespace BlockStorage.Engine.Connectors.Userspace;

/// <summary>A TCP socket as the kernel shows it.</summary>
/// <param name="Local">Own address and port, as the kernel writes them.</param>
/// <param name="Remote">Address and port of the other side.</param>
/// <param name="State">1 is established.</param>
/// <param name="Unsent">Bytes that the other side has not yet acknowledged.</param>
/// <param name="Unread">Bytes that this side has not yet read.</param>
/// <param name="Retransmits">How often the same bytes were sent without an answer.</param>
/// <param name="Inode">Number of the socket.</param>
internal sealed record TcpLink(string Local, string Remote, int State, long Unsent, long Unread, int Retransmits, long Inode)
{
    private const int EstablishedState = 1;
    private const int LostAfter = 4;

    /// <summary>Both sides know of it.</summary>
    public bool Established => State == EstablishedState;

    /// <summary>The other side has stopped answering.</summary>
    public bool Unanswered => Retransmits >= LostAfter;
}

/// <summary>Reads TCP sockets from /proc: never waits for the other side.</summary>
internal static class TcpLinks
{
    /// <summary>All sockets of the network namespace of a process.</summary>
    public static IReadOnlyList<TcpLink> List(int pid)
    {
        List<TcpLink> links = [];
        foreach (var table in new[] { "tcp", "tcp6" })
        {
            try
            {
                links.AddRange(File.ReadLines($"/proc/{pid}/net/{table}").Skip(1).Select(Parse).OfType<TcpLink>());
            }
            catch (IOException)
            {
                // The process has ended, or there is no IPv6.
            }
        }
        return links;
    }

    /// <summary>The sockets of one process.</summary>
    public static IReadOnlyList<TcpLink> Of(int pid, IReadOnlyList<TcpLink> all)
    {
        try
        {
            var inodes = Directory.EnumerateFileSystemEntries($"/proc/{pid}/fd")
                .Select(entry => new FileInfo(entry).LinkTarget ?? "")
                .Where(target => target.StartsWith("socket:[", StringComparison.Ordinal))
                .Select(target => target["socket:[".Length..^1]).ToHashSet();
            return all.Where(link => inodes.Contains(link.Inode.ToString(CultureInfo.InvariantCulture))).ToArray();
        }
        catch (IOException)
        {
            return [];
        }
    }

    /// <summary>The other end of a link, where it is on this machine.</summary>
    public static TcpLink? OtherEnd(TcpLink link, IReadOnlyList<TcpLink> all) =>
        all.FirstOrDefault(other => other.Local == link.Remote && other.Remote == link.Local);

    /// <summary>Reads a line of /proc/net/tcp or tcp6.</summary>
    internal static TcpLink? Parse(string line)
    {
        var fields = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        return fields.Length >= 10 && fields[4].Split(':') is [var unsent, var unread]
            && int.TryParse(fields[3], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var state)
            && long.TryParse(unsent, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var unsentBytes)
            && long.TryParse(unread, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var unreadBytes)
            && int.TryParse(fields[6], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var retransmits)
            && long.TryParse(fields[9], NumberStyles.None, CultureInfo.InvariantCulture, out var inode)
            ? new TcpLink(Plain(fields[1]), Plain(fields[2]), state, unsentBytes, unreadBytes, retransmits, inode) : null;
    }

    // An IPv6 socket that speaks IPv4 shows the IPv4 address behind this prefix.
    private static string Plain(string endpoint) =>
        endpoint.StartsWith("0000000000000000FFFF0000", StringComparison.Ordinal) ? endpoint[24..] : endpoint;
}
