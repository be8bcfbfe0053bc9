using BlockStorage.Engine.Catalog;
using BlockStorage.Engine.Operations;
using BlockStorage.Engine.Targets;

namespace BlockStorage.Engine.Services;

/// <summary>
/// Differences between the targets of the catalogue and what is really served: after a reboot, after another tool restored
/// what it had saved, after a kill. Restoring goes one by one, so that one that cannot be served keeps no other from it.
/// </summary>
/// <param name="context">Catalogue, drivers, secrets.</param>
/// <param name="view">Records.</param>
/// <param name="force">Also end sessions of targets that nobody granted.</param>
internal sealed class TargetRepairs(OperationContext context, View view, bool force)
{
    private const string Kind = "Target";
    private readonly List<Repair> _found = [];

    /// <summary>All of them.</summary>
    public async Task<IReadOnlyList<Repair>> FindAsync(CancellationToken cancel)
    {
        foreach (var driver in context.Node.TargetDrivers)
        {
            if (!(await driver.ProbeAsync(cancel).ConfigureAwait(false)).Usable)
                continue;
            var report = await driver.ListAsync(cancel).ConfigureAwait(false);
            // What nobody granted goes first: it may hold what another one needs.
            FindStrays(driver, report);
            await FindLeftoversAsync(driver, cancel).ConfigureAwait(false);
            var live = report.Targets.ToDictionary(target => target.Iqn, StringComparer.Ordinal);
            foreach (var target in view.Targets.Where(target => target.Driver == driver.Name && target.State == BlockStates.Available))
            {
                await FindDriftAsync(driver, target, live.GetValueOrDefault(target.Name), report.Running, cancel).ConfigureAwait(false);
                FindLostSecrets(target);
            }
        }
        return _found;
    }

    private void Add(string name, string problem, string action, Func<OperationContext, CancellationToken, Task>? work) =>
        _found.Add(new Repair(Kind, name, problem, action, work is null ? null : Repair.Only(work)));

    private void FindStrays(ITargetDriver driver, TargetReport report)
    {
        foreach (var stray in report.Targets.Where(live => view.Targets.All(target => target.Name != live.Iqn)))
        {
            var kept = stray.Sessions.Count > 0 && !force;
            Add(stray.Iqn, "Our own service has it, but the catalogue does not know it.",
                kept ? "Repair-BlockStorage -Force ends its sessions and removes it; the data stays." : "Remove the target; the data stays.",
                kept ? null : async (work, stop) =>
                {
                    if (work.Catalog.Read(catalog => catalog.ListBy<TargetRecord>("name", stray.Iqn)).Count == 0)
                        await driver.UnpublishAsync(stray.Iqn, force, stop).ConfigureAwait(false);
                });
        }
    }

    private async Task FindLeftoversAsync(ITargetDriver driver, CancellationToken cancel)
    {
        foreach (var name in await driver.FindLeftoversAsync(cancel).ConfigureAwait(false))
            Add(name, $"{driver.Name} holds this device, but no target publishes it.", "Let go of it; the data stays.", async (_, stop) =>
            {
                // Targets are another matter: all that are there stay.
                var present = (await driver.ListAsync(stop).ConfigureAwait(false)).Targets.Select(target => target.Iqn).ToHashSet(StringComparer.Ordinal);
                await driver.CleanAsync(() => present, stop).ConfigureAwait(false);
            });
    }

    private async Task FindDriftAsync(ITargetDriver driver, TargetRecord target, LiveTarget? live, bool running, CancellationToken cancel)
    {
        string? problem;
        if (!running)
            problem = $"The service of {driver.Name} does not run.";
        else if (live is null || (target.Lun is not null && !live.Luns.Any(lun => lun.Number == target.Lun && lun.Online)))
            problem = "It is not served.";
        else
            // Without its secret an initiator that works would be shut out.
            problem = LostSecrets(target).Count > 0 || LacksMutualSecret(target) ? null : await CompareAsync(driver, target, cancel).ConfigureAwait(false);
        if (problem is not null)
            Add(target.Name, problem, "Serve it again with the same name, unit, serial and access.",
                (work, stop) => new OperationRunner(work, work.Catalog.Read(Settings.Read).LockTimeout).RunAsync(new ServeTarget(target), stop));
        else
            FindMissingAddresses(target);
    }

    private void FindMissingAddresses(TargetRecord target)
    {
        foreach (var portal in target.Portals.Where(portal => !PortalProbe.IsHere(Portal.Parse(portal))))
            Add(target.Name, $"This machine has not the address of {portal}, so that nobody reaches it there.", "Bring the address up, then Repair-BlockStorage.", null);
    }

    private async Task<string?> CompareAsync(ITargetDriver driver, TargetRecord target, CancellationToken cancel)
    {
        try
        {
            // What is served is reachable already, so that nothing is activated or mounted here.
            var export = await context.ExportAsync(target, cancel).ConfigureAwait(false);
            return await driver.CompareAsync(export.Here(), cancel).ConfigureAwait(false) is { } differs
                ? $"It is not as the catalogue has it: {differs}." : null;
        }
        catch (BlockStorageException error)
        {
            return error.Message;
        }
    }

    private void FindLostSecrets(TargetRecord target)
    {
        foreach (var grant in LostSecrets(target))
            Add(target.Name, $"The CHAP secret of {grant.Initiator} is lost (NeedsCredential).",
                $"Grant-IscsiTargetAccess -Target '{target.Name}' -Initiator '{grant.Initiator}' -Credential (Get-Credential)", null);
        if (LacksMutualSecret(target))
            Add(target.Name, "The CHAP secret that it proves is lost.", $"Set-IscsiTarget -Target '{target.Name}' -MutualChap (Get-Credential)", null);
    }

    private IReadOnlyList<GrantRecord> LostSecrets(TargetRecord target) =>
        view.GrantsOf(target.Id).Where(grant => grant.UserName.Length > 0 && !context.Secrets.Has(grant.Id)).ToArray();

    private bool LacksMutualSecret(TargetRecord target) => target.MutualSecretId.Length > 0 && !context.Secrets.Has(target.MutualSecretId);
}
