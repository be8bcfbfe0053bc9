using System.Globalization;
using BlockStorage.Engine.Host;
using BlockStorage.Engine.Targets;
using BlockStorage.Engine.Targets.Iscsi;
using BlockStorage.Services;

namespace BlockStorage.Engine.Connectors.OpenIscsi;

/// <summary>
/// iSCSI by the kernel: open-iscsi logs in, we let the kernel see our one disk and prove it. Each connection has a session
/// of its own, which ends with it, unless others have one to the same portal, target and initiator name already: that one
/// is used and stays.
/// </summary>
internal sealed class OpenIscsiConnector(StateRoot root, ICommandRunner runner) : IConnector
{
    private static readonly TimeSpan SessionLimit = TimeSpan.FromSeconds(15);
    private static readonly TimeSpan ForcedFlushLimit = TimeSpan.FromSeconds(5);
    private readonly IscsiAdmin _admin = new(runner);

    /// <inheritdoc/>
    public string Name => "OpenIscsi";

    /// <inheritdoc/>
    public string Protocol => "iscsi";

    /// <inheritdoc/>
    public Task<DriverProbe> ProbeAsync(CancellationToken cancel) => OpenIscsiProbe.RunAsync(runner, cancel);

    /// <inheritdoc/>
    public async Task<ConnectedDevice> ConnectAsync(ConnectionInfo info, IWorkSink sink, CancellationToken cancel)
    {
        if (info.Portal is not { } portal)
            throw new BlockStorageException(BlockErrors.InvalidArgument, "An iSCSI connection needs a portal.", info.Iqn);
        if (runner.Find(IscsiAdmin.Tool) is null)
            throw new BlockStorageException(BlockErrors.ToolMissing, $"'{IscsiAdmin.Tool}' is not installed.", IscsiAdmin.Tool, IscsiAdmin.Package);
        var folder = ConnectionFolder.Of(root, info.Id);
        if (folder.Load() is { } before)
        {
            if (before.Iqn == info.Iqn && before.Portal == portal.ToString() && (info.Lun < 0 || before.Lun == info.Lun)
                && Find(folder, before) is ({ } known, { } there) && Trouble(known, there).Length == 0)
                return Describe(there, before);
            await DisconnectAsync(info.Id, force: false, cancel).ConfigureAwait(false);
        }

        // The same login by our own initiator says exactly what is wrong, and proves what the disk is.
        sink.Verbose($"Logging in to {info.Iqn} at {portal}.");
        var unit = await IscsiDiscovery.InspectAsync(
            new IscsiLogin(portal, info.Iqn, info.InitiatorIqn, info.Chap, info.MutualChap, info.Timeout), info.Lun, cancel).ConfigureAwait(false);
        if (info.Serial.Length > 0 && unit.Serial != info.Serial)
            throw Wrong(info, $"serial number '{unit.Serial}', not '{info.Serial}'");
        if (info.Size > 0 && unit.Size != info.Size)
            throw Wrong(info, $"{unit.Size} bytes, not {info.Size}");

        var foreign = KernelSession.List().FirstOrDefault(session => session.Alive && session.Iqn == info.Iqn && session.IsAt(portal)
            && session.Initiator == info.InitiatorIqn && !session.Interface.StartsWith(NodeRecord.Prefix, StringComparison.Ordinal));
        var state = new ConnectionState(Name, portal.ToString(), info.Iqn, unit.Lun, unit.Serial, unit.Size, info.ReadOnly || unit.ReadOnly, "", "")
        {
            ForeignSession = foreign?.Interface ?? "",
            Foreign = foreign?.Disk(unit.Lun) is { } theirs ? [theirs.Device] : [],
        };
        cancel.ThrowIfCancellationRequested();
        folder.Create(root, state);
        try
        {
            var session = foreign ?? await LoginAsync(info, unit.PortalGroup, sink, cancel).ConfigureAwait(false);
            var disk = await ProveAsync(session, state, info, cancel).ConfigureAwait(false);
            folder.Save(state with { Device = disk.Device });
            return Describe(disk, state);
        }
        catch
        {
            await CleanUpAsync(info.Id).ConfigureAwait(false);
            throw;
        }
    }

    /// <inheritdoc/>
    public async Task DisconnectAsync(string connectionId, bool force, CancellationToken cancel)
    {
        var folder = ConnectionFolder.Of(root, connectionId);
        // Where the state is damaged a session of ours is still found by the id alone.
        var state = force ? folder.TryLoad() : folder.Load();
        if (state is not null && state.Connector != Name)
            return;
        var (session, disk) = Find(folder, state);
        new ScsiHold(folder, runner).Resume(session, disk);
        if (session is not null)
        {
            var own = IsOwn(session, connectionId);
            // Disks of an own session that a rescan by hand brought go with it.
            var disks = own ? session.Disks() : disk is not null && !state!.Foreign.Contains(disk.Device) ? [disk] : [];
            if (force)
                await CutAsync(session, disks, own, connectionId).ConfigureAwait(false);
            else
                await CloseAsync(session, disk, disks, own, connectionId, cancel).ConfigureAwait(false);
        }
        new NodeRecord(connectionId).Delete();
        folder.Delete();
    }

    /// <inheritdoc/>
    public Task FlushAsync(string connectionId, CancellationToken cancel) => DeviceLink.FlushAsync(Require(connectionId).Disk.Device, cancel);

    /// <inheritdoc/>
    public Task PauseAsync(string connectionId, CancellationToken cancel)
    {
        var (folder, _, session, disk) = Require(connectionId);
        return session.Alive
            ? new ScsiHold(folder, runner).PauseAsync(session, disk, cancel)
            : throw new BlockStorageException(BlockErrors.ConnectionLost, $"The session of connection {connectionId} is {session.State}.", connectionId);
    }

    /// <inheritdoc/>
    public Task ResumeAsync(string connectionId, CancellationToken cancel)
    {
        var folder = ConnectionFolder.Of(root, connectionId);
        var (session, disk) = Find(folder, folder.TryLoad());
        new ScsiHold(folder, runner).Resume(session, disk);
        return Task.CompletedTask;
    }

    /// <inheritdoc/>
    public async Task ResizeAsync(string connectionId, long size, CancellationToken cancel)
    {
        var (folder, state, _, disk) = Require(connectionId);
        await disk.RescanAsync(cancel).ConfigureAwait(false);
        if (disk.Size != size || disk.Serial != state.Serial)
            throw new BlockStorageException(BlockErrors.WrongDevice,
                $"{disk.Device} has {disk.Size} bytes and serial number '{disk.Serial}' after the resize, not {size} and '{state.Serial}'.", connectionId);
        folder.Save(state with { Size = size });
    }

    /// <inheritdoc/>
    public Task<IReadOnlyList<LiveConnection>> ListAsync(CancellationToken cancel) => Task.FromResult(Live(
        ConnectionFolder.List(root).Select(folder => (folder, State: folder.TryLoad()))
            .Where(pair => pair.State is null ? new NodeRecord(pair.folder.Id).Exists : pair.State.Connector == Name).ToArray()));

    private async Task<KernelSession> LoginAsync(ConnectionInfo info, int portalGroup, IWorkSink sink, CancellationToken cancel)
    {
        var record = new NodeRecord(info.Id);
        record.Write(info, portalGroup);
        await _admin.LoginAsync(record, info, sink, cancel).ConfigureAwait(false);
        KernelSession? session = null;
        return await Poll.UntilAsync(() => (session = Own(info.Id)) is { Alive: true }, SessionLimit, cancel).ConfigureAwait(false)
            ? session! : throw new BlockStorageException(BlockErrors.PortalUnreachable, $"The session to '{info.Iqn}' is lost just after its login.", info.Iqn);
    }

    private static async Task<ScsiDisk> ProveAsync(KernelSession session, ConnectionState state, ConnectionInfo info, CancellationToken cancel)
    {
        var disk = session.Disk(state.Lun);
        // What the kernel remembers of a disk that was there may be of another one by now.
        if (disk is not null)
            await disk.RescanAsync(cancel).ConfigureAwait(false);
        else
            disk = await ScsiDisk.ScanAsync(session, state.Lun, info.Iqn, cancel).ConfigureAwait(false);
        if (disk.Serial != state.Serial || disk.Size != state.Size)
            throw Wrong(info, $"serial number '{disk.Serial}' and {disk.Size} bytes as {disk.Device}, not '{state.Serial}' and {state.Size}");
        if (disk.ReadOnly == state.ReadOnly)
            return disk;
        if (state.Foreign.Count > 0 || disk.ReadOnly)
            throw new BlockStorageException(BlockErrors.DeviceInUse,
                $"{disk.Device} was connected before, by others, and {(disk.ReadOnly ? "read-only" : "for writing")}.", info.Iqn, "iscsiadm -m session -P 3");
        disk.Protect();
        return disk;
    }

    private async Task CloseAsync(KernelSession session, ScsiDisk? disk, IReadOnlyList<ScsiDisk> disks, bool own, string id, CancellationToken cancel)
    {
        foreach (var each in disks)
            await DeviceLink.RequireFreeAsync(each.Device, cancel).ConfigureAwait(false);
        if (disk is not null)
        {
            // Waiting in the kernel for a dead target would hold this process for as long.
            if (Trouble(session, disk) is { Length: > 0 } trouble)
                throw new BlockStorageException(BlockErrors.ConnectionLost, $"What was written to {disk.Device} cannot be brought to its target: {trouble}.", id);
            await DeviceLink.FlushAsync(disk.Device, cancel).ConfigureAwait(false);
        }
        cancel.ThrowIfCancellationRequested();
        foreach (var each in disks)
            await each.DeleteAsync(exclusive: true).ConfigureAwait(false);
        if (own)
            await _admin.LogoutAsync(session, id).ConfigureAwait(false);
    }

    private async Task CutAsync(KernelSession session, IReadOnlyList<ScsiDisk> disks, bool own, string id)
    {
        var alive = session.Alive;
        foreach (var disk in disks)
            alive = alive && await TryFlushAsync(disk).ConfigureAwait(false);
        // The end of a dead session fails what waits for it, so that unmounting does not wait.
        if (own && !alive)
            await _admin.LogoutAsync(session, id).ConfigureAwait(false);
        foreach (var disk in disks)
        {
            DeviceLink.Unmount(disk.Device);
            await disk.DeleteAsync(exclusive: false).ConfigureAwait(false);
        }
        if (own)
            await _admin.LogoutAsync(session, id).ConfigureAwait(false);
    }

    private static async Task<bool> TryFlushAsync(ScsiDisk disk)
    {
        try
        {
            await DeviceLink.FlushAsync(disk.Device, CancellationToken.None).WaitAsync(ForcedFlushLimit).ConfigureAwait(false);
            return true;
        }
        catch (Exception error) when (error is TimeoutException or BlockStorageException)
        {
            return false;
        }
    }

    private async Task CleanUpAsync(string id)
    {
        try
        {
            await DisconnectAsync(id, force: true, CancellationToken.None).ConfigureAwait(false);
        }
        catch (BlockStorageException)
        {
            // The folder stays and with it the way to clean up; why the connect failed counts more.
        }
    }

    private IReadOnlyList<LiveConnection> Live(IReadOnlyList<(ConnectionFolder Folder, ConnectionState? State)> connections)
    {
        if (connections.Count == 0)
            return [];
        var sessions = KernelSession.List();
        var found = connections.Select(pair => (pair.Folder, Way: Find(pair.Folder, pair.State, sessions))).ToArray();
        var mounts = DeviceLink.MountPoints(found.Select(each => each.Way.Disk?.Device).OfType<string>().ToArray());
        return found.Select(each =>
        {
            var (session, disk) = each.Way;
            var trouble = session is null ? "there is no session"
                : disk is null ? "the disk is gone from the session" : Trouble(session, disk);
            var held = trouble.Length == 0 && new ScsiHold(each.Folder, runner).Active ? "I/O is held" : "";
            var device = disk?.Device ?? "";
            return new LiveConnection(each.Folder.Id, device, disk?.Size ?? 0, trouble.Length == 0, trouble + held, mounts[device].ToArray());
        }).ToArray();
    }

    private static string Trouble(KernelSession session, ScsiDisk disk) =>
        !session.Alive ? $"the session is {session.State}; it is tried again and again"
        : disk.State != "running" ? $"{disk.Device} is {disk.State}" : "";

    // A damaged state is told by what is still there.
    private static (KernelSession? Session, ScsiDisk? Disk) Find(
        ConnectionFolder folder, ConnectionState? state, IReadOnlyList<KernelSession>? sessions = null)
    {
        sessions ??= KernelSession.List();
        var session = state?.ForeignSession is { Length: > 0 } theirs
            ? sessions.FirstOrDefault(each => each.Interface == theirs && each.Iqn == state.Iqn && each.IsAt(Portal.Parse(state.Portal)))
            : sessions.FirstOrDefault(each => IsOwn(each, folder.Id));
        return (session, state is null ? session?.Disks().FirstOrDefault() : session?.Disk(state.Lun));
    }

    private static KernelSession? Own(string id) => KernelSession.List().FirstOrDefault(session => IsOwn(session, id));

    private static bool IsOwn(KernelSession session, string id) => session.Interface == new NodeRecord(id).Interface;

    private (ConnectionFolder Folder, ConnectionState State, KernelSession Session, ScsiDisk Disk) Require(string connectionId)
    {
        var folder = ConnectionFolder.Of(root, connectionId);
        return folder.Load() is { } state && state.Connector == Name && Find(folder, state) is ({ } session, { } disk)
            ? (folder, state, session, disk)
            : throw new BlockStorageException(BlockErrors.ConnectionLost, $"Connection {connectionId} has no device.", connectionId);
    }

    // udev's own way to name it; the link comes a moment after the device.
    private static ConnectedDevice Describe(ScsiDisk disk, ConnectionState state) => new(disk.Device, disk.Size, state.Serial, disk.Hctl)
    {
        ByPath = string.Create(CultureInfo.InvariantCulture, $"/dev/disk/by-path/ip-{state.Portal.Replace("[", "", StringComparison.Ordinal).Replace("]", "", StringComparison.Ordinal)}-iscsi-{state.Iqn}-lun-{state.Lun}"),
    };

    private static BlockStorageException Wrong(ConnectionInfo info, string what) =>
        new(BlockErrors.WrongDevice, $"The disk of '{info.Iqn}' at {info.Portal} has {what}.", info.Iqn);
}
