using System.Text.Json.Serialization;
using BlockStorage.Engine.Catalog;
using BlockStorage.Engine.Volumes;

namespace BlockStorage.Engine.Operations;

/// <summary>Where the data of a new volume comes from.</summary>
/// <param name="Kind">Volume or Snapshot.</param>
/// <param name="Id">Id.</param>
/// <param name="Name">Name.</param>
internal sealed record VolumeSource(BackendKind Kind, string Id, string Name);

/// <summary>Makes a volume, empty or with the data of another.</summary>
internal sealed record CreateVolume(VolumeRecord Volume, string PoolName, VolumeSource? Source) : Operation
{
    private PoolStatus? _status;
    private long _cost;

    public override string Action => Source is null ? "Create volume" : Source.Kind == BackendKind.Volume ? "Copy volume" : "Create volume from snapshot";

    public override string Target => $"{(Source is null ? "" : Source.Name + " to ")}{Volume.Name} ({ByteSize.Format(Volume.Size)}, {Volume.Provisioning}) in pool {PoolName}";

    public override string VolumeName => Volume.Name;

    [JsonIgnore]
    private bool Thick => Volume.Provisioning == "thick";

    public override IReadOnlyList<LockKey> Locks()
    {
        var keys = new List<LockKey> { LockKey.PoolShared(Volume.PoolId), new(LockKind.Volume, Volume.Id) };
        if (Source is not null)
            keys.Add(new LockKey(Source.Kind == BackendKind.Volume ? LockKind.Volume : LockKind.Snapshot, Source.Id, Shared: true));
        return keys;
    }

    public override IReadOnlyList<Step> Steps(OperationContext context)
    {
        // Asked for late: a plan that also makes the pool is shown before the pool is there.
        IVolumeDriver Driver() => context.Driver(Volume.PoolId);
        var identity = Volume.ToIdentity();
        var text = Source is null
            ? $"Allocate {ByteSize.Format(Volume.Size)} {Volume.Provisioning} in pool {PoolName}"
            : $"{(Driver().Capabilities.SharesExtents ? "Share the extents" : "Copy the data")} of {Source.Name} in pool {PoolName}";
        return
        [
            new Step(text,
                async cancel =>
                {
                    if (Source is null)
                    {
                        await Driver().CreateAsync(identity, Thick, context.Sink, cancel).ConfigureAwait(false);
                        return;
                    }
                    if (Source.Kind == BackendKind.Volume)
                        await context.FlushAsync(Source.Id, cancel).ConfigureAwait(false);
                    await Driver().CreateFromAsync(identity, Source.Id, Thick, context.Sink, cancel).ConfigureAwait(false);
                },
                () => Driver().DeleteAsync(Volume.Id, CancellationToken.None),
                async cancel => await Driver().FindAsync(Volume.Id, cancel).ConfigureAwait(false) is not null),
        ];
    }

    public override async Task CheckAsync(OperationContext context, CancellationToken cancel)
    {
        var driver = await context.OpenAsync(Volume.PoolId, cancel).ConfigureAwait(false);
        _cost = Thick ? Volume.Size : 0;
        if (Source is { Kind: BackendKind.Volume })
        {
            var source = context.Get<VolumeRecord>(Source.Id);
            StateTable.RequireSteady(source.Name, source.State);
            if (source.Size > Volume.Size)
                throw new BlockStorageException(BlockErrors.Conflict, $"Volume '{source.Name}' has grown to {ByteSize.Format(source.Size)} meanwhile.", source.Name);
            await context.RequireQuietAsync(source, driver, cancel).ConfigureAwait(false);
        }
        if (Source is { Kind: BackendKind.Snapshot })
        {
            var source = context.Get<SnapshotRecord>(Source.Id);
            StateTable.RequireSteady(source.Name, source.State);
        }
        if (Source is not null)
            _cost = Math.Max(_cost, await driver.GetCopyCostAsync(Source.Id, cancel).ConfigureAwait(false));
        _status = await driver.GetPoolAsync(cancel).ConfigureAwait(false);
    }

    public override void Begin(ICatalogTransaction catalog, string operationId)
    {
        catalog.Take(this, operationId, Volume.PoolId, _status!, Volume.Size, _cost);
        catalog.Insert(Volume with { State = BlockStates.Creating, OperationId = operationId, Pending = _cost });
    }

    public override async Task<Action<ICatalogTransaction>> CompleteAsync(OperationContext context)
    {
        var found = await context.Driver(Volume.PoolId).FindAsync(Volume.Id, CancellationToken.None).ConfigureAwait(false)
            ?? throw new BlockStorageException(BlockErrors.VolumeDamaged, $"Volume '{Volume.Name}' is not in pool {PoolName} after it was made.", Volume.Name);
        return catalog => catalog.Update(catalog.Get<VolumeRecord>(Volume.Id) with
        {
            State = BlockStates.Available,
            Size = found.Size,
            OperationId = "",
            Pending = 0,
        });
    }

    public override Task<Action<ICatalogTransaction>> FailAsync(OperationContext context, string error) =>
        Task.FromResult<Action<ICatalogTransaction>>(catalog => catalog.Delete<VolumeRecord>(Volume.Id));
}

/// <summary>Changes name, texts or flags of a volume. Device, IQN and serial stay.</summary>
internal sealed record UpdateVolume(VolumeRecord Old, VolumeRecord New) : Operation
{
    public override string Action => Old.Name == New.Name ? "Set volume" : "Rename volume";

    public override string Target => Old.Name == New.Name ? Old.Name : $"{Old.Name} to {New.Name}";

    public override string VolumeName => Old.Name;

    public override bool RollsForward(int done) => true;

    public override IReadOnlyList<LockKey> Locks() => [LockKey.PoolShared(Old.PoolId), new(LockKind.Volume, Old.Id)];

    public override IReadOnlyList<Step> Steps(OperationContext context) =>
    [
        new Step($"Write the description of volume {New.Name} beside its data",
            async cancel => await (await context.OpenAsync(Old.PoolId, cancel).ConfigureAwait(false))
                .UpdateIdentityAsync(context.Get<VolumeRecord>(Old.Id).ToIdentity(), cancel).ConfigureAwait(false),
            null, _ => Task.FromResult(false)),
    ];

    public override void Begin(ICatalogTransaction catalog, string operationId)
    {
        StateTable.RequireSteady(Old.Name, catalog.Get<VolumeRecord>(Old.Id).State);
        // Compare-and-swap with what the plan was made from: nobody's change is lost.
        catalog.Update(New with { Version = Old.Version });
    }

    public override Task<Action<ICatalogTransaction>> CompleteAsync(OperationContext context) =>
        Task.FromResult<Action<ICatalogTransaction>>(_ => { });

    public override Task<Action<ICatalogTransaction>> FailAsync(OperationContext context, string error) =>
        Task.FromResult<Action<ICatalogTransaction>>(catalog => catalog.Update(catalog.Get<VolumeRecord>(Old.Id) with
        {
            Name = Old.Name,
            Description = Old.Description,
            Tags = Old.Tags,
            ReadOnly = Old.ReadOnly,
        }));
}

/// <summary>Removes a volume that has no snapshot, target or connection.</summary>
internal sealed record RemoveVolume(VolumeRecord Volume, string PoolName) : Operation
{
    public override string Action => "Remove volume";

    public override string Target => $"{Volume.Name} ({ByteSize.Format(Volume.Size)}) from pool {PoolName}";

    public override string VolumeName => Volume.Name;

    public override bool RollsForward(int done) => true;

    public override IReadOnlyList<LockKey> Locks() => [LockKey.PoolShared(Volume.PoolId), new(LockKind.Volume, Volume.Id)];

    public override IReadOnlyList<Step> Steps(OperationContext context)
    {
        var driver = context.Driver(Volume.PoolId);
        return
        [
            new Step($"Free the space of volume {Volume.Name} in pool {PoolName}",
                cancel => driver.DeleteAsync(Volume.Id, cancel), null, _ => Task.FromResult(false)),
        ];
    }

    public override async Task CheckAsync(OperationContext context, CancellationToken cancel) =>
        await context.OpenAsync(Volume.PoolId, cancel).ConfigureAwait(false);

    public override void Begin(ICatalogTransaction catalog, string operationId)
    {
        var now = catalog.Get<VolumeRecord>(Volume.Id);
        StateTable.Require(now.Name, now.State, BlockStates.Deleting);
        Dependants.RequireNone(catalog, now);
        catalog.Update(now with { State = BlockStates.Deleting, OperationId = operationId, LastError = "" });
    }

    public override Task<Action<ICatalogTransaction>> CompleteAsync(OperationContext context) =>
        Task.FromResult<Action<ICatalogTransaction>>(catalog => catalog.Delete<VolumeRecord>(Volume.Id));

    public override Task<Action<ICatalogTransaction>> FailAsync(OperationContext context, string error) =>
        Task.FromResult<Action<ICatalogTransaction>>(catalog => catalog.Update(catalog.Get<VolumeRecord>(Volume.Id) with
        {
            State = BlockStates.Error,
            LastError = error,
        }));
}

/// <summary>What keeps a volume or snapshot from being removed.</summary>
internal static class Dependants
{
    /// <summary>Refuses while the volume has snapshots, is published or connected.</summary>
    public static void RequireNone(ICatalogReader catalog, VolumeRecord volume)
    {
        var targets = catalog.ListBy<TargetRecord>("volume_id", volume.Id).Where(target => target.SnapshotId.Length == 0).ToArray();
        if (targets.Length > 0)
        {
            throw new BlockStorageException(BlockErrors.VolumePublished,
                $"Volume '{volume.Name}' is published by {targets[0].Name}.", volume.Name, $"Unpublish-IscsiTarget -Volume '{volume.Name}'");
        }
        RequireNoSnapshot(catalog, volume);
    }

    /// <summary>Refuses while the volume has snapshots.</summary>
    public static void RequireNoSnapshot(ICatalogReader catalog, VolumeRecord volume)
    {
        var snapshots = catalog.ListBy<SnapshotRecord>("volume_id", volume.Id);
        if (snapshots.Count > 0)
        {
            throw new BlockStorageException(BlockErrors.SnapshotDependency,
                $"Volume '{volume.Name}' has {snapshots.Count} snapshots: {string.Join(", ", snapshots.Take(5).Select(s => s.Name))}{(snapshots.Count > 5 ? " ..." : "")}.",
                volume.Name, $"Remove-BlockVolume -Name '{volume.Name}' -Cascade");
        }
    }

    /// <summary>Refuses while initiators could write to the volume.</summary>
    public static void RequireNoWriterTarget(ICatalogReader catalog, VolumeRecord volume)
    {
        if (catalog.ListBy<TargetRecord>("volume_id", volume.Id).FirstOrDefault(t => t is { SnapshotId.Length: 0, ReadOnly: false }) is { } target)
        {
            throw new BlockStorageException(BlockErrors.VolumePublished,
                $"Volume '{volume.Name}' is published by {target.Name}; two ways to write to it would damage it.", volume.Name,
                $"Connect-BlockVolume -Volume '{volume.Name}' -Protocol iscsi");
        }
    }

    /// <summary>Refuses when the volume has been published, unpublished, connected or disconnected since the plan was made.</summary>
    public static void RequirePlanned(ICatalogReader catalog, VolumeRecord volume, string targetId, IReadOnlyList<string> connectionIds)
    {
        var target = catalog.ListBy<TargetRecord>("volume_id", volume.Id).FirstOrDefault(t => t.SnapshotId.Length == 0)?.Id ?? "";
        var connections = catalog.ListBy<ConnectionRecord>("volume_id", volume.Id).Where(c => c.SnapshotId.Length == 0).Select(c => c.Id);
        if (target != targetId || !connections.ToHashSet(StringComparer.Ordinal).SetEquals(connectionIds))
            throw new BlockStorageException(BlockErrors.Conflict, $"Volume '{volume.Name}' has been published or connected otherwise meanwhile.", volume.Name);
    }

    /// <summary>Refuses while the snapshot is published or connected.</summary>
    public static void RequireNone(ICatalogReader catalog, SnapshotRecord snapshot)
    {
        if (catalog.ListBy<ConnectionRecord>("snapshot_id", snapshot.Id).FirstOrDefault() is { } connection)
        {
            throw new BlockStorageException(BlockErrors.VolumeInUse,
                $"Snapshot '{snapshot.Name}' is connected as {connection.DevicePath}.", snapshot.Name,
                $"Disconnect-BlockVolume -DevicePath {connection.DevicePath}");
        }
        if (catalog.ListBy<TargetRecord>("snapshot_id", snapshot.Id).FirstOrDefault() is { } target)
        {
            throw new BlockStorageException(BlockErrors.VolumePublished,
                $"Snapshot '{snapshot.Name}' is published by {target.Name}.", snapshot.Name,
                $"Get-IscsiTarget -Name '{target.Name}' | Unpublish-IscsiTarget");
        }
    }
}
