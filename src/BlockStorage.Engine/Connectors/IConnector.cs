using BlockStorage.Engine.Targets;
using BlockStorage.Services;

namespace BlockStorage.Engine.Connectors;

/// <summary>
/// Makes a published or local volume a block device of this machine. Knows nothing of the catalogue. Idempotent; the
/// id of the connection is the key for everything it makes, so that another process finds it again.
/// </summary>
internal interface IConnector
{
    /// <summary>Name that users see, such as Userspace.</summary>
    string Name { get; }

    /// <summary>iscsi or local.</summary>
    string Protocol { get; }

    /// <summary>Whether it works on this machine, and why not.</summary>
    Task<DriverProbe> ProbeAsync(CancellationToken cancel);

    /// <summary>Connects and gives the device after proving it by serial and size.</summary>
    /// <exception cref="BlockStorageException">ChapRejected, AccessDenied, PortalUnreachable, WrongDevice, ToolMissing.</exception>
    Task<ConnectedDevice> ConnectAsync(ConnectionInfo info, IWorkSink sink, CancellationToken cancel);

    /// <summary>Flushes, detaches, logs out and removes everything of the connection. Succeeds when absent.</summary>
    /// <param name="connectionId">Id of the connection.</param>
    /// <param name="force">Also when the device is mounted or the link is dead: unwritten data is lost.</param>
    /// <param name="cancel">Stops before the device is detached, not after.</param>
    /// <exception cref="BlockStorageException">DeviceInUse, ConnectionLost.</exception>
    Task DisconnectAsync(string connectionId, bool force, CancellationToken cancel);

    /// <summary>Writes out what the kernel still holds for the device.</summary>
    Task FlushAsync(string connectionId, CancellationToken cancel);

    /// <summary>Holds I/O: nothing is on its way to the target when it returns. Waiting writers wait, none fails.</summary>
    Task PauseAsync(string connectionId, CancellationToken cancel);

    /// <summary>Lets held I/O go on. Nothing to do when none is held.</summary>
    Task ResumeAsync(string connectionId, CancellationToken cancel);

    /// <summary>Makes the device have the size that the target or file now has, and proves it.</summary>
    Task ResizeAsync(string connectionId, long size, CancellationToken cancel);

    /// <summary>Brings back a connection that was to come back by itself when the machine booted. Nothing to do when it is there.</summary>
    /// <exception cref="BlockStorageException">ConnectionLost: it cannot be brought back.</exception>
    Task ReopenAsync(string connectionId, IWorkSink sink, CancellationToken cancel) => throw new BlockStorageException(
        BlockErrors.NotSupported, $"The connector {Name} brings no connection back.", connectionId);

    /// <summary>What is really there, dead ones included.</summary>
    Task<IReadOnlyList<LiveConnection>> ListAsync(CancellationToken cancel);
}

/// <summary>Everything needed to connect. Internal to engine and transport; never emitted to a user.</summary>
/// <param name="Id">UUID of the connection.</param>
/// <param name="Protocol">iscsi or local.</param>
/// <param name="Portal">Portal; null for local ones.</param>
/// <param name="Iqn">Target; empty for local ones.</param>
/// <param name="Lun">Logical unit.</param>
/// <param name="InitiatorIqn">Who we are.</param>
/// <param name="Chap">Secret we prove; null for none.</param>
/// <param name="MutualChap">Secret the target must prove; null for none.</param>
/// <param name="Serial">Serial number the device must have; empty where it is not known before.</param>
/// <param name="Size">Bytes the device must have; 0 where it is not known before.</param>
/// <param name="ReadOnly">Connect read-only.</param>
/// <param name="LocalPath">File or device of a local connection; empty otherwise.</param>
/// <param name="Timeout">How long connecting may take.</param>
internal sealed record ConnectionInfo(
    string Id, string Protocol, Portal? Portal, string Iqn, int Lun, string InitiatorIqn, ChapCredential? Chap,
    ChapCredential? MutualChap, string Serial, long Size, bool ReadOnly, string LocalPath, TimeSpan Timeout)
{
    /// <summary>It comes back when the machine boots.</summary>
    public bool Persistent { get; init; }

    /// <summary>One session a portal, joined by the multipath daemon.</summary>
    public bool Multipath { get; init; }

    /// <summary>All portals of the target where several are used; the first is Portal.</summary>
    public IReadOnlyList<Portal> Portals { get; init; } = [];

    /// <summary>Never the secrets.</summary>
    public override string ToString() => $"{Protocol} {Iqn} {LocalPath}";
}

/// <summary>A device that was made.</summary>
internal sealed record ConnectedDevice(string DevicePath, long Size, string Serial, string Hctl)
{
    /// <summary>How it is reached.</summary>
    public DeviceWay Way { get; init; } = DeviceWay.Plain;
}

/// <summary>How a device is reached.</summary>
/// <param name="ByPath">The link below /dev/disk/by-path that udev makes for it, or empty.</param>
/// <param name="Persistent">It comes back when the machine boots.</param>
/// <param name="Multipath">It is a map of the multipath daemon.</param>
/// <param name="PathCount">Sessions that it should have.</param>
/// <param name="PathsUp">How many of them can carry data.</param>
internal sealed record DeviceWay(string ByPath, bool Persistent, bool Multipath, int PathCount, int PathsUp)
{
    /// <summary>No session.</summary>
    public static DeviceWay Plain { get; } = new("", false, false, 0, 0);
}

/// <summary>A connection that is there, or what is left of one.</summary>
/// <param name="Id">UUID of the connection.</param>
/// <param name="DevicePath">Device, or empty where it is gone.</param>
/// <param name="Size">Bytes of the device.</param>
/// <param name="Alive">Device, process and link are all there.</param>
/// <param name="Reason">Why not alive, or empty.</param>
/// <param name="MountPoints">Where the device is mounted, in any mount namespace that we can see.</param>
internal sealed record LiveConnection(
    string Id, string DevicePath, long Size, bool Alive, string Reason, IReadOnlyList<string> MountPoints)
{
    /// <summary>It is not whole, and ReopenAsync may make it so.</summary>
    public bool Reopens { get; init; }

    /// <summary>SCSI address now, or empty: it may be another one than at the time of connecting.</summary>
    public string Hctl { get; init; } = "";

    /// <summary>How it is reached.</summary>
    public DeviceWay Way { get; init; } = DeviceWay.Plain;
}
