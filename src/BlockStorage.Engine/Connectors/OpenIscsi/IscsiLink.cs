using System.Globalization;
using BlockStorage.Engine.Targets;

namespace BlockStorage.Engine.Connectors.OpenIscsi;

/// <summary>What the kernel has of a connection now: a session a path, the disk of each, perhaps a map on top.</summary>
internal sealed class IscsiLink
{
    private IscsiLink(ConnectionFolder folder, ConnectionState? state, IReadOnlyList<KernelSession> sessions, bool own) =>
        (Folder, State, Sessions, Own, Disks) = (folder, state, sessions, own,
            sessions.Select(session => state is null ? session.Disks().FirstOrDefault() : session.Disk(state.Lun)).OfType<ScsiDisk>().ToArray());

    /// <summary>Folder of the connection.</summary>
    public ConnectionFolder Folder { get; }

    /// <summary>Its state, or null where it is damaged or absent.</summary>
    public ConnectionState? State { get; }

    /// <summary>Sessions that it goes through.</summary>
    public IReadOnlyList<KernelSession> Sessions { get; }

    /// <summary>We opened them.</summary>
    public bool Own { get; }

    /// <summary>The disk of each session, as far as there are.</summary>
    public IReadOnlyList<ScsiDisk> Disks { get; }

    /// <summary>The map on top, or null.</summary>
    public MultipathMap? Map => MultipathMap.Over(Disks);

    /// <summary>The device to use, or empty.</summary>
    public string Device => Map?.Device ?? Disks.FirstOrDefault()?.Device ?? "";

    /// <summary>Bytes of the device.</summary>
    public long Size => Map?.Size ?? Disks.FirstOrDefault()?.Size ?? 0;

    /// <summary>All disks to end with it. Those of an own session that a rescan by hand brought go with it; those of others stay.</summary>
    public IReadOnlyList<ScsiDisk> Ending => Own
        ? Sessions.SelectMany(session => session.Disks()).ToArray()
        : Disks.Where(disk => !State!.Foreign.Contains(disk.Device)).ToArray();

    /// <summary>Sessions that carry data, with their disks.</summary>
    public IReadOnlyList<KernelSession> Up => Sessions.Where(session => Trouble(session).Length == 0).ToArray();

    /// <summary>Portals that a session is wanted at.</summary>
    public IReadOnlyList<Portal> Portals => State is null ? [] : (State.Paths.Count > 0 ? State.Paths : [State.Portal]).Select(Portal.Parse).ToArray();

    /// <summary>Why no data gets through; empty when it does.</summary>
    public string Dead => Sessions.Count == 0 ? "there is no session"
        : Up.Count == 0 ? Trouble(Sessions[0])
        : State is { Paths.Count: > 0 } && Map is null ? "the multipath daemon has no map of it" : "";

    /// <summary>What is wrong with some of the paths; empty when all carry data.</summary>
    public string Degraded => string.Join("; ", Portals.Select(portal => (portal, Session: Sessions.FirstOrDefault(session => session.IsAt(portal))))
        .Select(pair => (pair.portal, Trouble: pair.Session is null ? "there is no session" : Trouble(pair.Session)))
        .Where(pair => pair.Trouble.Length > 0).Select(pair => $"{pair.portal}: {pair.Trouble}"));

    /// <summary>A session that should be there is not, or has no disk, and the records can bring it.</summary>
    public bool Reopens => State is { } state && (state.Persistent || (state.Paths.Count > 0 && Sessions.Count > 0))
        && (Sessions.Count < Portals.Count || Disks.Count < Sessions.Count || Dead.Length > 0) && !Sessions.Any(session => !session.Alive);

    /// <summary>How the device is reached.</summary>
    public DeviceWay Way => new(ByPath, State?.Persistent ?? false, Map is not null, Math.Max(Portals.Count, 1), Up.Count);

    // udev's own way to name it; the link comes a moment after the device.
    private string ByPath => State is null || Disks.Count == 0 ? "" : string.Create(CultureInfo.InvariantCulture,
        $"/dev/disk/by-path/ip-{State.Portal.Replace("[", "", StringComparison.Ordinal).Replace("]", "", StringComparison.Ordinal)}-iscsi-{State.Iqn}-lun-{State.Lun}");

    /// <summary>What there is of a connection. A damaged state is told by what is still there.</summary>
    public static IscsiLink Find(ConnectionFolder folder, ConnectionState? state, IReadOnlyList<KernelSession>? all = null)
    {
        all ??= KernelSession.List();
        return state?.ForeignSession is { Length: > 0 } theirs
            ? new IscsiLink(folder, state, all.Where(each => each.Interface == theirs && each.Iqn == state.Iqn && each.IsAt(Portal.Parse(state.Portal))).Take(1).ToArray(), own: false)
            : new IscsiLink(folder, state, all.Where(each => each.Interface == new NodeRecord(folder.Id).Interface).ToArray(), own: true);
    }

    /// <summary>What is there now.</summary>
    public IscsiLink Again() => Find(Folder, State);

    private string Trouble(KernelSession session)
    {
        var disk = State is null ? session.Disks().FirstOrDefault() : session.Disk(State.Lun);
        return !session.Alive ? $"the session is {session.State}; it is tried again and again"
            : disk is null ? "the disk is gone from the session"
            : disk.State != "running" ? $"{disk.Device} is {disk.State}" : "";
    }
}
