using BlockStorage.Engine.Host;
using BlockStorage.Engine.Targets.Iscsi;
using BlockStorage.Services;

namespace BlockStorage.Engine.Connectors.Userspace;

/// <summary>
/// iSCSI without kernel modules: qemu-storage-daemon logs in and shows the disk as a file, a loop device makes it a
/// block device. The device outlives us and the session is taken up again when the target comes back.
/// </summary>
internal sealed class UserspaceConnector(StateRoot root, ICommandRunner runner) : IConnector
{
    private readonly DaemonLauncher _launcher = new(runner);

    /// <inheritdoc/>
    public string Name => "Userspace";

    /// <inheritdoc/>
    public string Protocol => "iscsi";

    /// <inheritdoc/>
    public Task<DriverProbe> ProbeAsync(CancellationToken cancel) => UserspaceProbe.RunAsync(runner, cancel);

    /// <inheritdoc/>
    public async Task<ConnectedDevice> ConnectAsync(ConnectionInfo info, IWorkSink sink, CancellationToken cancel)
    {
        if (info.Portal is not { } portal)
            throw new BlockStorageException(BlockErrors.InvalidArgument, "An iSCSI connection needs a portal.", info.Iqn);
        if (runner.Find(StorageDaemon.Tool) is null)
            throw new BlockStorageException(BlockErrors.ToolMissing, $"'{StorageDaemon.Tool}' is not installed.", StorageDaemon.Tool, StorageDaemon.Packages);
        var folder = ConnectionFolder.Of(root, info.Id);
        if (folder.Load() is { } before)
        {
            if (before.Iqn == info.Iqn && before.Portal == portal.ToString() && (info.Lun < 0 || before.Lun == info.Lun)
                && Live(info.Id).FirstOrDefault() is { Alive: true } live)
                return new ConnectedDevice(live.DevicePath, live.Size, before.Serial, "");
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

        var daemon = new StorageDaemon(folder);
        var state = new ConnectionState(Name, portal.ToString(), info.Iqn, unit.Lun, unit.Serial, unit.Size, info.ReadOnly || unit.ReadOnly, daemon.ExportFile, "");
        cancel.ThrowIfCancellationRequested();
        folder.Create(root, state);
        try
        {
            sink.Verbose("Starting qemu-storage-daemon.");
            await daemon.StartAsync(_launcher, info, unit.Lun, state.ReadOnly, cancel).ConfigureAwait(false);
            if (await daemon.SizeAsync(cancel).ConfigureAwait(false) is var size && size != unit.Size)
                throw Wrong(info, $"{size} bytes through qemu-storage-daemon, not {unit.Size}");
            // Never with direct I/O: it sends several writes at once, and qemu 7.2 lets the next one overwrite the buffer
            // of one that is under way. Buffered writes to a FUSE file go one by one.
            var device = await LoopLink.AttachAsync(daemon.ExportFile, unit.Size, state.ReadOnly, directIo: false, info.Iqn, cancel).ConfigureAwait(false);
            folder.Save(state with { Device = device });
            return new ConnectedDevice(device, unit.Size, unit.Serial, "");
        }
        catch
        {
            await DisconnectAsync(info.Id, force: true, CancellationToken.None).ConfigureAwait(false);
            throw;
        }
    }

    /// <inheritdoc/>
    public async Task DisconnectAsync(string connectionId, bool force, CancellationToken cancel)
    {
        var folder = ConnectionFolder.Of(root, connectionId);
        // Where the state is damaged everything of ours is still found by the folder alone.
        var state = force ? folder.TryLoad() : folder.Load();
        if (state is not null && state.Connector != Name)
            return;
        var daemon = new StorageDaemon(folder);
        var dead = force && Live(connectionId).FirstOrDefault() is not { Alive: true };
        daemon.Resume();
        foreach (var device in LoopDevices.FindByBackingFile(daemon.ExportFile))
        {
            if (!force)
            {
                await DeviceLink.RequireFreeAsync(device, cancel).ConfigureAwait(false);
                await DeviceLink.FlushAsync(device, cancel).ConfigureAwait(false);
            }
            else
            {
                // A dead link is cut first: what waits for it fails now instead of never.
                if (dead)
                    await daemon.EndAsync(force: true).ConfigureAwait(false);
                DeviceLink.Unmount(device);
            }
            cancel.ThrowIfCancellationRequested();
            // Once its link is cut the device shows another path for the same file.
            await LoopLink.DetachAsync(device, LoopDevices.BackingFile(device) ?? daemon.ExportFile, force, CancellationToken.None).ConfigureAwait(false);
        }
        await daemon.EndAsync(dead).ConfigureAwait(false);
        folder.Delete();
    }

    /// <inheritdoc/>
    public Task FlushAsync(string connectionId, CancellationToken cancel) => DeviceLink.FlushAsync(Require(connectionId).Device, cancel);

    /// <inheritdoc/>
    public Task PauseAsync(string connectionId, CancellationToken cancel) =>
        new StorageDaemon(ConnectionFolder.Of(root, connectionId)).PauseAsync(cancel);

    /// <inheritdoc/>
    public Task ResumeAsync(string connectionId, CancellationToken cancel)
    {
        new StorageDaemon(ConnectionFolder.Of(root, connectionId)).Resume();
        return Task.CompletedTask;
    }

    /// <inheritdoc/>
    public async Task ResizeAsync(string connectionId, long size, CancellationToken cancel)
    {
        var (folder, state, device) = Require(connectionId);
        await new StorageDaemon(folder).ResizeAsync(size, cancel).ConfigureAwait(false);
        await LoopLink.ResizeAsync(device, size, cancel).ConfigureAwait(false);
        folder.Save(state with { Size = size });
    }

    /// <inheritdoc/>
    public Task<IReadOnlyList<LiveConnection>> ListAsync(CancellationToken cancel) => Task.FromResult(Live());

    private IReadOnlyList<LiveConnection> Live(string? id = null)
    {
        var folders = ConnectionFolder.List(root).Where(folder => (id is null || folder.Id == id) && IsOurs(folder)).ToArray();
        if (folders.Length == 0)
            return [];
        var loops = LoopDevices.List().ToLookup(pair => pair.BackingFile, pair => pair.Device);
        var devices = folders.ToDictionary(folder => folder.Id, folder => loops[new StorageDaemon(folder).ExportFile].FirstOrDefault() ?? "");
        var mounts = DeviceLink.MountPoints(devices.Values.Where(device => device.Length > 0).ToArray());
        return folders.Select(folder =>
        {
            var device = devices[folder.Id];
            var process = new StorageDaemon(folder).Process;
            var trouble = process is null ? "the qemu-storage-daemon has ended"
                : device.Length == 0 ? "the loop device is gone"
                : StorageDaemon.LinkTrouble(process.Pid, TcpLinks.List(process.Pid));
            var held = trouble.Length == 0 && StorageDaemon.IsStopped(process!.Pid) ? "I/O is held" : "";
            return new LiveConnection(folder.Id, device, device.Length > 0 ? BlockDevices.Size(device) : 0,
                trouble.Length == 0, trouble + held, mounts[device].ToArray());
        }).ToArray();
    }

    // A damaged state is told by what is still there.
    private bool IsOurs(ConnectionFolder folder) => folder.IsOf(Name, folder.TryLoad());

    private (ConnectionFolder Folder, ConnectionState State, string Device) Require(string connectionId)
    {
        var folder = ConnectionFolder.Of(root, connectionId);
        return folder.Load() is { } state && state.Connector == Name
            && LoopDevices.FindByBackingFile(state.BackingFile).FirstOrDefault() is { } device
            ? (folder, state, device)
            : throw new BlockStorageException(BlockErrors.ConnectionLost, $"Connection {connectionId} has no device.", connectionId);
    }

    private static BlockStorageException Wrong(ConnectionInfo info, string what) =>
        new(BlockErrors.WrongDevice, $"The disk of '{info.Iqn}' at {info.Portal} has {what}.", info.Iqn);
}
