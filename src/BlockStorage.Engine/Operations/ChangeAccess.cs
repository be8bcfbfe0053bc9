using System.Text.Json.Serialization;
using BlockStorage.Engine.Catalog;

namespace BlockStorage.Engine.Operations;

/// <summary>Changes who may log in to a target and with which secrets. New secrets replace old ones only when all is done.</summary>
internal sealed record ChangeAccess(
    TargetRecord Record, IReadOnlyList<GrantRecord> Old, IReadOnlyList<GrantRecord> Added, IReadOnlyList<GrantRecord> Removed,
    string NewMutualSecretId, string What) : Operation
{
    /// <summary>Secrets of the added grants and the new one of the target.</summary>
    [JsonIgnore]
    public NewSecrets Secrets { get; init; } = new();

    public override string Action => What;

    public override string Target => $"{string.Join(", ", Added.Concat(Removed).Select(grant => grant.Initiator).Distinct())} {(What.StartsWith("Revoke", StringComparison.Ordinal) ? "from" : "on")} {Record.Name}".TrimStart();

    public override IReadOnlyList<LockKey> Locks() => [new(LockKind.Target, Record.Id)];

    private bool MutualChanges => NewMutualSecretId != Record.MutualSecretId;

    private IReadOnlyList<GrantRecord> Wanted => [.. Old.Where(grant => Removed.All(removed => removed.Id != grant.Id)), .. Added];

    private IReadOnlyList<string> NewSecretIds =>
        [.. Added.Where(grant => grant.UserName.Length > 0).Select(grant => grant.Id), .. MutualChanges && NewMutualSecretId.Length > 0 ? [NewMutualSecretId] : Array.Empty<string>()];

    private IReadOnlyList<string> OldSecretIds =>
        [.. Removed.Where(grant => grant.UserName.Length > 0).Select(grant => grant.Id), .. MutualChanges && Record.MutualSecretId.Length > 0 ? [Record.MutualSecretId] : Array.Empty<string>()];

    // With no new secret there is nothing to lose by finishing; and once old secrets may be forgotten there is no way back.
    public override bool RollsForward(int done) => NewSecretIds.Count == 0 || done > 1;

    public override IReadOnlyList<Step> Steps(OperationContext context)
    {
        var steps = new List<Step>();
        if (NewSecretIds.Count > 0)
            steps.Add(Secrets.Step(context, NewSecretIds));
        steps.Add(new Step($"Let {(Wanted.Count == 0 ? "nobody" : string.Join(", ", Wanted.Select(grant => grant.Initiator == "*" ? "any initiator" : grant.Initiator)))} log in to {Record.Name}",
            cancel => ApplyAsync(context, Record with { MutualSecretId = NewMutualSecretId }, Wanted, cancel),
            () => ApplyAsync(context, Record, Old, CancellationToken.None),
            _ => Task.FromResult(false)));
        if (OldSecretIds.Count > 0)
        {
            steps.Add(new Step($"Forget {OldSecretIds.Count} CHAP secret{(OldSecretIds.Count == 1 ? "" : "s")}", _ =>
            {
                foreach (var id in OldSecretIds)
                    context.Secrets.Delete(id);
                return Task.CompletedTask;
            }, null, _ => Task.FromResult(!OldSecretIds.Any(context.Secrets.Has))));
        }
        return steps;
    }

    public override void Begin(ICatalogTransaction catalog, string operationId)
    {
        if (!catalog.ListBy<GrantRecord>("target_id", Record.Id).Select(grant => grant.Id).ToHashSet(StringComparer.Ordinal).SetEquals(Old.Select(grant => grant.Id)))
            throw new BlockStorageException(BlockErrors.Conflict, $"The access rights of {Record.Name} have been changed meanwhile.", Record.Name);
        var target = catalog.Get<TargetRecord>(Record.Id);
        if (target.MutualSecretId != Record.MutualSecretId)
            throw new BlockStorageException(BlockErrors.Conflict, $"The secret of {Record.Name} has been changed meanwhile.", Record.Name);
        foreach (var grant in Removed)
            catalog.Delete<GrantRecord>(grant.Id);
        foreach (var grant in Added)
            catalog.Insert(grant);
        catalog.Update(target with { MutualSecretId = NewMutualSecretId, OperationId = operationId });
    }

    public override Task<Action<ICatalogTransaction>> CompleteAsync(OperationContext context) =>
        Task.FromResult<Action<ICatalogTransaction>>(
            catalog => catalog.Update(catalog.Get<TargetRecord>(Record.Id) with { OperationId = "" }));

    public override Task<Action<ICatalogTransaction>> FailAsync(OperationContext context, string error) => Task.FromResult<Action<ICatalogTransaction>>(catalog =>
    {
        foreach (var grant in Added)
            catalog.Delete<GrantRecord>(grant.Id);
        foreach (var grant in Removed)
            catalog.Insert(grant);
        catalog.Update(catalog.Get<TargetRecord>(Record.Id) with { MutualSecretId = Record.MutualSecretId, LastError = error, OperationId = "" });
    });

    private static async Task ApplyAsync(OperationContext context, TargetRecord target, IReadOnlyList<GrantRecord> grants, CancellationToken cancel)
    {
        var driver = await context.Node.TargetDriverAsync(target.Driver, cancel).ConfigureAwait(false);
        await driver.PublishAsync(await context.ExportAsync(target, grants, cancel).ConfigureAwait(false), context.Sink, cancel).ConfigureAwait(false);
    }
}
