using BlockStorage.Engine.Catalog;
using BlockStorage.Engine.Services;
using BlockStorage.Engine.Targets;

namespace BlockStorage.Engine;

/// <summary>Where targets listen.</summary>
public sealed partial class BlockStorageService
{
    // What was asked for, in that order; else the address of the configuration.
    private async Task<IReadOnlyList<string>> PortalsAsync(ITargetDriver driver, Settings settings, IReadOnlyList<string>? asked, CancellationToken cancel)
    {
        var chosen = new List<Portal>();
        foreach (var wanted in asked is { Count: > 0 } ? asked.Select(Portal.Read).ToArray() : [new Portal(settings.PortalAddress, 0)])
        {
            var portal = await PortalAsync(driver, settings, wanted, cancel).ConfigureAwait(false);
            if (chosen.FirstOrDefault(portal.Meets) is { } other)
            {
                throw new BlockStorageException(BlockErrors.InvalidArgument,
                    other == portal ? $"Portal {portal} is given twice." : $"A target cannot listen at {other} and at {portal}: one covers the other.",
                    portal.ToString(), "Leave one of them out.");
            }
            chosen.Add(portal);
        }
        return [.. chosen.Select(portal => portal.ToString())];
    }

    private async Task<Portal> PortalAsync(ITargetDriver driver, Settings settings, Portal wanted, CancellationToken cancel)
    {
        // One portal of an address for all targets: what the first one was given is kept for the others.
        var port = wanted.Port != 0 ? wanted.Port : settings.PortalPort != 0 ? settings.PortalPort
            : _catalog.Read(catalog => catalog.List<TargetRecord>()).SelectMany(target => target.Portals).Select(Portal.Parse)
                .FirstOrDefault(portal => portal.Address == wanted.Address)?.Port ?? 0;
        return await driver.ChoosePortalAsync(wanted.Address, port, cancel).ConfigureAwait(false);
    }

    // Whether some port is ours to choose.
    private static bool LeavesPort(IReadOnlyList<string>? asked, Settings settings) =>
        settings.PortalPort == 0 && (asked is not { Count: > 0 } || asked.Any(text => Portal.Read(text).Port == 0));

    // Nothing asked for is what there is.
    private static bool HasPortals(TargetRecord target, IReadOnlyList<string>? asked)
    {
        if (asked is not { Count: > 0 })
            return true;
        var (there, wanted) = (target.Portals.Select(Portal.Parse).ToArray(), asked.Select(Portal.Read).ToArray());
        bool Fits(Portal one, Portal other) => one.Address == other.Address && (one.Port == 0 || one.Port == other.Port);
        return there.Length == wanted.Length && wanted.All(each => there.Any(other => Fits(each, other))) && there.All(other => wanted.Any(each => Fits(each, other)));
    }
}
