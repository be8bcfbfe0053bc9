using System.Globalization;

namespace BlockStorage.Engine.Targets.Tgt;

/// <summary>A target as tgtd tells it.</summary>
internal sealed class TgtTarget(int tid, string iqn)
{
    /// <summary>Number that requests use.</summary>
    public int Tid => tid;

    /// <summary>iSCSI name.</summary>
    public string Iqn => iqn;

    /// <summary>Logical units; 0 is the controller that every target has.</summary>
    public List<TgtUnit> Units { get; } = [];

    /// <summary>Accounts of initiators, in the order they were bound.</summary>
    public List<string> Incoming { get; } = [];

    /// <summary>Account the target proves itself with, or null.</summary>
    public string? Outgoing { get; set; }

    /// <summary>Addresses and names that may log in.</summary>
    public List<string> Acl { get; } = [];

    /// <summary>Who is logged in.</summary>
    public List<TgtSession> Sessions { get; } = [];
}

/// <summary>A logical unit as tgtd tells it.</summary>
internal sealed class TgtUnit(int lun)
{
    /// <summary>Number.</summary>
    public int Lun => lun;

    /// <summary>Designator of VPD page 0x83.</summary>
    public string ScsiId { get; set; } = "";

    /// <summary>Serial number.</summary>
    public string Serial { get; set; } = "";

    /// <summary>Size in tgtd's rounded megabytes.</summary>
    public long Megabytes { get; set; }

    /// <summary>It takes commands.</summary>
    public bool Online { get; set; }

    /// <summary>It refuses writes.</summary>
    public bool ReadOnly { get; set; }

    /// <summary>It takes UNMAP.</summary>
    public bool Thin { get; set; }

    /// <summary>Backing file, or empty.</summary>
    public string Path { get; set; } = "";
}

/// <summary>A session as tgtd tells it.</summary>
internal sealed class TgtSession(ulong id)
{
    /// <summary>Number.</summary>
    public ulong Id => id;

    /// <summary>IQN that logged in.</summary>
    public string Initiator { get; set; } = "";

    /// <summary>Where from.</summary>
    public string Address { get; set; } = "";

    /// <summary>Its connections.</summary>
    public List<uint> Connections { get; } = [];
}

/// <summary>Reads the text that tgtd answers with. What it does not know it passes by.</summary>
internal static class TgtReport
{
    private const string Alias = " alias: ";

    /// <summary>Reads "show target".</summary>
    public static IReadOnlyList<TgtTarget> ParseTargets(string text)
    {
        List<TgtTarget> targets = [];
        TgtTarget? target = null;
        var section = "";
        foreach (var line in text.Split('\n'))
        {
            var content = line.TrimStart(' ');
            switch (line.Length - content.Length)
            {
                case 0 when ParseHead(content) is { } head:
                    targets.Add(target = head);
                    break;
                case 4:
                    section = content;
                    break;
                case 8 when target is not null:
                    ParseItem(target, section, content);
                    break;
                case 12 or 16 when target is not null:
                    ParseDetail(target, section, content);
                    break;
            }
        }
        return targets;
    }

    /// <summary>Reads "show portal".</summary>
    public static IReadOnlyList<Portal> ParsePortals(string text)
    {
        List<Portal> portals = [];
        foreach (var line in text.Split('\n'))
        {
            var comma = line.LastIndexOf(',');
            var colon = line.LastIndexOf(':');
            if (After(line, "Portal: ") is not null && colon > "Portal: ".Length && comma > colon
                && int.TryParse(line.AsSpan(colon + 1, comma - colon - 1), NumberStyles.None, CultureInfo.InvariantCulture, out var port))
                portals.Add(new Portal(line["Portal: ".Length..colon].Trim('[', ']'), port));
        }
        return portals;
    }

    /// <summary>Reads "show account".</summary>
    public static IReadOnlyList<string> ParseAccounts(string text) =>
        text.Split('\n').Where(line => line.StartsWith("    ", StringComparison.Ordinal)).Select(line => line[4..]).ToArray();

    /// <summary>Reads "show statistics" of a logical unit: whether reads or writes are under way.</summary>
    public static bool IsBusy(string text) => text.Split('\n').Skip(1)
        .Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries))
        .Any(fields => fields.Length >= 11 && (fields[4] != fields[6] || fields[8] != fields[10]));

    /// <summary>The megabytes that tgtd shows for a size (its own rounding).</summary>
    public static long Megabytes(long size) =>
        (long)((((ulong)size / 512) - (((ulong)size / 512 / 625) - 974)) / 1950);

    private static TgtTarget? ParseHead(string content)
    {
        var colon = content.IndexOf(": ", StringComparison.Ordinal);
        return After(content, "Target ") is not null && colon > 7
            && int.TryParse(content.AsSpan(7, colon - 7), NumberStyles.None, CultureInfo.InvariantCulture, out var tid)
            ? new TgtTarget(tid, content[(colon + 2)..]) : null;
    }

    private static void ParseItem(TgtTarget target, string section, string content)
    {
        switch (section)
        {
            case "I_T nexus information:" when ulong.TryParse(After(content, "I_T nexus: "), NumberStyles.None, CultureInfo.InvariantCulture, out var id):
                target.Sessions.Add(new TgtSession(id));
                break;
            case "LUN information:" when int.TryParse(After(content, "LUN: "), NumberStyles.None, CultureInfo.InvariantCulture, out var lun):
                target.Units.Add(new TgtUnit(lun));
                break;
            case "Account information:" when content.EndsWith(" (outgoing)", StringComparison.Ordinal):
                target.Outgoing = content[..^" (outgoing)".Length];
                break;
            case "Account information:":
                target.Incoming.Add(content);
                break;
            case "ACL information:":
                target.Acl.Add(content);
                break;
        }
    }

    private static void ParseDetail(TgtTarget target, string section, string content)
    {
        if (section == "LUN information:" && target.Units.Count > 0)
            ParseUnit(target.Units[^1], content);
        else if (section == "I_T nexus information:" && target.Sessions.Count > 0)
            ParseSession(target.Sessions[^1], content);
    }

    private static void ParseUnit(TgtUnit unit, string content)
    {
        if (After(content, "SCSI ID: ") is { } id)
            unit.ScsiId = id;
        else if (After(content, "SCSI SN: ") is { } serial)
            unit.Serial = serial;
        else if (After(content, "Size: ") is { } size)
            unit.Megabytes = long.TryParse(size.Split(' ')[0], NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : 0;
        else if (After(content, "Online: ") is { } online)
            unit.Online = online == "Yes";
        else if (After(content, "Readonly: ") is { } readOnly)
            unit.ReadOnly = readOnly == "Yes";
        else if (After(content, "Thin-provisioning: ") is { } thin)
            unit.Thin = thin == "Yes";
        else if (After(content, "Backing store path: ") is { } path)
            unit.Path = path == "None" ? "" : path;
    }

    private static void ParseSession(TgtSession session, string content)
    {
        if (After(content, "Initiator: ") is { } initiator)
        {
            var alias = initiator.LastIndexOf(Alias, StringComparison.Ordinal);
            session.Initiator = alias < 0 ? initiator : initiator[..alias];
        }
        else if (uint.TryParse(After(content, "Connection: "), NumberStyles.None, CultureInfo.InvariantCulture, out var connection))
            session.Connections.Add(connection);
        else if (After(content, "IP Address: ") is { } address)
            session.Address = address;
    }

    private static string? After(string text, string start) =>
        text.StartsWith(start, StringComparison.Ordinal) ? text[start.Length..] : null;
}
