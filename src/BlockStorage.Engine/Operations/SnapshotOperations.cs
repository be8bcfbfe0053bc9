using BlockStorage.Engine.Catalog;
using BlockStorage.Engine.Volumes;

namespace BlockStorage.Engine.Operations;

/// <summary>Takes a snapshot of a volume as it is at one moment.</summary>
internal sealed record CreateSnapshot(SnapshotRecord Snapshot, string Volume, string PoolName) : Operation
{
    private PoolStatus? _status;
    private long _cost;

    public override string Action => "Create snapshot";

    public override string Target => $"{Snapshot.Name} of volume {Volume} ({ByteSize.Format(Snapshot.Size)})";

    public override string VolumeName => Volume;

    public override IReadOnlyList<LockKey> Locks() =>
        [LockKey.PoolShared(Snapshot.PoolId), new(LockKind.Volume, Snapshot.VolumeId), new(LockKind.Snapshot, Snapshot.Id)];

    public override IReadOnlyList<Step> Steps(OperationContext context)
    {
        var driver = context.Driver(Snapshot.PoolId);
        return
        [
            new Step($"Write out what the kernel holds for volume {Volume}",
                cancel => context.FlushAsync(Snapshot.VolumeId, cancel), null, _ => Task.FromResult(true)),
            new Step($"{(driver.Capabilities.SharesExtents ? "Share the extents" : "Copy the data")} of volume {Volume} in pool {PoolName}",
                async cancel =>
                {
                    await driver.CreateSnapshotAsync(Snapshot.ToIdentity(), context.Sink, cancel).ConfigureAwait(false);
                    // Somebody may have logged in while data was copied: then the copy may be torn and must not stand.
                    await context.RequireQuietAsync(context.Get<VolumeRecord>(Snapshot.VolumeId), driver, cancel).ConfigureAwait(false);
                },
                () => driver.DeleteAsync(Snapshot.Id, CancellationToken.None),
                async cancel => await driver.FindAsync(Snapshot.Id, cancel).ConfigureAwait(false) is not null),
        ];
    }

    public override async Task CheckAsync(OperationContext context, CancellationToken cancel)
    {
        var driver = await context.OpenAsync(Snapshot.PoolId, cancel).ConfigureAwait(false);
        var volume = context.Get<VolumeRecord>(Snapshot.VolumeId);
        StateTable.RequireSteady(volume.Name, volume.State);
        await context.RequireQuietAsync(volume, driver, cancel).ConfigureAwait(false);
        _cost = await driver.GetCopyCostAsync(Snapshot.VolumeId, cancel).ConfigureAwait(false);
        _status = await driver.GetPoolAsync(cancel).ConfigureAwait(false);
    }

    public override void Begin(ICatalogTransaction catalog, string operationId)
    {
        var volume = catalog.Get<VolumeRecord>(Snapshot.VolumeId);
        StateTable.RequireSteady(volume.Name, volume.State);
        catalog.Take(this, operationId, Snapshot.PoolId, _status!, 0, _cost);
        catalog.Insert(Snapshot with { State = BlockStates.Creating, Size = volume.Size, OperationId = operationId, Pending = _cost });
    }

    public override async Task<Action<ICatalogTransaction>> CompleteAsync(OperationContext context)
    {
        var found = await context.Driver(Snapshot.PoolId).FindAsync(Snapshot.Id, CancellationToken.None).ConfigureAwait(false)
            ?? throw new BlockStorageException(BlockErrors.VolumeDamaged, $"Snapshot '{Snapshot.Name}' is not in pool {PoolName} after it was made.", Snapshot.Name);
        return catalog => catalog.Update(catalog.Get<SnapshotRecord>(Snapshot.Id) with
        {
            State = BlockStates.Available,
            Size = found.Size,
            OperationId = "",
            Pending = 0,
        });
    }

    public override Task<Action<ICatalogTransaction>> FailAsync(OperationContext context, string error) =>
        Task.FromResult<Action<ICatalogTransaction>>(catalog => catalog.Delete<SnapshotRecord>(Snapshot.Id));
}

/// <summary>Changes texts of a snapshot.</summary>
internal sealed record UpdateSnapshot(SnapshotRecord Old, SnapshotRecord New) : Operation
{
    public override string Action => "Set snapshot";

    public override string Target => Old.Name;

    public override bool RollsForward(int done) => true;

    public override IReadOnlyList<LockKey> Locks() => [LockKey.PoolShared(Old.PoolId), new(LockKind.Snapshot, Old.Id)];

    public override IReadOnlyList<Step> Steps(OperationContext context) =>
    [
        new Step($"Write the description of snapshot {New.Name} beside its data",
            async cancel => await (await context.OpenAsync(Old.PoolId, cancel).ConfigureAwait(false))
                .UpdateIdentityAsync(context.Get<SnapshotRecord>(Old.Id).ToIdentity(), cancel).ConfigureAwait(false),
            null, _ => Task.FromResult(false)),
    ];

    public override void Begin(ICatalogTransaction catalog, string operationId) => catalog.Update(New with { Version = Old.Version });

    public override Task<Action<ICatalogTransaction>> CompleteAsync(OperationContext context) =>
        Task.FromResult<Action<ICatalogTransaction>>(_ => { });

    public override Task<Action<ICatalogTransaction>> FailAsync(OperationContext context, string error) =>
        Task.FromResult<Action<ICatalogTransaction>>(catalog => catalog.Update(catalog.Get<SnapshotRecord>(Old.Id) with
        {
            Description = Old.Description,
            Tags = Old.Tags,
            ExpiresAt = Old.ExpiresAt,
        }));
}

/// <summary>Removes a snapshot that has no target or connection.</summary>
internal sealed record RemoveSnapshot(SnapshotRecord Snapshot, string Volume, string PoolName) : Operation
{
    public override string Action => "Remove snapshot";

    public override string Target => $"{Snapshot.Name} of volume {Volume} ({ByteSize.Format(Snapshot.Size)})";

    public override string VolumeName => Volume;

    public override bool RollsForward(int done) => true;

    public override IReadOnlyList<LockKey> Locks() => [LockKey.PoolShared(Snapshot.PoolId), new(LockKind.Snapshot, Snapshot.Id)];

    public override IReadOnlyList<Step> Steps(OperationContext context)
    {
        var driver = context.Driver(Snapshot.PoolId);
        return
        [
            new Step($"Free what only snapshot {Snapshot.Name} uses in pool {PoolName}",
                cancel => driver.DeleteAsync(Snapshot.Id, cancel), null, _ => Task.FromResult(false)),
        ];
    }

    public override async Task CheckAsync(OperationContext context, CancellationToken cancel) =>
        await context.OpenAsync(Snapshot.PoolId, cancel).ConfigureAwait(false);

    public override void Begin(ICatalogTransaction catalog, string operationId)
    {
        var now = catalog.Get<SnapshotRecord>(Snapshot.Id);
        if (now.State is not (BlockStates.Available or BlockStates.Error))
            throw new BlockStorageException(BlockErrors.InvalidState, $"Snapshot '{now.Name}' is {now.State}.", now.Name);
        Dependants.RequireNone(catalog, now);
        catalog.Update(now with { State = BlockStates.Deleting, OperationId = operationId, LastError = "" });
    }

    public override Task<Action<ICatalogTransaction>> CompleteAsync(OperationContext context) =>
        Task.FromResult<Action<ICatalogTransaction>>(catalog => catalog.Delete<SnapshotRecord>(Snapshot.Id));

    public override Task<Action<ICatalogTransaction>> FailAsync(OperationContext context, string error) =>
        Task.FromResult<Action<ICatalogTransaction>>(catalog => catalog.Update(catalog.Get<SnapshotRecord>(Snapshot.Id) with
        {
            State = BlockStates.Error,
            LastError = error,
        }));
}

/// <summary>Sets a volume back to a snapshot. The snapshot stays; the size of the volume stays.</summary>
internal sealed record RestoreSnapshot(SnapshotRecord Snapshot, VolumeRecord Volume, string PoolName, string TargetId) : Operation
{
    private PoolStatus? _status;
    private long _cost;

    public override string Action => "Restore snapshot";

    public override string Target => $"{Snapshot.Name} to volume {Volume.Name} ({ByteSize.Format(Volume.Size)})";

    public override string VolumeName => Volume.Name;

    // The swap is atomic and nothing can use the volume meanwhile, so finishing is always right.
    public override bool RollsForward(int done) => true;

    public override IReadOnlyList<LockKey> Locks()
    {
        var keys = new List<LockKey>
        {
            LockKey.PoolShared(Snapshot.PoolId), new(LockKind.Volume, Volume.Id), new(LockKind.Snapshot, Snapshot.Id, Shared: true),
        };
        if (TargetId.Length > 0)
            keys.Add(new LockKey(LockKind.Target, TargetId));
        return keys;
    }

    public override IReadOnlyList<Step> Steps(OperationContext context)
    {
        var driver = context.Driver(Volume.PoolId);
        var steps = new List<Step>
        {
            new($"Put the data of snapshot {Snapshot.Name} in place of volume {Volume.Name}",
                cancel => driver.RevertAsync(Volume.Id, Snapshot.Id, context.Sink, cancel), null, _ => Task.FromResult(false)),
        };
        if (Volume.Size > Snapshot.Size)
        {
            steps.Add(new Step($"Grow {Volume.Name} back to {ByteSize.Format(Volume.Size)}",
                cancel => driver.ResizeAsync(Volume.Id, Volume.Size, Volume.Provisioning == "thick", cancel), null, _ => Task.FromResult(false)));
        }
        if (TargetId.Length > 0)
        {
            steps.Add(new Step($"Let the target of {Volume.Name} read the new data",
                async cancel =>
                {
                    var target = context.Get<TargetRecord>(TargetId);
                    var targets = await context.Node.TargetDriverAsync(target.Driver, cancel).ConfigureAwait(false);
                    var export = await context.ExportAsync(target, cancel).ConfigureAwait(false);
                    await targets.PublishAsync(export, context.Sink, cancel).ConfigureAwait(false);
                    await targets.ResizeAsync(export, cancel).ConfigureAwait(false);
                }, null, _ => Task.FromResult(false)));
        }
        return steps;
    }

    public override async Task CheckAsync(OperationContext context, CancellationToken cancel)
    {
        // Somebody may have removed either while we waited for the locks.
        context.Get<VolumeRecord>(Volume.Id);
        context.Get<SnapshotRecord>(Snapshot.Id);
        var driver = await context.OpenAsync(Volume.PoolId, cancel).ConfigureAwait(false);
        _cost = await driver.GetCopyCostAsync(Snapshot.Id, cancel).ConfigureAwait(false);
        _status = await driver.GetPoolAsync(cancel).ConfigureAwait(false);
        if (TargetId.Length == 0)
            return;
        var target = context.Get<TargetRecord>(TargetId);
        var report = await (await context.Node.TargetDriverAsync(target.Driver, cancel).ConfigureAwait(false)).ListAsync(cancel).ConfigureAwait(false);
        if (report.Targets.FirstOrDefault(live => live.Iqn == target.Name)?.Sessions is { Count: > 0 } sessions)
        {
            throw new BlockStorageException(BlockErrors.TargetHasSessions,
                $"{sessions[0].Initiator} is logged in to the target of volume '{Volume.Name}'.", Volume.Name,
                $"Disconnect it there, or Unpublish-IscsiTarget -Volume '{Volume.Name}' -Force");
        }
    }

    public override void Begin(ICatalogTransaction catalog, string operationId)
    {
        var now = catalog.Get<VolumeRecord>(Volume.Id);
        StateTable.Require(now.Name, now.State, BlockStates.Reverting);
        if (catalog.Get<SnapshotRecord>(Snapshot.Id).State != BlockStates.Available)
            throw new BlockStorageException(BlockErrors.InvalidState, $"Snapshot '{Snapshot.Name}' is not available.", Snapshot.Name);
        Dependants.RequirePlanned(catalog, now, TargetId, []);
        if (now.Size != Volume.Size)
            throw new BlockStorageException(BlockErrors.Conflict, $"Volume '{now.Name}' has been resized to {ByteSize.Format(now.Size)} meanwhile.", now.Name);
        catalog.Take(this, operationId, Volume.PoolId, _status!, 0, _cost);
        catalog.Update(now with { State = BlockStates.Reverting, OperationId = operationId, Pending = _cost });
    }

    public override Task<Action<ICatalogTransaction>> CompleteAsync(OperationContext context) => SettleAsync(context, "");

    public override Task<Action<ICatalogTransaction>> FailAsync(OperationContext context, string error) => SettleAsync(context, error);

    private async Task<Action<ICatalogTransaction>> SettleAsync(OperationContext context, string error)
    {
        var driver = context.Driver(Volume.PoolId);
        await driver.CleanAsync(Volume.Id, CancellationToken.None).ConfigureAwait(false);
        var found = await driver.FindAsync(Volume.Id, CancellationToken.None).ConfigureAwait(false);
        return catalog => catalog.Update(catalog.Get<VolumeRecord>(Volume.Id) with
        {
            State = found is null ? BlockStates.Error : BlockStates.Available,
            Size = found?.Size ?? Volume.Size,
            LastError = error,
            OperationId = "",
            Pending = 0,
        });
    }
}
