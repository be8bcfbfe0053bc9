using BlockStorage.Engine.Catalog;

namespace BlockStorage.Engine.Operations;

/// <summary>Serves a target again after a reboot or a kill of its service: same name, unit, serial and access.</summary>
internal sealed record ServeTarget(TargetRecord Record) : Operation
{
    public override string Action => "Serve target";

    public override string Target => $"{Record.Name} at {string.Join(", ", Record.Portals)}";

    public override bool RollsForward(int done) => true;

    public override IReadOnlyList<LockKey> Locks() => [new(LockKind.Target, Record.Id)];

    public override IReadOnlyList<Step> Steps(OperationContext context) =>
    [
        new Step($"Serve {Record.Name} again with the same unit, serial and access",
            async cancel =>
            {
                var target = context.Get<TargetRecord>(Record.Id);
                var driver = await context.Node.TargetDriverAsync(target.Driver, cancel).ConfigureAwait(false);
                var export = await context.ExportAsync(target, cancel).ConfigureAwait(false);
                var here = export.Here();
                foreach (var missing in export.Portals.Except(here.Portals))
                    context.Sink.Warning($"{Record.Name} does not listen at {missing}: this machine has not that address now.");
                await driver.PublishAsync(here, context.Sink, cancel).ConfigureAwait(false);
            }, null, _ => Task.FromResult(false)),
    ];

    public override void Begin(ICatalogTransaction catalog, string operationId)
    {
        if (catalog.Get<TargetRecord>(Record.Id) is { State: not BlockStates.Available } busy)
            throw new BlockStorageException(BlockErrors.InvalidState, $"{busy.Name} is {busy.State}.", busy.Name);
    }

    public override Task<Action<ICatalogTransaction>> CompleteAsync(OperationContext context) =>
        Task.FromResult<Action<ICatalogTransaction>>(_ => { });

    public override Task<Action<ICatalogTransaction>> FailAsync(OperationContext context, string error) =>
        Task.FromResult<Action<ICatalogTransaction>>(catalog => catalog.Update(catalog.Get<TargetRecord>(Record.Id) with { LastError = error }));
}
