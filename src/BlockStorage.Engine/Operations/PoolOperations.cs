using BlockStorage.Engine.Catalog;
using BlockStorage.Engine.Host;
using BlockStorage.Engine.Volumes;

namespace BlockStorage.Engine.Operations;

/// <summary>Makes a pool.</summary>
internal sealed record CreatePool(PoolRecord Pool) : Operation
{
    /// <summary>Disks that the pool is made of; empty for a folder or a volume group that there is.</summary>
    public IReadOnlyList<string> Disks { get; init; } = [];

    public override string Action => "Create pool";

    public override string Target => Disks.Count > 0 ? $"{Pool.Name} ({Pool.Driver}) of {string.Join(", ", Disks)}"
        : Pool.Size is long size ? $"{Pool.Name} ({Pool.Driver}, {ByteSize.Format(size)} image) at {Pool.Path}"
        : $"{Pool.Name} ({Pool.Driver}) at {Pool.Path}";

    public override IReadOnlyList<LockKey> Locks() => [new(LockKind.Pool, Pool.Id)];

    public override IReadOnlyList<Step> Steps(OperationContext context)
    {
        var driver = context.Node.Pool(Pool.ToSpec() with { Disks = Disks });
        var list = new PoolList(context.Root);
        return
        [
            new Step(
                Disks.Count > 0 ? $"Make the volume group {Pool.Path} with a thin pool of {string.Join(", ", Disks)}"
                : !Pool.Path.StartsWith('/') ? $"Make a thin pool in the volume group {Pool.Path}"
                : Pool.Size is long size
                    ? $"Make a {ByteSize.Format(size)} XFS image with shared extents in {Pool.Path} and mount it"
                    : $"Make the folder of the pool in {Pool.Path}",
                cancel => driver.CreatePoolAsync(context.Sink, cancel),
                () => driver.DestroyPoolAsync(context.Sink, CancellationToken.None),
                async cancel => (await driver.GetPoolAsync(cancel).ConfigureAwait(false)).Usable),
            new Step($"Note where pool {Pool.Name} is",
                _ => { list.Add(Pool.Id, Pool.Path); return Task.CompletedTask; },
                () => { list.Remove(Pool.Id); return Task.CompletedTask; },
                _ => Task.FromResult(list.Has(Pool.Id))),
        ];
    }

    public override void Begin(ICatalogTransaction catalog, string operationId)
    {
        if (catalog.ListBy<PoolRecord>("path", Pool.Path).FirstOrDefault() is { } other)
            throw new BlockStorageException(BlockErrors.InvalidPath, $"{Pool.Path} is the pool '{other.Name}'.", Pool.Path);
        catalog.Insert(Pool with { State = BlockStates.Creating, OperationId = operationId });
    }

    public override Task<Action<ICatalogTransaction>> CompleteAsync(OperationContext context) => Task.FromResult<Action<ICatalogTransaction>>(
        catalog => catalog.Update(catalog.Get<PoolRecord>(Pool.Id) with { State = BlockStates.Enabled, OperationId = "" }));

    public override Task<Action<ICatalogTransaction>> FailAsync(OperationContext context, string error) =>
        Task.FromResult<Action<ICatalogTransaction>>(catalog => catalog.Delete<PoolRecord>(Pool.Id));
}

/// <summary>Changes name or settings of a pool.</summary>
internal sealed record UpdatePool(PoolRecord Old, PoolRecord New) : Operation
{
    public override string Action => Old.Name == New.Name ? "Set pool" : "Rename pool";

    public override string Target => Old.Name == New.Name ? Old.Name : $"{Old.Name} to {New.Name}";

    public override bool RollsForward(int done) => true;

    public override IReadOnlyList<LockKey> Locks() => [new(LockKind.Pool, Old.Id)];

    public override IReadOnlyList<Step> Steps(OperationContext context) =>
    [
        new Step($"Write the description of pool {New.Name} beside its data",
            async cancel => await (await context.OpenAsync(Old.Id, cancel).ConfigureAwait(false)).UpdatePoolAsync(New.ToSpec(), cancel).ConfigureAwait(false),
            null, _ => Task.FromResult(false)),
    ];

    public override void Begin(ICatalogTransaction catalog, string operationId) => Write(catalog, Old, New with { Version = Old.Version });

    public override Task<Action<ICatalogTransaction>> CompleteAsync(OperationContext context) =>
        Task.FromResult<Action<ICatalogTransaction>>(_ => { });

    public override Task<Action<ICatalogTransaction>> FailAsync(OperationContext context, string error) =>
        Task.FromResult<Action<ICatalogTransaction>>(catalog => Write(catalog, New, Old with { Version = catalog.Get<PoolRecord>(Old.Id).Version }));

    // The default pool is kept by name, and keeps being the default under its new one.
    private static void Write(ICatalogTransaction catalog, PoolRecord from, PoolRecord to)
    {
        catalog.Update(to);
        if (catalog.Find<SettingRecord>(nameof(BlockStorageConfiguration.DefaultPool)) is { } preferred
            && preferred.Value.Equals(from.Name, StringComparison.OrdinalIgnoreCase))
            catalog.Update(preferred with { Value = to.Name });
    }
}

/// <summary>Removes an empty pool.</summary>
internal sealed record RemovePool(PoolRecord Pool) : Operation
{
    public override string Action => "Remove pool";

    public override string Target => $"{Pool.Name} at {Pool.Path}";

    public override bool RollsForward(int done) => true;

    public override IReadOnlyList<LockKey> Locks() => [new(LockKind.Pool, Pool.Id)];

    public override IReadOnlyList<Step> Steps(OperationContext context)
    {
        var driver = context.Node.Pool(Pool.ToSpec());
        return
        [
            new Step(Pool.Path.StartsWith('/') ? $"Unmount and remove what the pool made in {Pool.Path}" : $"Remove what the pool made of and in the volume group {Pool.Path}",
                async cancel =>
                {
                    await driver.DestroyPoolAsync(context.Sink, cancel).ConfigureAwait(false);
                    new PoolList(context.Root).Remove(Pool.Id);
                }, null, _ => Task.FromResult(false)),
        ];
    }

    public override async Task CheckAsync(OperationContext context, CancellationToken cancel)
    {
        var driver = context.Node.Pool(Pool.ToSpec());
        if (!(await driver.GetPoolAsync(cancel).ConfigureAwait(false)).Usable)
            return;
        var known = context.Catalog.Read(catalog => catalog.ListBy<VolumeRecord>("pool_id", Pool.Id).Count + catalog.ListBy<SnapshotRecord>("pool_id", Pool.Id).Count);
        var found = await driver.ListAsync(cancel).ConfigureAwait(false);
        var holds = found.Count(item => item.Kind is BackendKind.Volume or BackendKind.Snapshot);
        if (known == 0 && holds > 0)
        {
            throw new BlockStorageException(BlockErrors.PoolNotEmpty,
                $"Pool '{Pool.Name}' holds {holds} volumes or snapshots that the catalogue does not know.", Pool.Name, "Repair-BlockStorage -WhatIf");
        }
    }

    public override void Begin(ICatalogTransaction catalog, string operationId)
    {
        var volumes = catalog.ListBy<VolumeRecord>("pool_id", Pool.Id).Count;
        var snapshots = catalog.ListBy<SnapshotRecord>("pool_id", Pool.Id).Count;
        if (volumes + snapshots > 0)
        {
            throw new BlockStorageException(BlockErrors.PoolNotEmpty,
                $"Pool '{Pool.Name}' holds {volumes} volumes and {snapshots} snapshots.", Pool.Name,
                $"Get-BlockVolume -Pool '{Pool.Name}' | Remove-BlockVolume -Cascade");
        }
        catalog.Update(catalog.Get<PoolRecord>(Pool.Id) with { State = BlockStates.Deleting, OperationId = operationId });
    }

    public override Task<Action<ICatalogTransaction>> CompleteAsync(OperationContext context) =>
        Task.FromResult<Action<ICatalogTransaction>>(catalog => catalog.Delete<PoolRecord>(Pool.Id));

    public override Task<Action<ICatalogTransaction>> FailAsync(OperationContext context, string error) =>
        Task.FromResult<Action<ICatalogTransaction>>(catalog => catalog.Update(catalog.Get<PoolRecord>(Pool.Id) with
        {
            State = Pool.State,
            LastError = error,
        }));
}
