using BlockStorage.Engine.Catalog;
using BlockStorage.Engine.Connectors;
using BlockStorage.Engine.Volumes;

namespace BlockStorage.Engine.Operations;

/// <summary>Makes a volume larger: in the pool, at its target, at its connections. Smaller only where it has none of these.</summary>
internal sealed record ResizeVolume(VolumeRecord Volume, string PoolName, long NewSize, string TargetId, IReadOnlyList<string> ConnectionIds) : Operation
{
    private PoolStatus? _status;

    public override string Action => "Resize volume";

    public override string Target => $"{Volume.Name} from {ByteSize.Format(Volume.Size)} to {ByteSize.Format(NewSize)}";

    public override string VolumeName => Volume.Name;

    // What has grown may be in use and is never made smaller again.
    public override bool RollsForward(int done) => true;

    private bool Shrinks => NewSize < Volume.Size;

    private bool Thick => Volume.Provisioning == "thick";

    public override IReadOnlyList<LockKey> Locks()
    {
        var keys = new List<LockKey> { LockKey.PoolShared(Volume.PoolId), new(LockKind.Volume, Volume.Id) };
        if (TargetId.Length > 0)
            keys.Add(new LockKey(LockKind.Target, TargetId));
        keys.AddRange(ConnectionIds.Select(id => new LockKey(LockKind.Connection, id)));
        return keys;
    }

    public override IReadOnlyList<Step> Steps(OperationContext context)
    {
        var driver = context.Driver(Volume.PoolId);
        if (Shrinks)
        {
            return
            [
                new($"Prove that {Volume.Name} is not open and reads as zeros behind {ByteSize.Format(NewSize)}, and cut it there in pool {PoolName}",
                    cancel => driver.ShrinkAsync(Volume.Id, NewSize, context.Sink, cancel), null,
                    async cancel => (await driver.FindAsync(Volume.Id, cancel).ConfigureAwait(false))?.Size <= NewSize),
            ];
        }
        var steps = new List<Step>
        {
            new($"Grow {Volume.Name} to {ByteSize.Format(NewSize)} {Volume.Provisioning} in pool {PoolName}",
                cancel => driver.ResizeAsync(Volume.Id, NewSize, Thick, cancel), null,
                async cancel => (await driver.FindAsync(Volume.Id, cancel).ConfigureAwait(false))?.Size >= NewSize),
        };
        if (TargetId.Length > 0)
        {
            steps.Add(new Step($"Show the new size of {Volume.Name} at its target",
                cancel => ShowAtTargetAsync(context, cancel), null, _ => Task.FromResult(false)));
        }
        foreach (var id in ConnectionIds)
        {
            steps.Add(new Step($"Show the new size of {Volume.Name} at its device",
                async cancel => await (await ConnectorAsync(context, id, cancel).ConfigureAwait(false)).ResizeAsync(id, NewSize, cancel).ConfigureAwait(false),
                null, _ => Task.FromResult(false)));
        }
        return steps;
    }

    public override async Task CheckAsync(OperationContext context, CancellationToken cancel)
    {
        var driver = await context.OpenAsync(Volume.PoolId, cancel).ConfigureAwait(false);
        _status = await driver.GetPoolAsync(cancel).ConfigureAwait(false);
        foreach (var id in ConnectionIds)
        {
            var live = await (await ConnectorAsync(context, id, cancel).ConfigureAwait(false)).LiveAsync(id, cancel).ConfigureAwait(false);
            if (live is not { Alive: true })
            {
                throw new BlockStorageException(BlockErrors.ConnectionLost,
                    $"The connection of volume '{Volume.Name}' is dead: {live?.Reason ?? "nothing of it is left"}", Volume.Name);
            }
        }
    }

    public override void Begin(ICatalogTransaction catalog, string operationId)
    {
        var now = catalog.Get<VolumeRecord>(Volume.Id);
        StateTable.Require(now.Name, now.State, BlockStates.Extending);
        if (now.Size != Volume.Size)
            throw new BlockStorageException(BlockErrors.Conflict, $"Volume '{now.Name}' has been resized to {ByteSize.Format(now.Size)} meanwhile.", now.Name);
        Dependants.RequirePlanned(catalog, now, TargetId, ConnectionIds);
        if (Shrinks)
            Dependants.RequireNone(catalog, now);
        var grow = Math.Max(0, NewSize - Volume.Size);
        catalog.Take(this, operationId, Volume.PoolId, _status!, grow, Thick ? grow : 0);
        catalog.Update(now with { State = BlockStates.Extending, OperationId = operationId, Pending = Thick ? grow : 0 });
    }

    public override async Task<Action<ICatalogTransaction>> CompleteAsync(OperationContext context)
    {
        var size = await SizeAsync(context).ConfigureAwait(false);
        return catalog =>
        {
            Settle(catalog, size, "");
            foreach (var id in ConnectionIds)
            {
                if (catalog.Find<ConnectionRecord>(id) is { } connection)
                    catalog.Update(connection with { Size = size });
            }
        };
    }

    public override async Task<Action<ICatalogTransaction>> FailAsync(OperationContext context, string error)
    {
        // A kill may have fallen between holding writers and letting them go on.
        foreach (var id in ConnectionIds)
            await (await ConnectorAsync(context, id, CancellationToken.None).ConfigureAwait(false)).ResumeAsync(id, CancellationToken.None).ConfigureAwait(false);
        var size = await SizeAsync(context).ConfigureAwait(false);
        return catalog => Settle(catalog, size, error);
    }

    private void Settle(ICatalogTransaction catalog, long size, string error) => catalog.Update(catalog.Get<VolumeRecord>(Volume.Id) with
    {
        State = Volume.State,
        Size = size,
        Pending = 0,
        LastError = error,
        OperationId = "",
    });

    private async Task<long> SizeAsync(OperationContext context) =>
        (await context.Driver(Volume.PoolId).FindAsync(Volume.Id, CancellationToken.None).ConfigureAwait(false))?.Size ?? Volume.Size;

    // Our own writers are held while the logical unit is away for a moment, so that none sees an error.
    private async Task ShowAtTargetAsync(OperationContext context, CancellationToken cancel)
    {
        var record = context.Get<TargetRecord>(TargetId);
        var driver = await context.Node.TargetDriverAsync(record.Driver, cancel).ConfigureAwait(false);
        var export = await context.ExportAsync(record, cancel).ConfigureAwait(false);
        // After a reboot or a kill of the service it is served here for the first time again.
        await driver.PublishAsync(export, context.Sink, cancel).ConfigureAwait(false);
        var held = new List<(string Id, IConnector Connector)>();
        try
        {
            foreach (var id in driver.ResizeInterrupts ? ConnectionIds : [])
            {
                var connector = await ConnectorAsync(context, id, cancel).ConfigureAwait(false);
                held.Add((id, connector));
                await connector.PauseAsync(id, cancel).ConfigureAwait(false);
            }
            await driver.ResizeAsync(export, cancel).ConfigureAwait(false);
        }
        finally
        {
            foreach (var (id, connector) in held)
                await connector.ResumeAsync(id, CancellationToken.None).ConfigureAwait(false);
        }
    }

    private static Task<IConnector> ConnectorAsync(OperationContext context, string id, CancellationToken cancel)
    {
        var record = context.Get<ConnectionRecord>(id);
        return context.Node.ConnectorAsync(record.Connector, record.Protocol, cancel);
    }
}
