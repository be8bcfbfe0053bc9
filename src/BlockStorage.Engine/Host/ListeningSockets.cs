using System.Globalization;
using System.Net;

namespace BlockStorage.Engine.Host;

/// <summary>Who listens at a TCP port of this machine, as /proc shows it.</summary>
internal static class ListeningSockets
{
    private const string Listening = "0A";

    /// <summary>Processes that keep others from listening at an address and port. Servers in the kernel have no process.</summary>
    public static IReadOnlyList<ProcessEntry> Owners(IPAddress address, int port)
    {
        var sockets = Read("/proc/net/tcp").Concat(Read("/proc/net/tcp6"))
            .Where(socket => socket.Port == port && InTheWay(socket.Address, address))
            .Select(socket => $"socket:[{socket.Inode}]")
            .ToHashSet(StringComparer.Ordinal);
        return sockets.Count == 0 ? [] : [.. ProcessTable.HoldersOf(sockets), .. OurOwn(sockets)];
    }

    private static IEnumerable<ProcessEntry> OurOwn(HashSet<string> sockets)
    {
        var open = Directory.EnumerateFileSystemEntries("/proc/self/fd")
            .Any(entry => new FileInfo(entry).LinkTarget is { } target && sockets.Contains(target));
        return open && ProcessTable.Get(Environment.ProcessId) is { } self ? [self] : [];
    }

    private static bool InTheWay(IPAddress taken, IPAddress wanted) =>
        taken.Equals(wanted) || IsAny(taken) || IsAny(wanted);

    private static bool IsAny(IPAddress address) => address.Equals(IPAddress.Any) || address.Equals(IPAddress.IPv6Any);

    private static IEnumerable<(IPAddress Address, int Port, string Inode)> Read(string file)
    {
        if (!File.Exists(file))
            yield break;
        foreach (var line in File.ReadLines(file).Skip(1))
        {
            var fields = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (fields.Length > 9 && fields[3] == Listening)
            {
                var colon = fields[1].IndexOf(':', StringComparison.Ordinal);
                yield return (ParseAddress(fields[1][..colon]), int.Parse(fields[1].AsSpan(colon + 1), NumberStyles.HexNumber, CultureInfo.InvariantCulture), fields[9]);
            }
        }
    }

    // The kernel prints each 32-bit word of the address in the order of the machine.
    private static IPAddress ParseAddress(string hex)
    {
        var bytes = Convert.FromHexString(hex);
        if (BitConverter.IsLittleEndian)
        {
            for (var word = 0; word < bytes.Length; word += 4)
                Array.Reverse(bytes, word, 4);
        }
        return new IPAddress(bytes);
    }
}
