using BlockStorage.Engine.Catalog;
using BlockStorage.Engine.Operations;
using BlockStorage.Engine.Services;
using BlockStorage.Engine.Volumes;

namespace BlockStorage.Engine;

public sealed partial class BlockStorageService
{
    // Below this many, asking for each object is cheaper than reading the whole pool, and also reads its sidecar.
    private const int FewObjects = 16;

    /// <summary>What the usable pools hold, by pool.</summary>
    private async Task<Dictionary<string, IReadOnlyList<BackendObject>>> ListPoolsAsync(CancellationToken cancel)
    {
        var listings = new Dictionary<string, IReadOnlyList<BackendObject>>(StringComparer.Ordinal);
        foreach (var pool in _catalog.Read(catalog => catalog.List<PoolRecord>()))
        {
            var driver = _node.Pool(pool.ToSpec());
            if ((await driver.GetPoolAsync(cancel).ConfigureAwait(false)).Usable)
                listings[pool.Id] = await driver.ListAsync(cancel).ConfigureAwait(false);
        }
        return listings;
    }

    /// <summary>Finds objects in their pools.</summary>
    /// <param name="wanted">Ids of objects and of their pools.</param>
    /// <param name="view">The records.</param>
    /// <param name="listings">Pools that have been listed already.</param>
    /// <param name="cancel">Stops it.</param>
    private async Task<BackendView> LookUpAsync(
        IReadOnlyList<(string Id, string PoolId)> wanted, View view, Dictionary<string, IReadOnlyList<BackendObject>> listings, CancellationToken cancel)
    {
        var found = new BackendView();
        foreach (var group in wanted.GroupBy(item => item.PoolId))
        {
            if (view.Pools.FirstOrDefault(pool => pool.Id == group.Key) is not { } pool)
                continue;
            var driver = _node.Pool(pool.ToSpec());
            var status = await driver.GetPoolAsync(cancel).ConfigureAwait(false);
            if (!status.Usable)
            {
                found.Unusable(pool.Id, status.Health);
                continue;
            }
            if (group.Count() > FewObjects)
            {
                foreach (var item in listings.TryGetValue(pool.Id, out var listed) ? listed : await driver.ListAsync(cancel).ConfigureAwait(false))
                    found.Add(item);
            }
            // Also what was made after the listing began.
            foreach (var (id, _) in group.Where(item => found.Find(item.Id) is null))
            {
                if (await driver.FindAsync(id, cancel).ConfigureAwait(false) is { } item)
                    found.Add(item);
            }
        }
        return found;
    }
}
