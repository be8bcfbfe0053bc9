using BlockStorage.Services;

namespace BlockStorage.Commands;

/// <summary>Volumes, narrowed by -Pool.</summary>
internal sealed class VolumeCompleter : NameCompleter
{
    /// <inheritdoc/>
    protected override string GroupParameter => "Pool";

    /// <inheritdoc/>
    protected override async Task<IReadOnlyList<Candidate>> ListAsync(IBlockStorageService service) =>
        [.. (await service.GetVolumesAsync(new VolumeQuery(), default).ConfigureAwait(false)).Select(volume => new Candidate(
            volume.Name, $"{ByteSize.Format(volume.Size)} {volume.Provisioning}, {volume.State}, pool {volume.Pool}", volume.Pool))];
}

/// <summary>Pools.</summary>
internal sealed class PoolCompleter : NameCompleter
{
    /// <inheritdoc/>
    protected override async Task<IReadOnlyList<Candidate>> ListAsync(IBlockStorageService service) =>
        [.. (await service.GetPoolsAsync(new ObjectQuery(), default).ConfigureAwait(false)).Select(pool => new Candidate(
            pool.Name, $"{ByteSize.Format(pool.FreeSize)} free of {ByteSize.Format(pool.TotalSize)}, {pool.State}"))];
}

/// <summary>Snapshots, narrowed by -Volume.</summary>
internal sealed class SnapshotCompleter : NameCompleter
{
    /// <inheritdoc/>
    protected override string GroupParameter => "Volume";

    /// <inheritdoc/>
    protected override async Task<IReadOnlyList<Candidate>> ListAsync(IBlockStorageService service) =>
        [.. (await service.GetSnapshotsAsync(new SnapshotQuery(), default).ConfigureAwait(false)).Select(snapshot => new Candidate(
            snapshot.Name, $"{ByteSize.Format(snapshot.Size)} of volume {snapshot.Volume}, {snapshot.State}", snapshot.Volume))];
}

/// <summary>IQNs of targets.</summary>
internal sealed class TargetCompleter : NameCompleter
{
    /// <inheritdoc/>
    protected override async Task<IReadOnlyList<Candidate>> ListAsync(IBlockStorageService service) =>
        [.. (await service.GetTargetsAsync(new TargetQuery(), default).ConfigureAwait(false)).Select(target => new Candidate(
            target.Iqn, $"{ByteSize.Format(target.Size)}, {target.State}, volume {target.Volume}"))];
}

/// <summary>Devices of connections.</summary>
internal sealed class DeviceCompleter : NameCompleter
{
    /// <inheritdoc/>
    protected override async Task<IReadOnlyList<Candidate>> ListAsync(IBlockStorageService service) =>
        [.. (await service.GetConnectionsAsync(new ConnectionQuery(), default).ConfigureAwait(false))
            .Where(connection => connection.DevicePath.Length > 0)
            .Select(connection => new Candidate(
                connection.DevicePath, $"{ByteSize.Format(connection.Size)}, {connection.State}, volume {connection.Volume}"))];
}

/// <summary>Drivers.</summary>
internal sealed class DriverCompleter : NameCompleter
{
    /// <inheritdoc/>
    protected override async Task<IReadOnlyList<Candidate>> ListAsync(IBlockStorageService service) =>
        [.. (await service.GetDriversAsync(default).ConfigureAwait(false)).Select(driver => new Candidate(
            driver.Name, $"{driver.Kind}, {(driver.Usable ? "usable" : driver.Reason)}"))];
}

/// <summary>Operations.</summary>
internal sealed class OperationCompleter : NameCompleter
{
    /// <inheritdoc/>
    protected override async Task<IReadOnlyList<Candidate>> ListAsync(IBlockStorageService service) =>
        [.. (await service.GetOperationsAsync(new OperationQuery(), default).ConfigureAwait(false)).Select(operation => new Candidate(
            operation.Id, $"{operation.Kind} {operation.Target}, {operation.State}"))];
}
