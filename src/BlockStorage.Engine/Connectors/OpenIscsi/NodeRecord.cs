using System.Globalization;
using System.Text;
using BlockStorage.Engine.Host;
using BlockStorage.Engine.Targets;

namespace BlockStorage.Engine.Connectors.OpenIscsi;

/// <summary>
/// The records of one connection in open-iscsi's own folders. We write them ourselves: iscsiadm takes secrets as
/// arguments only. An interface of our own gives the session our initiator name whatever the host's is, leaves records and
/// sessions of others alone, and makes ours known by the id of the connection. Its record is there only while we log in or out: a
/// discovery by an administrator goes through all interface records, and would write ours anew, without startup and secret.
/// </summary>
internal sealed class NodeRecord(string connectionId)
{
    /// <summary>How interfaces of ours begin.</summary>
    public const string Prefix = "blockstorage-";

    /// <summary>How often open-iscsi tries a login before it gives up.</summary>
    public const int LoginTries = 2;

    // Seconds without an answer after which what waits for a path goes to another one.
    private const string PathGivenUpAfter = "5";

    private const string InitiatorKey = "iface.initiatorname";
    private const string HostFile = "/etc/iscsi/iscsid.conf";
    private const string Chap = "node.session.auth.";

    // What a host may not decide for our sessions; its CHAP secrets are for its own targets.
    private static readonly string[] Own =
    [
        Chap, "node.startup", "node.leading_login", "node.conn[0].timeo.logout_timeout", "node.conn[0].startup",
    ];

    /// <summary>Name of its interface; iscsiadm finds the record by it.</summary>
    public string Interface => Prefix + connectionId;

    // Red Hat builds it for /var/lib, Debian and SUSE for /etc.
    private static string Root => Directory.Exists("/var/lib/iscsi") ? "/var/lib/iscsi" : "/etc/iscsi";

    private static string Nodes => Path.Combine(Root, "nodes");

    private string InterfaceFile => Path.Combine(Root, "ifaces", Interface);

    /// <summary>How long one try of a login may take.</summary>
    public static TimeSpan LoginLimit(ConnectionInfo info) => TimeSpan.FromSeconds(Math.Clamp(Math.Ceiling(info.Timeout.TotalSeconds / LoginTries), 5, 15));

    /// <summary>Writes the record of a portal, for root alone.</summary>
    /// <param name="info">What is connected.</param>
    /// <param name="portal">Portal.</param>
    /// <param name="portalGroup">Its group.</param>
    /// <param name="boot">Log in when the machine boots, for as long as the host wants, and take the disks that there are.</param>
    /// <exception cref="BlockStorageException">InvalidArgument, InvalidCredential: it cannot stand in a record.</exception>
    public void Write(ConnectionInfo info, Portal portal, int portalGroup, bool boot = false)
    {
        Check(info, portal);
        var startup = boot ? "automatic" : "manual";
        var node = Path.Combine(Nodes, info.Iqn, string.Create(CultureInfo.InvariantCulture, $"{portal.Address},{portal.Port},{portalGroup}"));
        foreach (var folder in new[] { Nodes, Path.GetDirectoryName(node)!, node })
            StateRoot.EnsureFolder(folder);
        List<(string, string)> ours =
        [
            // Only our disk, and only when we ask for it; at boot nobody asks.
            ("node.session.scan", boot ? "auto" : "manual"), ("node.session.nr_sessions", "1"),
            .. boot ? [] : new[]
            {
                ("node.session.initial_login_retry_max", Text(LoginTries - 1)),
                ("node.conn[0].timeo.login_timeout", Text((int)LoginLimit(info).TotalSeconds)),
            },
            // Another path takes over.
            .. info.Multipath ? new[] { ("node.session.timeo.replacement_timeout", PathGivenUpAfter) } : [],
        ];
        AtomicFile.Write(Path.Combine(node, Interface), Format([
            ("node.name", info.Iqn), ("node.tpgt", Text(portalGroup)), ("node.startup", startup), .. Binding(info.InitiatorIqn), ("node.discovery_type", "static"),
            .. HostSettings().Where(setting => !ours.Exists(pair => pair.Item1 == setting.Item1)),
            .. ours, .. Secrets(info),
            ("node.conn[0].address", portal.Address), ("node.conn[0].port", Text(portal.Port)), ("node.conn[0].startup", startup),
            ("node.conn[0].timeo.logout_timeout", "5")]));
    }

    /// <summary>Writes the interface record that iscsiadm wants for a login or logout by it. To be disposed of right after that.</summary>
    /// <param name="initiator">Who we are; null for what stands in the records.</param>
    /// <exception cref="BlockStorageException">ConnectionLost: there is no record that says it.</exception>
    public IDisposable Bind(string? initiator = null)
    {
        initiator ??= Files().SelectMany(File.ReadLines).FirstOrDefault(line => line.StartsWith(InitiatorKey, StringComparison.Ordinal))?.Split('=', 2)[1].Trim()
            ?? throw new BlockStorageException(BlockErrors.ConnectionLost, $"The records of {Interface} are gone from '{Nodes}'.", Interface);
        StateRoot.EnsureFolder(Path.GetDirectoryName(InterfaceFile)!);
        AtomicFile.Write(InterfaceFile, Format(Binding(initiator)));
        return new Binder(this);
    }

    /// <summary>Removes the records, what a kill in the middle of writing left, and folders that are empty then.</summary>
    public void Delete()
    {
        foreach (var file in Files())
        {
            Native.Unlink(file);
            var folder = Path.GetDirectoryName(file)!;
            RemoveEmpty(folder);
            RemoveEmpty(Path.GetDirectoryName(folder)!);
        }
        Unbind();
    }

    private void Unbind()
    {
        Native.Unlink(InterfaceFile);
        Native.Unlink(InterfaceFile + AtomicFile.TemporarySuffix);
    }

    private (string, string)[] Binding(string initiator) =>
        [("iface.iscsi_ifacename", Interface), ("iface.transport_name", "tcp"), (InitiatorKey, initiator)];

    // Folders of others come and go meanwhile.
    private string[] Files() => !Directory.Exists(Nodes) ? [] :
        [.. Directory.EnumerateFiles(Nodes, Interface + "*", new EnumerationOptions { RecurseSubdirectories = true, MaxRecursionDepth = 2, AttributesToSkip = 0 })
            .Where(file => Path.GetFileName(file) is var name && (name == Interface || name == Interface + AtomicFile.TemporarySuffix))];

    private static IEnumerable<(string, string)> Secrets(ConnectionInfo info)
    {
        if (info.Chap is not { } chap)
            return [(Chap + "authmethod", "None")];
        List<(string, string)> lines = [(Chap + "authmethod", "CHAP"), (Chap + "username", chap.UserName), (Chap + "password", chap.Secret)];
        if (info.MutualChap is { } mutual)
            lines.AddRange([(Chap + "username_in", mutual.UserName), (Chap + "password_in", mutual.Secret)]);
        return lines;
    }

    // What the administrator tuned for all sessions of this host holds for ours too.
    private static IEnumerable<(string, string)> HostSettings() => !File.Exists(HostFile) ? [] : File.ReadLines(HostFile)
        .Select(line => line.Split('=', 2, StringSplitOptions.TrimEntries))
        .Where(pair => pair.Length == 2 && pair[0].StartsWith("node.", StringComparison.Ordinal)
            && !Own.Any(own => pair[0].StartsWith(own, StringComparison.Ordinal)))
        .Select(pair => (pair[0], pair[1])).ToArray();

    private static void Check(ConnectionInfo info, Portal portal)
    {
        if (!IsName(info.Iqn) || !IsName(info.InitiatorIqn))
            throw new BlockStorageException(BlockErrors.InvalidIqn, "The name of the target or of the initiator is no iSCSI name.", info.Iqn);
        if (Uri.CheckHostName(portal.Address) is UriHostNameType.Unknown or UriHostNameType.Basic)
            throw new BlockStorageException(BlockErrors.InvalidArgument, $"'{portal.Address}' is no address of a portal.", portal.Address);
        foreach (var text in new[] { info.Chap?.UserName, info.Chap?.Secret, info.MutualChap?.UserName, info.MutualChap?.Secret }.OfType<string>())
        {
            // A line of the record ends where the value does, and blanks around the value are lost.
            if (text.Length == 0 || text != text.Trim() || text.Any(char.IsControl))
                throw new BlockStorageException(BlockErrors.InvalidCredential,
                    "open-iscsi takes no CHAP user name or secret that begins or ends with a blank or holds a control character.", info.Iqn);
        }
    }

    private static bool IsName(string name) => name.Length is > 4 and <= 223 && name[..4] is "iqn." or "eui." or "naa."
        && name.All(c => c > ' ' && c != '/' && !char.IsControl(c) && !char.IsWhiteSpace(c));

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);

    private static byte[] Format(IEnumerable<(string Name, string Value)> lines) =>
        Encoding.UTF8.GetBytes(string.Concat(lines.Select(line => $"{line.Name} = {line.Value}\n")));

    private static void RemoveEmpty(string folder)
    {
        try
        {
            if (!Directory.EnumerateFileSystemEntries(folder).Any())
                Directory.Delete(folder);
        }
        catch (IOException)
        {
            // Somebody put a record into it, or removed it first.
        }
    }

    private sealed class Binder(NodeRecord record) : IDisposable
    {
        public void Dispose() => record.Unbind();
    }
}
