using System.Text.Json.Serialization;
using BlockStorage.Engine.Catalog;
using BlockStorage.Engine.Targets;
using BlockStorage.Services;

namespace BlockStorage.Engine.Operations;

/// <summary>Secrets on their way into files. They are never part of the journal.</summary>
internal sealed class NewSecrets
{
    private readonly Dictionary<string, ChapCredential> _byId = new(StringComparer.Ordinal);

    /// <summary>Number of secrets.</summary>
    public int Count => _byId.Count;

    /// <summary>Adds one under the id of its grant.</summary>
    public void Add(string id, ChapCredential credential) => _byId.Add(id, credential);

    /// <summary>The step that keeps them.</summary>
    /// <param name="context">Context.</param>
    /// <param name="ids">Their ids, also known to a recovering process that has no secrets.</param>
    public Step Step(OperationContext context, IReadOnlyList<string> ids) => new(
        $"Keep {ids.Count} CHAP secret{(ids.Count == 1 ? "" : "s")} in files that only root can read",
        _ =>
        {
            foreach (var (id, credential) in _byId)
                context.Secrets.Save(id, credential);
            return Task.CompletedTask;
        },
        () =>
        {
            foreach (var id in ids)
                context.Secrets.Delete(id);
            return Task.CompletedTask;
        },
        _ => Task.FromResult(ids.All(context.Secrets.Has)));
}

/// <summary>Makes a target, and publishes a volume or snapshot on it; or publishes one on an empty target.</summary>
internal sealed record Publish(TargetRecord Record, IReadOnlyList<GrantRecord> Grants, string What, string PoolId, bool Exists) : Operation
{
    /// <summary>Secrets of the new grants and of the target itself.</summary>
    [JsonIgnore]
    public NewSecrets Secrets { get; init; } = new();

    public override string Action => Record.Lun is null ? "Create target" : "Publish";

    public override string Target => Record.Lun is null
        ? $"{Record.Name} at {string.Join(", ", Record.Portals)}"
        : $"{What} as LUN {Record.Lun} of {Record.Name} at {string.Join(", ", Record.Portals)}{(Record.ReadOnly ? ", read-only" : "")}";

    public override string VolumeName => What;

    private IReadOnlyList<string> SecretIds => [.. Grants.Where(grant => grant.UserName.Length > 0).Select(grant => grant.Id),
        .. Record.MutualSecretId.Length > 0 && !Exists ? [Record.MutualSecretId] : Array.Empty<string>()];

    public override IReadOnlyList<LockKey> Locks()
    {
        var keys = new List<LockKey> { new(LockKind.Target, Record.Id) };
        if (PoolId.Length > 0)
            keys.Add(LockKey.PoolShared(PoolId));
        if (Record.SnapshotId.Length > 0)
            keys.Add(new LockKey(LockKind.Snapshot, Record.SnapshotId));
        else if (Record.VolumeId.Length > 0)
            keys.Add(new LockKey(LockKind.Volume, Record.VolumeId));
        return keys;
    }

    public override IReadOnlyList<Step> Steps(OperationContext context)
    {
        var steps = new List<Step>();
        if (SecretIds.Count > 0)
            steps.Add(Secrets.Step(context, SecretIds));
        steps.Add(new Step(
            $"Serve {Record.Name} at {string.Join(", ", Record.Portals)} for {Who}",
            async cancel =>
            {
                var driver = await DriverAsync(context, cancel).ConfigureAwait(false);
                await driver.PublishAsync(await context.ExportAsync(Record.Id, cancel).ConfigureAwait(false), context.Sink, cancel).ConfigureAwait(false);
            },
            async () =>
            {
                var driver = await DriverAsync(context, CancellationToken.None).ConfigureAwait(false);
                if (Exists)
                    await driver.RemoveLunAsync(Record.Name, Record.Lun!.Value, CancellationToken.None).ConfigureAwait(false);
                else
                    await driver.UnpublishAsync(Record.Name, force: true, CancellationToken.None).ConfigureAwait(false);
            },
            async cancel => (await (await DriverAsync(context, cancel).ConfigureAwait(false)).FindAsync(Record.Name, cancel).ConfigureAwait(false))
                .Targets.Any(live => live.Iqn == Record.Name && (Record.Lun is null || live.Luns.Any(lun => lun.Number == Record.Lun && lun.Online)))));
        return steps;
    }

    public override void Begin(ICatalogTransaction catalog, string operationId)
    {
        RequirePublishable(catalog);
        if (Exists)
        {
            var target = catalog.Get<TargetRecord>(Record.Id);
            if (target.Lun is not null)
                throw new BlockStorageException(BlockErrors.TargetInUse, $"{target.Name} publishes something else meanwhile.", target.Name);
            catalog.Update(Record with { Version = target.Version, MutualSecretId = target.MutualSecretId, OperationId = operationId });
            return;
        }
        catalog.Insert(Record with { State = BlockStates.Creating, OperationId = operationId });
        foreach (var grant in Grants)
            catalog.Insert(grant);
    }

    // The probe of the last step is what proves it; here only the record follows.
    public override Task<Action<ICatalogTransaction>> CompleteAsync(OperationContext context) => Task.FromResult<Action<ICatalogTransaction>>(
        catalog => catalog.Update(catalog.Get<TargetRecord>(Record.Id) with { State = BlockStates.Available, OperationId = "" }));

    public override Task<Action<ICatalogTransaction>> FailAsync(OperationContext context, string error) => Task.FromResult<Action<ICatalogTransaction>>(catalog =>
    {
        if (Exists)
        {
            catalog.Update(catalog.Get<TargetRecord>(Record.Id).Emptied());
            return;
        }
        catalog.Delete<TargetRecord>(Record.Id);
        foreach (var grant in Grants)
            catalog.Delete<GrantRecord>(grant.Id);
    });

    private string Who => Grants.Count == 0 ? "nobody yet"
        : string.Join(", ", Grants.Select(grant => $"{(grant.Initiator == "*" ? "any initiator" : grant.Initiator)} {(grant.UserName.Length > 0 ? "with CHAP" : "without CHAP")}"));

    private Task<ITargetDriver> DriverAsync(OperationContext context, CancellationToken cancel) =>
        context.Node.TargetDriverAsync(Record.Driver, cancel);

    private void RequirePublishable(ICatalogTransaction catalog)
    {
        if (Record.SnapshotId.Length > 0)
        {
            var snapshot = catalog.Get<SnapshotRecord>(Record.SnapshotId);
            StateTable.RequireSteady(snapshot.Name, snapshot.State);
            if (catalog.ListBy<TargetRecord>("snapshot_id", snapshot.Id).FirstOrDefault(t => t.Id != Record.Id) is { } publisher)
                throw new BlockStorageException(BlockErrors.VolumePublished, $"Snapshot '{snapshot.Name}' is published by {publisher.Name}.", snapshot.Name);
            return;
        }
        if (Record.VolumeId.Length == 0)
            return;
        var volume = catalog.Get<VolumeRecord>(Record.VolumeId);
        StateTable.RequireSteady(volume.Name, volume.State);
        if (catalog.ListBy<ConnectionRecord>("volume_id", volume.Id).FirstOrDefault(c => c.SnapshotId.Length == 0 && c.Protocol == "local") is { } local)
        {
            throw new BlockStorageException(BlockErrors.VolumeInUse,
                $"Volume '{volume.Name}' is connected locally as {local.DevicePath}; two ways to write to it would damage it.", volume.Name,
                $"Disconnect-BlockVolume -Volume '{volume.Name}'");
        }
        if (catalog.ListBy<TargetRecord>("volume_id", volume.Id).FirstOrDefault(t => t.SnapshotId.Length == 0 && t.Id != Record.Id) is { } other)
            throw new BlockStorageException(BlockErrors.VolumePublished, $"Volume '{volume.Name}' is published by {other.Name}.", volume.Name);
    }
}

/// <summary>Stops publishing, or removes a target.</summary>
internal sealed record Unpublish(TargetRecord Record, string What, bool RemoveTarget, bool Force) : Operation
{
    public override string Action => RemoveTarget && Record.Lun is null ? "Remove target" : "Unpublish";

    public override string Target => What.Length > 0 ? $"{What} from {Record.Name}" : Record.Name;

    public override string VolumeName => What;

    public override bool RollsForward(int done) => true;

    public override IReadOnlyList<LockKey> Locks()
    {
        var keys = new List<LockKey> { new(LockKind.Target, Record.Id) };
        if (Record.SnapshotId.Length > 0)
            keys.Add(new LockKey(LockKind.Snapshot, Record.SnapshotId));
        else if (Record.VolumeId.Length > 0)
            keys.Add(new LockKey(LockKind.Volume, Record.VolumeId));
        return keys;
    }

    public override IReadOnlyList<Step> Steps(OperationContext context)
    {
        var steps = new List<Step>
        {
            new(RemoveTarget ? $"Remove target {Record.Name}{(Force ? " and end its sessions" : "")}" : $"Remove LUN {Record.Lun} from {Record.Name}",
                async cancel =>
                {
                    var driver = await context.Node.TargetDriverAsync(Record.Driver, cancel).ConfigureAwait(false);
                    if (RemoveTarget)
                        await driver.UnpublishAsync(Record.Name, Force, cancel).ConfigureAwait(false);
                    else if (Record.Lun is int lun)
                        await driver.RemoveLunAsync(Record.Name, lun, cancel).ConfigureAwait(false);
                }, null, _ => Task.FromResult(false)),
        };
        if (RemoveTarget)
        {
            steps.Add(new Step("Forget its access rights and CHAP secrets", _ =>
            {
                var (target, grants) = context.Catalog.Read(catalog => (catalog.Get<TargetRecord>(Record.Id), catalog.ListBy<GrantRecord>("target_id", Record.Id)));
                foreach (var id in grants.Select(grant => grant.Id).Append(target.MutualSecretId).Where(id => id.Length > 0))
                    context.Secrets.Delete(id);
                return Task.CompletedTask;
            }, null, _ => Task.FromResult(false)));
        }
        return steps;
    }

    public override async Task CheckAsync(OperationContext context, CancellationToken cancel)
    {
        context.Catalog.Read(catalog => { RequireDisconnected(catalog); return true; });
        if (Force)
            return;
        var driver = await context.Node.TargetDriverAsync(Record.Driver, cancel).ConfigureAwait(false);
        var report = await driver.FindAsync(Record.Name, cancel).ConfigureAwait(false);
        if (report.Targets.FirstOrDefault(live => live.Iqn == Record.Name)?.Sessions is { Count: > 0 } sessions)
            throw new BlockStorageException(BlockErrors.TargetHasSessions, $"{sessions[0].Initiator} is logged in to {Record.Name}.", Record.Name);
    }

    public override void Begin(ICatalogTransaction catalog, string operationId)
    {
        RequireDisconnected(catalog);
        catalog.Update(catalog.Get<TargetRecord>(Record.Id) with { State = BlockStates.Deleting, OperationId = operationId });
    }

    public override Task<Action<ICatalogTransaction>> CompleteAsync(OperationContext context) => Task.FromResult<Action<ICatalogTransaction>>(catalog =>
    {
        if (!RemoveTarget)
        {
            catalog.Update(catalog.Get<TargetRecord>(Record.Id).Emptied());
            return;
        }
        foreach (var grant in catalog.ListBy<GrantRecord>("target_id", Record.Id))
            catalog.Delete<GrantRecord>(grant.Id);
        catalog.Delete<TargetRecord>(Record.Id);
    });

    public override Task<Action<ICatalogTransaction>> FailAsync(OperationContext context, string error) =>
        Task.FromResult<Action<ICatalogTransaction>>(catalog => catalog.Update(
            catalog.Get<TargetRecord>(Record.Id) with { State = BlockStates.Available, LastError = error }));

    private void RequireDisconnected(ICatalogReader catalog)
    {
        if (catalog.ListBy<ConnectionRecord>("iqn", Record.Name).FirstOrDefault() is { } connection)
        {
            throw new BlockStorageException(BlockErrors.VolumeInUse,
                $"{Record.Name} is connected on this machine as {connection.DevicePath}.", Record.Name,
                $"Disconnect-BlockVolume -DevicePath {connection.DevicePath}");
        }
    }
}

/// <summary>Forms of a target record.</summary>
internal static class TargetRecordExtensions
{
    /// <summary>The target with nothing on it.</summary>
    public static TargetRecord Emptied(this TargetRecord target) => target with
    {
        State = BlockStates.Available,
        OperationId = "",
        VolumeId = "",
        SnapshotId = "",
        Lun = null,
        ReadOnly = false,
        Serial = "",
    };
}
