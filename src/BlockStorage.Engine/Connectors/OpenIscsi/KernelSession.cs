using System.Globalization;
using System.Net;
using BlockStorage.Engine.Host;
using BlockStorage.Engine.Targets;

namespace BlockStorage.Engine.Connectors.OpenIscsi;

/// <summary>An iSCSI session of the kernel. In iscsi_tcp each has a SCSI host of its own.</summary>
/// <param name="Id">Number of the session.</param>
/// <param name="Host">Number of its SCSI host.</param>
/// <param name="Interface">Interface record that it was opened with.</param>
/// <param name="Folder">Where sysfs has it.</param>
internal sealed record KernelSession(int Id, int Host, string Interface, string Folder)
{
    private const string Class = "/sys/class/iscsi_session";
    private const string LoggedIn = "LOGGED_IN";

    /// <summary>Its attributes.</summary>
    private string Attributes => $"{Class}/session{Id}";

    /// <summary>Target.</summary>
    public string Iqn => SysAttribute.Read($"{Attributes}/targetname");

    /// <summary>Who we are to the target.</summary>
    public string Initiator => SysAttribute.Read($"{Attributes}/initiatorname");

    /// <summary>LOGGED_IN, FAILED or FREE; empty when it is gone.</summary>
    public string State => SysAttribute.Read($"{Attributes}/state");

    /// <summary>The target answers, as far as the kernel knows.</summary>
    public bool Alive => State == LoggedIn;

    /// <summary>It is still there.</summary>
    public bool Exists => Directory.Exists(Attributes);

    /// <summary>Folder of its SCSI host.</summary>
    public string HostFolder => $"/sys/class/scsi_host/host{Host}";

    /// <summary>All sessions, those of others too.</summary>
    public static IReadOnlyList<KernelSession> List() => !Directory.Exists(Class) ? [] :
        Directory.EnumerateDirectories(Class, "session*").Select(Find).OfType<KernelSession>().OrderBy(session => session.Id).ToArray();

    /// <summary>Whether it is at this portal.</summary>
    public bool IsAt(Portal portal)
    {
        var connection = $"/sys/class/iscsi_connection/connection{Id}:0";
        return SysAttribute.Read($"{connection}/persistent_port") == portal.Port.ToString(CultureInfo.InvariantCulture)
            && IsSame(SysAttribute.Read($"{connection}/persistent_address"), portal.Address);
    }

    /// <summary>Its disks.</summary>
    public IReadOnlyList<ScsiDisk> Disks() => !Directory.Exists(Folder) ? [] :
        Directory.EnumerateDirectories(Folder, "target*").SelectMany(target => Directory.EnumerateDirectories(target, $"{Host}:*"))
            .Select(ScsiDisk.Of).OfType<ScsiDisk>().ToArray();

    /// <summary>Its disk of that number, or null.</summary>
    public ScsiDisk? Disk(int lun) => Disks().FirstOrDefault(disk => disk.Lun == ScsiDisk.KernelLun(lun));

    private static KernelSession? Find(string attributes)
    {
        // .../host0/session1/iscsi_session/session1
        var parts = Directory.ResolveLinkTarget(attributes, returnFinalTarget: true)?.FullName.Split('/') ?? [];
        return parts.Length > 4 && Number(parts[^1], "session") is { } id && Number(parts[^4], "host") is { } host
            ? new KernelSession(id, host, SysAttribute.Read($"{attributes}/ifacename"), string.Join('/', parts[..^2]))
            : null;
    }

    private static int? Number(string name, string prefix) => name.StartsWith(prefix, StringComparison.Ordinal)
        && int.TryParse(name.AsSpan(prefix.Length), NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : null;

    // The same IPv6 address has many spellings.
    private static bool IsSame(string one, string other) => one == other
        || (IPAddress.TryParse(one, out var first) && IPAddress.TryParse(other, out var second) && first.Equals(second));
}
