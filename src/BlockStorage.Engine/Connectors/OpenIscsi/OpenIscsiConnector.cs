using BlockStorage.Engine.Host;
using BlockStorage.Engine.Targets;
using BlockStorage.Engine.Targets.Iscsi;
using BlockStorage.Services;

namespace BlockStorage.Engine.Connectors.OpenIscsi;

/// <summary>
/// iSCSI by the kernel: open-iscsi logs in, we let the kernel see our one disk and prove it. Each connection has a session
/// of its own, which ends with it, unless others have one to the same portal, target and initiator name already: that one
/// is used and stays. With multipath it has one at each portal of the target.
/// </summary>
internal sealed class OpenIscsiConnector(StateRoot root, ICommandRunner runner) : IConnector
{
    private static readonly TimeSpan SessionLimit = TimeSpan.FromSeconds(15);
    private static readonly TimeSpan ForcedFlushLimit = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan BootLoginLimit = TimeSpan.FromMinutes(3);
    private readonly IscsiAdmin _admin = new(root, runner);
    private readonly MultipathDaemon _multipath = new(runner);

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
        if (info.Multipath)
            await _multipath.RequireAsync(cancel).ConfigureAwait(false);
        var folder = ConnectionFolder.Of(root, info.Id);
        if (folder.Load() is { } before)
        {
            if (before.Iqn == info.Iqn && before.Portal == portal.ToString() && (info.Lun < 0 || before.Lun == info.Lun)
                && before.Persistent == info.Persistent && (before.Paths.Count > 0) == info.Multipath
                && IscsiLink.Find(folder, before) is { Dead.Length: 0 } there)
                return Describe(there);
            await DisconnectAsync(info.Id, force: false, cancel).ConfigureAwait(false);
        }

        var (unit, groups) = await InspectAsync(info, sink, cancel).ConfigureAwait(false);
        var foreign = info.Multipath || info.Persistent ? null : KernelSession.List().FirstOrDefault(session => session.Alive && session.Iqn == info.Iqn && session.IsAt(portal)
            && session.Initiator == info.InitiatorIqn && !session.Interface.StartsWith(NodeRecord.Prefix, StringComparison.Ordinal));
        var state = new ConnectionState(Name, portal.ToString(), info.Iqn, unit.Lun, unit.Serial, unit.Size, info.ReadOnly || unit.ReadOnly, "", "")
        {
            ForeignSession = foreign?.Interface ?? "",
            Foreign = foreign?.Disk(unit.Lun) is { } theirs ? [theirs.Device] : [],
            Paths = info.Multipath ? [.. info.Portals.Select(each => each.ToString())] : [],
            WwidsBefore = info.Multipath ? MultipathDaemon.Wwids() : null,
        };
        cancel.ThrowIfCancellationRequested();
        folder.Create(root, state);
        try
        {
            if (foreign is null)
                await LoginAsync(info, groups, sink, cancel).ConfigureAwait(false);
            state = await ProveAsync(folder, state, info.Iqn, sink, cancel).ConfigureAwait(false);
            // Only what is complete comes back at boot; and a path that was away joins then, or by Repair-BlockStorage.
            foreach (var each in info.Persistent || groups.Values.Contains(null) ? groups : [])
                new NodeRecord(info.Id).Write(info, each.Key, each.Value ?? unit.PortalGroup, info.Persistent);
            state = state with { Persistent = info.Persistent };
            folder.Save(state);
            return Describe(IscsiLink.Find(folder, state));
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
        var link = IscsiLink.Find(folder, state);
        if (link.Own && (state is null || link.Sessions.Count < link.Portals.Count))
        {
            await IscsiAdmin.SettleAsync(new NodeRecord(connectionId)).ConfigureAwait(false);
            link = link.Again();
        }
        new ScsiHold(folder, runner).Resume(link);
        // Asked for while the disks are there.
        var learned = state is null ? [] : MultipathDaemon.Learned(state, link.Disks);
        if (force)
            await CutAsync(link).ConfigureAwait(false);
        else
            await CloseAsync(link, cancel).ConfigureAwait(false);
        new NodeRecord(connectionId).Delete();
        foreach (var wwid in learned)
            await _multipath.ForgetAsync(wwid).ConfigureAwait(false);
        folder.Delete();
    }

    /// <inheritdoc/>
    public Task FlushAsync(string connectionId, CancellationToken cancel) => DeviceLink.FlushAsync(Require(connectionId).Device, cancel);

    /// <inheritdoc/>
    public Task PauseAsync(string connectionId, CancellationToken cancel)
    {
        var link = Require(connectionId);
        return link.Dead.Length == 0
            ? new ScsiHold(link.Folder, runner).PauseAsync(link, cancel)
            : throw new BlockStorageException(BlockErrors.ConnectionLost, $"Connection {connectionId} is dead: {link.Dead}.", connectionId);
    }

    /// <inheritdoc/>
    public Task ResumeAsync(string connectionId, CancellationToken cancel)
    {
        var folder = ConnectionFolder.Of(root, connectionId);
        new ScsiHold(folder, runner).Resume(IscsiLink.Find(folder, folder.TryLoad()));
        return Task.CompletedTask;
    }

    /// <inheritdoc/>
    public async Task ResizeAsync(string connectionId, long size, CancellationToken cancel)
    {
        var link = Require(connectionId);
        // A path that keeps the old size would fail what is written behind it.
        if (link.State!.Paths.Count > 0 && link.Degraded is { Length: > 0 } degraded)
            throw new BlockStorageException(BlockErrors.ConnectionLost, $"{link.Device} cannot be resized while a path is away: {degraded}.", connectionId);
        foreach (var disk in link.Disks)
        {
            await disk.RescanAsync(cancel).ConfigureAwait(false);
            if (disk.Size != size || disk.Serial != link.State.Serial)
                throw new BlockStorageException(BlockErrors.WrongDevice,
                    $"{disk.Device} has {disk.Size} bytes and serial number '{disk.Serial}' after the resize, not {size} and '{link.State.Serial}'.", connectionId);
        }
        if (link.Map is { } map)
            await _multipath.ResizeAsync(map, size, cancel).ConfigureAwait(false);
        if (link.Size != size)
            throw new BlockStorageException(BlockErrors.WrongDevice, $"{link.Device} has {link.Size} bytes after the resize, not {size}.", connectionId);
        link.Folder.Save(link.State with { Size = size });
    }

    /// <inheritdoc/>
    public async Task ReopenAsync(string connectionId, IWorkSink sink, CancellationToken cancel)
    {
        var folder = ConnectionFolder.Of(root, connectionId);
        if (folder.Load() is not { } state || state.Connector != Name)
            throw new BlockStorageException(BlockErrors.ConnectionLost, $"Connection {connectionId} has no device.", connectionId);
        var link = IscsiLink.Find(folder, state);
        if (!link.Reopens)
            return;
        BlockStorageException? refusal = null;
        if (link.Sessions.Count < link.Portals.Count)
            refusal = await _admin.LoginAsync(new NodeRecord(connectionId), state.Iqn, BootLoginLimit, sink, cancel).ConfigureAwait(false);
        if (IscsiLink.Find(folder, state).Sessions.Count > link.Sessions.Count || refusal is null)
            folder.Save(await ProveAsync(folder, state, state.Iqn, sink, cancel).ConfigureAwait(false));
        if (refusal is not null)
            throw refusal;
    }

    /// <inheritdoc/>
    public Task<IReadOnlyList<LiveConnection>> ListAsync(CancellationToken cancel) => Task.FromResult(Live(
        ConnectionFolder.List(root).Select(folder => (folder, State: folder.TryLoad()))
            .Where(pair => pair.folder.IsOf(Name, pair.State)).ToArray()));

    // The same login by our own initiator says exactly what is wrong, and proves what the disk is. Gives the portal group of each portal that answers.
    private static async Task<(ScsiUnit Unit, Dictionary<Portal, int?> Groups)> InspectAsync(ConnectionInfo info, IWorkSink sink, CancellationToken cancel)
    {
        ScsiUnit? unit = null;
        BlockStorageException? away = null;
        var groups = new Dictionary<Portal, int?>();
        foreach (var portal in info.Multipath ? info.Portals : [info.Portal!])
        {
            groups[portal] = null;
            sink.Verbose($"Logging in to {info.Iqn} at {portal}.");
            try
            {
                var found = await IscsiDiscovery.InspectAsync(new IscsiLogin(portal, info.Iqn, info.InitiatorIqn, info.Chap, info.MutualChap, info.Timeout),
                    info.Lun, cancel, all: info.Persistent).ConfigureAwait(false);
                if (info.Serial.Length > 0 && found.Serial != info.Serial)
                    throw Wrong(info, $"serial number '{found.Serial}', not '{info.Serial}'");
                if (info.Size > 0 && found.Size != info.Size)
                    throw Wrong(info, $"{found.Size} bytes, not {info.Size}");
                if (unit is not null && (found.Serial != unit.Serial || found.Size != unit.Size))
                    throw Wrong(info, $"another disk at {portal}");
                unit ??= found;
                groups[portal] = found.PortalGroup;
            }
            catch (BlockStorageException error) when (info.Multipath && error.Error == BlockErrors.PortalUnreachable)
            {
                away = error;
                sink.Warning($"{portal} does not answer: {info.Iqn} is connected with a path less.");
            }
        }
        if (unit is null)
            throw away!;
        if (info.Persistent && unit.Disks.Count > 1)
            throw new BlockStorageException(BlockErrors.NotSupported,
                $"'{info.Iqn}' publishes disks {string.Join(", ", unit.Disks)}; a login at boot brings all of them.", info.Iqn, "Leave -Persistent out.");
        if (info.Persistent && info.ReadOnly && !unit.ReadOnly)
            throw new BlockStorageException(BlockErrors.NotSupported,
                $"'{info.Iqn}' can be written, and nobody forbids it after a boot.", info.Iqn, "Publish-IscsiTarget -ReadOnly, or leave -Persistent out.");
        return (unit, groups);
    }

    private async Task LoginAsync(ConnectionInfo info, Dictionary<Portal, int?> groups, IWorkSink sink, CancellationToken cancel)
    {
        var record = new NodeRecord(info.Id);
        var there = groups.Where(each => each.Value is not null).ToArray();
        foreach (var (portal, group) in there)
            record.Write(info, portal, group!.Value);
        var refusal = await _admin.LoginAsync(record, info.Iqn, NodeRecord.LoginTries * NodeRecord.LoginLimit(info), sink, cancel).ConfigureAwait(false);
        if (refusal is not null)
            throw refusal;
        if (!await Poll.UntilAsync(() => KernelSession.List().Count(session => session.Interface == record.Interface && session.Alive) == there.Length, SessionLimit, cancel).ConfigureAwait(false))
            throw new BlockStorageException(BlockErrors.PortalUnreachable, $"The session to '{info.Iqn}' is lost just after its login.", info.Iqn);
    }

    // Gives the state with what has become known.
    private async Task<ConnectionState> ProveAsync(ConnectionFolder folder, ConnectionState state, string iqn, IWorkSink sink, CancellationToken cancel)
    {
        var link = IscsiLink.Find(folder, state);
        var disks = new List<ScsiDisk>();
        foreach (var session in link.Sessions)
            disks.Add(await ProveAsync(session, state, iqn, cancel).ConfigureAwait(false));
        if (disks.Count == 0)
            throw new BlockStorageException(BlockErrors.ConnectionLost, $"There is no session to '{iqn}'.", iqn);
        state = state with { Device = disks[0].Device };
        if (state.Paths.Count == 0)
            return state;
        var wwid = await MultipathDaemon.WwidAsync(disks[0], cancel).ConfigureAwait(false);
        // Before it knows the disk, so that whoever cleans up after us knows that too.
        if (state.WwidsBefore is { } before)
            folder.Save(state = state with { Wwid = before.Contains(wwid) ? "" : wwid, WwidsBefore = null });
        var map = await _multipath.JoinAsync(disks, wwid, sink, cancel).ConfigureAwait(false);
        if (map.Size != state.Size)
            throw new BlockStorageException(BlockErrors.WrongDevice, $"{map.Device} has {map.Size} bytes, not {state.Size}.", iqn);
        if (state.ReadOnly && !map.ReadOnly)
            ScsiDisk.Protect(map.Device);
        return state with { Device = map.Device };
    }

    private static async Task<ScsiDisk> ProveAsync(KernelSession session, ConnectionState state, string iqn, CancellationToken cancel)
    {
        var disk = session.Disk(state.Lun);
        // What the kernel remembers of a disk that was there may be of another one by now.
        if (disk is not null)
            await disk.RescanAsync(cancel).ConfigureAwait(false);
        else
            disk = await ScsiDisk.ScanAsync(session, state.Lun, iqn, cancel).ConfigureAwait(false);
        if (disk.Serial != state.Serial || disk.Size != state.Size)
            throw new BlockStorageException(BlockErrors.WrongDevice, $"The disk of '{iqn}' has serial number '{disk.Serial}' and {disk.Size} bytes as {disk.Device}, not '{state.Serial}' and {state.Size}.", iqn);
        if (disk.ReadOnly == state.ReadOnly)
            return disk;
        if (state.Foreign.Count > 0 || disk.ReadOnly)
            throw new BlockStorageException(BlockErrors.DeviceInUse,
                $"{disk.Device} was connected before, by others, and {(disk.ReadOnly ? "read-only" : "for writing")}.", iqn, "iscsiadm -m session -P 3");
        ScsiDisk.Protect(disk.Device);
        return disk;
    }

    private async Task CloseAsync(IscsiLink link, CancellationToken cancel)
    {
        var (disks, map) = (link.Ending, OwnMap(link));
        foreach (var device in map is null ? disks.Select(disk => disk.Device) : [map.Device])
            await DeviceLink.RequireFreeAsync(device, cancel).ConfigureAwait(false);
        if (link.Disks.Count > 0)
        {
            // Waiting in the kernel for a dead target would hold this process for as long.
            if (link.Up.Count == 0)
                throw new BlockStorageException(BlockErrors.ConnectionLost, $"What was written to {link.Device} cannot be brought to its target: {link.Dead}.", link.Folder.Id);
            await DeviceLink.FlushAsync(link.Device, cancel).ConfigureAwait(false);
        }
        cancel.ThrowIfCancellationRequested();
        if (map is not null)
            await _multipath.RemoveAsync(map, force: false).ConfigureAwait(false);
        await EndDeadAsync(link).ConfigureAwait(false);
        foreach (var disk in disks)
            await disk.DeleteAsync(exclusive: true).ConfigureAwait(false);
        await EndAsync(link, link.Sessions).ConfigureAwait(false);
    }

    private async Task CutAsync(IscsiLink link)
    {
        var (disks, map) = (link.Ending, OwnMap(link));
        var flushed = link.Up.Count > 0 && await TryFlushAsync(link.Device).ConfigureAwait(false);
        // The end of a dead session fails what waits for it, so that unmounting does not wait.
        if (flushed)
            await EndDeadAsync(link).ConfigureAwait(false);
        else
            await EndAsync(link, link.Sessions).ConfigureAwait(false);
        if (map is not null)
        {
            await _multipath.FailFastAsync(map).ConfigureAwait(false);
            DeviceLink.Unmount(map.Device);
            await _multipath.RemoveAsync(map, force: true).ConfigureAwait(false);
        }
        foreach (var disk in disks)
        {
            DeviceLink.Unmount(disk.Device);
            await disk.DeleteAsync(exclusive: false).ConfigureAwait(false);
        }
        await EndAsync(link, link.Sessions).ConfigureAwait(false);
    }

    private Task EndDeadAsync(IscsiLink link) => EndAsync(link, link.Sessions.Where(session => session.Exists && !session.Alive));

    private async Task EndAsync(IscsiLink link, IEnumerable<KernelSession> sessions)
    {
        if (!link.Own)
            return;
        foreach (var session in sessions.ToArray())
            await _admin.LogoutAsync(session, new NodeRecord(link.Folder.Id), link.Folder.Id).ConfigureAwait(false);
    }

    // A map that others have a path in stays with them.
    private static MultipathMap? OwnMap(IscsiLink link)
    {
        var disks = link.Ending;
        return MultipathMap.Over(disks) is { } map && map.Below.All(name => disks.Any(disk => disk.Name == name)) ? map : null;
    }

    private static async Task<bool> TryFlushAsync(string device)
    {
        try
        {
            await DeviceLink.FlushAsync(device, CancellationToken.None).WaitAsync(ForcedFlushLimit).ConfigureAwait(false);
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
        var links = connections.Select(pair => (Link: IscsiLink.Find(pair.Folder, pair.State, sessions), Device: "")).Select(pair => pair with { Device = pair.Link.Device }).ToArray();
        var mounts = DeviceLink.MountPoints(links.Select(pair => pair.Device).Where(device => device.Length > 0).ToArray());
        return links.Select(pair =>
        {
            var (link, device) = pair;
            var dead = link.Dead;
            var note = dead.Length > 0 ? dead : new ScsiHold(link.Folder, runner).Active ? "I/O is held" : link.Degraded;
            return new LiveConnection(link.Folder.Id, device, link.Size, dead.Length == 0, note, mounts[device].ToArray())
            {
                Hctl = link.Disks.FirstOrDefault()?.Hctl ?? "",
                Way = link.Way,
                Reopens = link.Reopens,
            };
        }).ToArray();
    }

    private IscsiLink Require(string connectionId)
    {
        var folder = ConnectionFolder.Of(root, connectionId);
        return folder.Load() is { } state && state.Connector == Name && IscsiLink.Find(folder, state) is { Disks.Count: > 0 } link ? link
            : throw new BlockStorageException(BlockErrors.ConnectionLost, $"Connection {connectionId} has no device.", connectionId);
    }

    private static ConnectedDevice Describe(IscsiLink link) =>
        new(link.Device, link.Size, link.State!.Serial, link.Disks[0].Hctl) { Way = link.Way };

    private static BlockStorageException Wrong(ConnectionInfo info, string what) =>
        new(BlockErrors.WrongDevice, $"The disk of '{info.Iqn}' at {info.Portal} has {what}.", info.Iqn);
}
