using BlockStorage.Engine.Catalog;
using BlockStorage.Engine.Operations;
using BlockStorage.Engine.Scheduling;
using BlockStorage.Engine.Services;
using BlockStorage.Engine.Volumes;
using BlockStorage.Services;

namespace BlockStorage.Engine;

public sealed partial class BlockStorageService
{
    /// <inheritdoc/>
    public Task<IReadOnlyList<BlockVolume>> GetVolumesAsync(VolumeQuery query, CancellationToken cancel) => Guard(async () =>
    {
        var (name, id, pool, state) = (Names.Matcher(query.Name), Names.Matcher(query.Id), Names.Matcher(query.Pool), Names.Matcher(query.State));
        // With ten thousand volumes the records and the pools take long to read, so both are read at once.
        var listing = query is { Name: not { Count: > 0 }, Id: not { Count: > 0 } } ? Task.Run(() => ListPoolsAsync(cancel), cancel) : null;
        var view = _catalog.Read(View.Read);
        var chosen = view.Volumes
            .Where(volume => name(volume.Name) && id(volume.Id) && state(volume.State) && pool(view.PoolName(volume.PoolId)))
            .Where(volume => query.Tag is not { Count: > 0 } || volume.Tags.Any(Names.Matcher(query.Tag)))
            .OrderBy(volume => volume.Name, StringComparer.OrdinalIgnoreCase)
            .ToArray();
        var backend = await LookUpAsync(
            chosen.Select(volume => (volume.Id, volume.PoolId)).ToArray(), view, listing is null ? [] : await listing.ConfigureAwait(false), cancel).ConfigureAwait(false);
        return (IReadOnlyList<BlockVolume>)chosen.Select(volume => Mapping.ToModel(
            volume, view.PoolName(volume.PoolId), backend.Find(volume.Id), backend.Health(volume.Id, volume.PoolId, volume.Size, volume.State),
            view.SnapshotCount(volume.Id), view.TargetOfVolume(volume.Id), view.ConnectionOfVolume(volume.Id), _node.Name)).ToArray();
    });

    /// <inheritdoc/>
    public Task<BlockPlan<BlockVolume>> NewVolumeAsync(NewVolumeRequest request, CancellationToken cancel) => Guard(async () =>
    {
        Names.Check(request.Name);
        var provisioning = PoolChoices.Provisioning(request.Provisioning);
        var source = CheckSource(request);
        if (_catalog.Read(catalog => catalog.ListBy<VolumeRecord>("name", request.Name)).FirstOrDefault() is { } existing)
        {
            if (request.IfNotExists)
                return Nothing("Create volume", existing.Name, () => VolumeAsync(existing.Id, cancel));
            RequireFree<VolumeRecord>(request.Name, "", "volume");
        }

        var operations = new List<Operation>();
        var pool = await ChoosePoolAsync(request, source, provisioning, operations, cancel).ConfigureAwait(false);
        var kind = provisioning ?? pool.Provisioning;
        // A pool that this very plan makes cannot be asked yet.
        var status = operations.Count == 0 ? await StatusAsync(pool, cancel).ConfigureAwait(false) : null;
        var granularity = status?.Granularity ?? Granularity;
        var size = request.UseMaximumSize
            ? await LargestAsync(pool, cancel).ConfigureAwait(false)
            : RoundedUp(request.Size ?? source!.Size, granularity);
        if (source is not null && size < source.Size)
        {
            throw new BlockStorageException(BlockErrors.InvalidSize,
                $"'{source.Source.Name}' has {ByteSize.Format(source.Size)}; a volume from it cannot have {ByteSize.Format(size)}.", request.Name,
                $"Use -Size {source.Size} or more, or leave -Size out.");
        }
        if (size < granularity)
            throw new BlockStorageException(BlockErrors.InsufficientSpace, $"Pool '{pool.Name}' has no space left.", pool.Name);

        var volume = new VolumeRecord
        {
            Id = Guid.NewGuid().ToString(),
            Name = request.Name,
            PoolId = pool.Id,
            Size = size,
            Provisioning = kind,
            Description = request.Description ?? "",
            Tags = request.Tag ?? [],
            State = BlockStates.Creating,
            CreatedAt = DateTime.UtcNow,
        };
        if (status is not null)
            RequireSpace(pool, status, size, kind == "thick" ? size : 0);
        operations.Add(new CreateVolume(volume, pool.Name, source?.Source));
        var plan = Plan(operations, (_, stop) => VolumeAsync(volume.Id, stop));
        return operations.Count == 1 ? plan : WithFirstPool(plan, operations[0], request);
    });

    /// <inheritdoc/>
    public Task<BlockPlan<BlockVolume>> SetVolumeAsync(string id, SetVolumeRequest request, CancellationToken cancel) => Guard(() =>
    {
        var old = Find<VolumeRecord>(id);
        var changed = old with
        {
            Description = request.Description ?? old.Description,
            Tags = request.Tag ?? old.Tags,
            ReadOnly = request.ReadOnly ?? old.ReadOnly,
        };
        if (changed.ReadOnly != old.ReadOnly && old.State == BlockStates.InUse)
            throw new BlockStorageException(BlockErrors.VolumeInUse, $"Volume '{old.Name}' is connected; its device would not follow.", old.Name, $"Disconnect-BlockVolume -Volume '{old.Name}'");
        if (changed.ReadOnly != old.ReadOnly && _catalog.Read(View.Read).TargetOfVolume(id) is { } target)
            throw new BlockStorageException(BlockErrors.VolumePublished, $"Volume '{old.Name}' is published by {target.Name}, which would not follow.", old.Name, $"Unpublish-IscsiTarget -Volume '{old.Name}'");
        return Task.FromResult(Plan([new UpdateVolume(old, changed)], (_, stop) => VolumeAsync(id, stop)));
    });

    /// <inheritdoc/>
    public Task<BlockPlan<BlockVolume>> RenameVolumeAsync(string id, string newName, CancellationToken cancel) => Guard(() =>
    {
        Names.Check(newName);
        var old = Find<VolumeRecord>(id);
        RequireFree<VolumeRecord>(newName, id, "volume");
        return Task.FromResult(Plan([new UpdateVolume(old, old with { Name = newName })], (_, stop) => VolumeAsync(id, stop)));
    });

    /// <inheritdoc/>
    public Task<BlockPlan<BlockVolume>> ResizeVolumeAsync(string id, ResizeVolumeRequest request, CancellationToken cancel) => Guard(async () =>
    {
        var view = _catalog.Read(View.Read);
        var volume = Find<VolumeRecord>(id);
        var pool = Find<PoolRecord>(volume.PoolId);
        var status = await StatusAsync(pool, cancel).ConfigureAwait(false);
        var size = request switch
        {
            { Increase: long more } when more > long.MaxValue - volume.Size => throw new BlockStorageException(
                BlockErrors.InvalidSize, $"Volume '{volume.Name}' cannot grow by {ByteSize.Format(more)}.", volume.Name),
            { Increase: long more } => RoundedUp(volume.Size + more, status.Granularity),
            { UseMaximumSize: true } => volume.Size + await LargestAsync(pool, cancel).ConfigureAwait(false),
            { Size: long wanted } => RoundedUp(wanted, status.Granularity),
            _ => throw new BlockStorageException(BlockErrors.InvalidArgument, "Give exactly one of Size, Increase and UseMaximumSize.", volume.Name),
        };
        if (size == volume.Size)
            return Nothing("Resize volume", $"{volume.Name} is {ByteSize.Format(size)}", () => VolumeAsync(id, cancel));
        if (size < volume.Size && !request.AllowShrink)
        {
            throw new BlockStorageException(BlockErrors.ShrinkNotAllowed,
                $"Volume '{volume.Name}' has {ByteSize.Format(volume.Size)} and cannot become {ByteSize.Format(size)}: what lies behind the new end would be lost.", volume.Name,
                $"Get-BlockVolumeSupportedSize -Volume '{volume.Name}', or where nothing lies there: Resize-BlockVolume -Name '{volume.Name}' -Size {size} -AllowShrink");
        }
        if (size < volume.Size)
        {
            if (size < status.Granularity)
                throw new BlockStorageException(BlockErrors.InvalidSize, $"Volume '{volume.Name}' cannot become {ByteSize.Format(size)}.", volume.Name);
            RequireUnused(view, volume, []);
            _catalog.Read(catalog => { Dependants.RequireNoSnapshot(catalog, volume); return true; });
            StateTable.Require(volume.Name, volume.State, BlockStates.Extending);
            return Plan([new ResizeVolume(volume, pool.Name, size, "", [])], (_, stop) => VolumeAsync(id, stop));
        }
        StateTable.Require(volume.Name, volume.State, BlockStates.Extending);
        var grow = size - volume.Size;
        RequireSpace(pool, status, grow, volume.Provisioning == "thick" ? grow : 0);
        return Plan(
            [new ResizeVolume(volume, pool.Name, size, view.TargetOfVolume(id)?.Id ?? "",
                view.Connections.Where(c => c.VolumeId == id && c.SnapshotId.Length == 0).Select(c => c.Id).ToArray())],
            (_, stop) => VolumeAsync(id, stop));
    });

    /// <inheritdoc/>
    public Task<BlockPlan<bool>> RemoveVolumeAsync(string id, bool cascade, bool force, CancellationToken cancel) => Guard(() =>
    {
        if (IsGone<VolumeRecord>(id))
            return Task.FromResult(Gone("Remove volume", id));
        var view = _catalog.Read(View.Read);
        var volume = Find<VolumeRecord>(id);
        var pool = view.PoolName(volume.PoolId);
        var snapshots = view.Snapshots.Where(snapshot => snapshot.VolumeId == id).ToArray();
        var operations = new List<Operation>();
        if (force)
        {
            foreach (var connection in view.Connections.Where(c => c.VolumeId == id && (c.SnapshotId.Length == 0 || cascade)))
                operations.Add(new Disconnect(connection, view.NameOf(connection), Force: true));
            foreach (var target in view.Targets.Where(t => t.VolumeId == id && (t.SnapshotId.Length == 0 || cascade)))
                operations.Add(Unpublishing(view, target, removeTarget: target.Automatic, force: true));
        }
        if (cascade)
            operations.AddRange(snapshots.Select(snapshot => new RemoveSnapshot(snapshot, volume.Name, pool)));
        // Told now rather than halfway: a later step could not take back an earlier one.
        if (!force)
            RequireUnused(view, volume, cascade ? snapshots : []);
        if (!cascade)
            _catalog.Read(catalog => { Dependants.RequireNoSnapshot(catalog, volume); return true; });
        operations.Add(new RemoveVolume(volume, pool));
        return Task.FromResult(Plan(operations, (_, _) => Task.FromResult(true)));
    });

    /// <inheritdoc/>
    public Task<BlockSizeRange> GetVolumeSizesAsync(string volumeId, CancellationToken cancel) => Guard(async () =>
    {
        var volume = Find<VolumeRecord>(volumeId);
        var pool = Find<PoolRecord>(volume.PoolId);
        var status = await StatusAsync(pool, cancel).ConfigureAwait(false);
        var capacity = Capacity(pool, status);
        var more = Rounded(volume.Provisioning == "thick" ? capacity.ThickAvailable : capacity.ThinAvailable, status);
        return new BlockSizeRange
        {
            Name = volume.Name,
            Id = volume.Id,
            Server = _node.Name,
            MinimumSize = volume.Size,
            MaximumSize = more > long.MaxValue - volume.Size ? Rounded(long.MaxValue, status) : volume.Size + more,
            Granularity = status.Granularity,
            CurrentSize = volume.Size,
        };
    });

    private static void RequireUnused(View view, VolumeRecord volume, IReadOnlyList<SnapshotRecord> snapshots)
    {
        if (view.ConnectionOfVolume(volume.Id) is { } connection)
        {
            throw new BlockStorageException(BlockErrors.VolumeInUse,
                $"Volume '{volume.Name}' is connected as {connection.DevicePath}.", volume.Name, $"Disconnect-BlockVolume -Volume '{volume.Name}'");
        }
        if (view.TargetOfVolume(volume.Id) is { } target)
        {
            throw new BlockStorageException(BlockErrors.VolumePublished,
                $"Volume '{volume.Name}' is published by {target.Name}.", volume.Name, $"Unpublish-IscsiTarget -Volume '{volume.Name}'");
        }
        foreach (var snapshot in snapshots)
        {
            if (view.Targets.FirstOrDefault(t => t.SnapshotId == snapshot.Id) is { } published)
            {
                throw new BlockStorageException(BlockErrors.VolumePublished,
                    $"Snapshot '{snapshot.Name}' is published by {published.Name}.", snapshot.Name, $"Get-IscsiTarget -Name '{published.Name}' | Unpublish-IscsiTarget");
            }
            if (view.Connections.FirstOrDefault(c => c.SnapshotId == snapshot.Id) is { } connected)
            {
                throw new BlockStorageException(BlockErrors.VolumeInUse,
                    $"Snapshot '{snapshot.Name}' is connected as {connected.DevicePath}.", snapshot.Name, $"Disconnect-BlockVolume -DevicePath {connected.DevicePath}");
            }
        }
    }

    private async Task<BlockVolume> VolumeAsync(string id, CancellationToken cancel) =>
        (await GetVolumesAsync(new VolumeQuery(Id: [id]), cancel).ConfigureAwait(false)).FirstOrDefault()
        ?? throw new BlockStorageException(BlockErrors.VolumeNotFound, $"Volume {id} does not exist any more.", id);

    private void RequireSpace(PoolRecord pool, PoolStatus status, long size, long physical)
    {
        // A pool that is not mounted now is opened, and measured, when the plan runs.
        if (status.Usable)
            Capacity(pool, status).Require(size, physical, pool.Name);
    }

    // What is free and allowed; a pool that is not mounted cannot be measured.
    private async Task<long> LargestAsync(PoolRecord pool, CancellationToken cancel)
    {
        await TryOpenAsync(_node.Pool(pool.ToSpec()), cancel).ConfigureAwait(false);
        var status = await StatusAsync(pool, cancel).ConfigureAwait(false);
        return Rounded(Capacity(pool, status).ThickAvailable, status);
    }

    private sealed record SourceInfo(VolumeSource Source, string PoolId, long Size);

    private SourceInfo? CheckSource(NewVolumeRequest request)
    {
        var from = new[] { request.FromSnapshot, request.FromVolume }.Count(text => !string.IsNullOrEmpty(text));
        var sizes = (request.Size is null ? 0 : 1) + (request.UseMaximumSize ? 1 : 0);
        if (from > 1 || sizes > 1 || from + sizes == 0 || (from == 1 && request.UseMaximumSize))
        {
            throw new BlockStorageException(BlockErrors.InvalidArgument,
                $"Give exactly one of Size, UseMaximumSize, FromSnapshot and FromVolume for volume '{request.Name}'; Size may stand beside From.", request.Name,
                $"New-BlockVolume -Name '{request.Name}' -Size 10GB");
        }
        if (!string.IsNullOrEmpty(request.FromSnapshot))
        {
            var snapshot = One<SnapshotRecord>(request.FromSnapshot, BlockErrors.SnapshotNotFound, "snapshot");
            StateTable.RequireSteady(snapshot.Name, snapshot.State);
            return new SourceInfo(new VolumeSource(BackendKind.Snapshot, snapshot.Id, snapshot.Name), snapshot.PoolId, snapshot.Size);
        }
        if (!string.IsNullOrEmpty(request.FromVolume))
        {
            var volume = One<VolumeRecord>(request.FromVolume, BlockErrors.VolumeNotFound, "volume");
            StateTable.RequireSteady(volume.Name, volume.State);
            return new SourceInfo(new VolumeSource(BackendKind.Volume, volume.Id, volume.Name), volume.PoolId, volume.Size);
        }
        return null;
    }

    /// <summary>The record of that name or id.</summary>
    private T One<T>(string nameOrId, BlockError missing, string noun) where T : CatalogRecord => _catalog.Read(catalog =>
        catalog.ListBy<T>("name", nameOrId).FirstOrDefault() ?? catalog.Find<T>(nameOrId))
        ?? throw new BlockStorageException(missing, $"There is no {noun} '{nameOrId}'.", nameOrId);

    private async Task<PoolRecord> ChoosePoolAsync(
        NewVolumeRequest request, SourceInfo? source, string? provisioning, List<Operation> before, CancellationToken cancel)
    {
        var named = string.IsNullOrEmpty(request.Pool) ? null : One<PoolRecord>(request.Pool, BlockErrors.PoolNotFound, "pool");
        if (source is not null)
        {
            var home = Find<PoolRecord>(source.PoolId);
            if (named is not null && named.Id != home.Id)
            {
                throw new BlockStorageException(BlockErrors.NotSupported,
                    $"'{source.Source.Name}' is in pool '{home.Name}'; a copy into pool '{named.Name}' is not possible yet.", request.Name,
                    $"New-BlockVolume -Name '{request.Name}' -FromVolume '{source.Source.Name}' -Pool '{home.Name}'");
            }
            return home;
        }
        var pools = await CompletePoolsAsync(cancel).ConfigureAwait(false);
        if (named is null && pools.Count == 0)
        {
            if (await PlanFirstPoolAsync(cancel).ConfigureAwait(false) is not { } made)
                return await ChoosePoolAsync(request, source, provisioning, before, cancel).ConfigureAwait(false);
            before.Add(new CreatePool(made));
            if (request.UseMaximumSize)
                throw new BlockStorageException(BlockErrors.InvalidArgument, "There is no pool yet whose maximum could be used.", request.Name, "New-BlockPool -Name default -Driver File -Path /srv/blockstorage");
            return made;
        }
        var preferred = named ?? pools.FirstOrDefault(pool => pool.Name.Equals(ReadSettings().DefaultPool, StringComparison.OrdinalIgnoreCase));
        if (preferred is { State: BlockStates.Enabled })
            return preferred;
        if (preferred is not null)
            throw new BlockStorageException(BlockErrors.PoolUnavailable, $"Pool '{preferred.Name}' is {preferred.State}.", preferred.Name, $"Get-BlockPool -Name '{preferred.Name}' | Format-List");

        var candidates = new List<PoolScheduler.Candidate>();
        foreach (var pool in pools)
        {
            var driver = _node.Pool(pool.ToSpec());
            var status = await driver.GetPoolAsync(cancel).ConfigureAwait(false);
            if (!status.Usable && pool.State == BlockStates.Enabled)
            {
                await TryOpenAsync(driver, cancel).ConfigureAwait(false);
                status = await driver.GetPoolAsync(cancel).ConfigureAwait(false);
            }
            candidates.Add(new PoolScheduler.Candidate(pool, status.Usable,
                _catalog.Read(catalog => PoolCapacity.Of(pool, status, catalog)), driver.Capabilities.Thin, driver.Capabilities.Thick));
        }
        return PoolScheduler.Choose(candidates, request.Size ?? Granularity, provisioning);
    }

    // A pool that cannot be opened is passed over by the scheduler, which tells so when no other fits.
    private static async Task TryOpenAsync(IVolumeDriver driver, CancellationToken cancel)
    {
        try
        {
            await driver.OpenPoolAsync(Host.SilentSink.Instance, cancel).ConfigureAwait(false);
        }
        catch (BlockStorageException)
        {
        }
    }
}
