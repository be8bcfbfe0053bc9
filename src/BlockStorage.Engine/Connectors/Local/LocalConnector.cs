using BlockStorage.Engine.Host;
using BlockStorage.Services;

namespace BlockStorage.Engine.Connectors.Local;

/// <summary>
/// The volume's own device on this machine: the device itself where the volume is one, else a loop device on its file.
/// A device is also looped where it must be read-only and is not.
/// </summary>
internal sealed class LocalConnector(StateRoot root) : IConnector
{
    /// <inheritdoc/>
    public string Name => "Local";

    /// <inheritdoc/>
    public string Protocol => "local";

    /// <inheritdoc/>
    public Task<DriverProbe> ProbeAsync(CancellationToken cancel) =>
        Task.FromResult(DriverChecks.Probe(["local", "read-only", "online-resize"], "", [DriverChecks.Root(), DriverChecks.Loop()]));

    /// <inheritdoc/>
    public async Task<ConnectedDevice> ConnectAsync(ConnectionInfo info, IWorkSink sink, CancellationToken cancel)
    {
        var folder = ConnectionFolder.Of(root, info.Id);
        if (folder.Load() is { } before)
        {
            if (Devices(before).FirstOrDefault() is { } there && before.BackingFile == info.LocalPath && before.ReadOnly == info.ReadOnly)
                return Describe(folder, before, there);
            await DisconnectAsync(info.Id, force: false, cancel).ConfigureAwait(false);
        }
        var status = Native.Stat(info.LocalPath)
            ?? throw new BlockStorageException(BlockErrors.VolumeDamaged, $"There is no '{info.LocalPath}' to connect.", info.LocalPath);
        var itself = status.IsBlockDevice && (!info.ReadOnly || BlockDevices.IsReadOnly(info.LocalPath));
        var size = status.IsBlockDevice ? BlockDevices.Size(info.LocalPath) : status.Size;
        if (info.Size > 0 && info.Size != size)
            throw new BlockStorageException(BlockErrors.WrongDevice, $"'{info.LocalPath}' has {size} bytes, not {info.Size}.", info.LocalPath);
        var state = new ConnectionState(Name, "", "", 0, info.Serial, size, info.ReadOnly, info.LocalPath, "")
        {
            Foreign = LoopDevices.FindByBackingFile(info.LocalPath),
        };
        cancel.ThrowIfCancellationRequested();
        if (itself)
        {
            folder.Create(root, state with { Device = info.LocalPath });
            return new ConnectedDevice(info.LocalPath, size, info.Serial, "");
        }
        folder.Create(root, state);
        try
        {
            sink.Verbose($"Making a loop device of {info.LocalPath}.");
            var device = await LoopLink.AttachAsync(info.LocalPath, size, info.ReadOnly, directIo: true, info.LocalPath, cancel).ConfigureAwait(false);
            return Describe(folder, state, device);
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
        if ((force ? folder.TryLoad() : folder.Load()) is { } state)
        {
            if (state.Connector != Name)
                return;
            foreach (var device in Devices(state))
            {
                if (!force)
                {
                    await DeviceLink.RequireFreeAsync(device, cancel).ConfigureAwait(false);
                    await DeviceLink.FlushAsync(device, cancel).ConfigureAwait(false);
                }
                else
                    DeviceLink.Unmount(device);
                cancel.ThrowIfCancellationRequested();
                if (device != state.BackingFile)
                    await LoopLink.DetachAsync(device, state.BackingFile, force, CancellationToken.None).ConfigureAwait(false);
            }
        }
        folder.Delete();
    }

    /// <inheritdoc/>
    public Task FlushAsync(string connectionId, CancellationToken cancel) => DeviceLink.FlushAsync(Require(connectionId).Device, cancel);

    /// <inheritdoc/>
    public Task PauseAsync(string connectionId, CancellationToken cancel) => Task.CompletedTask;

    /// <inheritdoc/>
    public Task ResumeAsync(string connectionId, CancellationToken cancel) => Task.CompletedTask;

    /// <inheritdoc/>
    public async Task ResizeAsync(string connectionId, long size, CancellationToken cancel)
    {
        var (folder, state, device) = Require(connectionId);
        if (device != state.BackingFile)
            await LoopLink.ResizeAsync(device, size, cancel).ConfigureAwait(false);
        else if (BlockDevices.Size(device) is var now && now != size)
            throw new BlockStorageException(BlockErrors.WrongDevice, $"{device} has {now} bytes after the resize, not {size}.", device);
        folder.Save(state with { Size = size, Device = device });
    }

    /// <inheritdoc/>
    public Task<IReadOnlyList<LiveConnection>> ListAsync(CancellationToken cancel)
    {
        var all = ConnectionFolder.List(root)
            .Select(folder => (folder.Id, State: folder.TryLoad()))
            .Where(pair => ConnectionFolder.Of(root, pair.Id).IsOf(Name, pair.State))
            .Select(pair => (pair.Id, Device: pair.State is null ? "" : Devices(pair.State).FirstOrDefault() ?? "")).ToArray();
        var mounts = DeviceLink.MountPoints(all.Select(pair => pair.Device).Where(device => device.Length > 0).ToArray());
        return Task.FromResult<IReadOnlyList<LiveConnection>>(all.Select(pair => pair.Device.Length > 0
            ? new LiveConnection(pair.Id, pair.Device, BlockDevices.Size(pair.Device), true, "", mounts[pair.Device].ToArray())
            : new LiveConnection(pair.Id, "", 0, false, "the device is gone", [])).ToArray());
    }

    private ConnectedDevice Describe(ConnectionFolder folder, ConnectionState state, string device)
    {
        folder.Save(state with { Device = device });
        return new ConnectedDevice(device, BlockDevices.Size(device), state.Serial, "");
    }

    private (ConnectionFolder Folder, ConnectionState State, string Device) Require(string connectionId)
    {
        var folder = ConnectionFolder.Of(root, connectionId);
        return folder.Load() is { } state && state.Connector == Name && Devices(state).FirstOrDefault() is { } device
            ? (folder, state, device)
            : throw new BlockStorageException(BlockErrors.ConnectionLost, $"Connection {connectionId} has no device.", connectionId);
    }

    // One that was attached just before a kill is not in the state yet; it is on our file and nobody else's.
    private IReadOnlyList<string> Devices(ConnectionState state)
    {
        if (state.Device == state.BackingFile)
            return Native.Stat(state.Device) is { IsBlockDevice: true } ? [state.Device] : [];
        var there = LoopDevices.FindByBackingFile(state.BackingFile);
        if (state.Device.Length > 0)
            return there.Where(device => device == state.Device).ToArray();
        var claimed = ConnectionFolder.List(root).Select(folder => folder.TryLoad()?.Device);
        return there.Except(state.Foreign).Except(claimed!).ToArray()!;
    }
}
