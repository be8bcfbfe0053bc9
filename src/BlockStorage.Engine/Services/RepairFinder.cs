using BlockStorage.Engine.Catalog;
using BlockStorage.Engine.Connectors;
using BlockStorage.Engine.Host;
using BlockStorage.Engine.Operations;
using BlockStorage.Engine.Volumes;

namespace BlockStorage.Engine.Services;

/// <summary>Looks for differences between the catalogue and reality, safest repairs first. Changes nothing. Data is never deleted.</summary>
/// <param name="context">Catalogue, drivers, secrets.</param>
/// <param name="force">Also end sessions of targets that nobody granted.</param>
internal sealed class RepairFinder(OperationContext context, bool force = false)
{
    private readonly List<Repair> _found = [];

    /// <summary>All differences.</summary>
    public async Task<IReadOnlyList<Repair>> FindAsync(CancellationToken cancel)
    {
        FindOperations();
        await FindLostPoolsAsync(cancel).ConfigureAwait(false);
        var view = context.Catalog.Read(View.Read);
        foreach (var pool in view.Pools.Where(pool => pool.State is not (BlockStates.Creating or BlockStates.Deleting)))
            await FindInPoolAsync(pool, view, cancel).ConfigureAwait(false);
        _found.AddRange(await new TargetRepairs(context, view, force).FindAsync(cancel).ConfigureAwait(false));
        await FindConnectionsAsync(view, cancel).ConfigureAwait(false);
        FindSecrets(view);
        return _found;
    }

    private void Add(string kind, string name, string problem, string action, Func<OperationContext, CancellationToken, Task>? work) =>
        _found.Add(new Repair(kind, name, problem, action, work is null ? null : Repair.Only(work)));

    private void FindOperations()
    {
        var open = new OperationRecovery(context).Open();
        foreach (var entry in open)
        {
            if (OperationJson.TryRead(entry) is not { } operation)
            {
                FindUnreadable(entry);
                continue;
            }
            using var locks = ResourceLocks.TryAcquire(context.Root, operation.Locks(), "Repair-BlockStorage");
            if (locks is null)
                continue;
            _found.Add(new Repair("Operation", $"{entry.Kind} {entry.Target}",
                $"Process {entry.ProcessId} ended in the middle of it.{(entry.Error.Length > 0 ? " " + entry.Error : "")}",
                "Finish it or take it back.",
                (work, cancel) => new OperationRecovery(work).SettleAllAsync(cancel)));
        }
    }

    private void FindUnreadable(OperationRecord entry)
    {
        var alive = ProcessTable.Get(entry.ProcessId) is not null;
        Add("Operation", $"{entry.Kind} {entry.Target}", "This version of BlockStorage cannot read it.",
            alive ? $"Wait for process {entry.ProcessId}." : "Close it; what it left shows in the next Repair-BlockStorage.",
            alive ? null : (work, _) => { OperationRecovery.Abandon(work.Catalog, entry.Id); return Task.CompletedTask; });
    }

    private Task FindLostPoolsAsync(CancellationToken cancel)
    {
        var known = context.Catalog.Read(catalog => catalog.List<PoolRecord>()).Select(pool => pool.Id).ToHashSet(StringComparer.Ordinal);
        foreach (var (id, path) in new PoolList(context.Root).Read())
        {
            cancel.ThrowIfCancellationRequested();
            if (known.Contains(id))
                continue;
            var spec = context.Node.VolumeDrivers.Select(driver => driver.Identify(path)).FirstOrDefault(found => found?.Id == id);
            if (spec is null)
            {
                Add("Pool", path, "It is on the list of pools, but the catalogue does not know it and nothing there says that it is a pool.", "Mount or bring back what was there, or remove the link in the state folder.", null);
                continue;
            }
            Add("Pool", spec.Name, $"The pool at {path} is not in the catalogue.", "Add it to the catalogue.", (work, _) =>
            {
                work.Catalog.Write(catalog => catalog.Insert(new PoolRecord
                {
                    Id = spec.Id,
                    Name = spec.Name,
                    Driver = spec.Driver,
                    Path = spec.Path,
                    Size = spec.Size,
                    Description = spec.Description,
                    State = BlockStates.Enabled,
                    CreatedAt = spec.CreatedAt,
                }));
                return Task.CompletedTask;
            });
        }
        return Task.CompletedTask;
    }

    private async Task FindInPoolAsync(PoolRecord pool, View view, CancellationToken cancel)
    {
        var driver = context.Node.Pool(pool.ToSpec());
        var status = await driver.GetPoolAsync(cancel).ConfigureAwait(false);
        if (!status.Usable)
        {
            Add("Pool", pool.Name, $"It cannot be used: {status.Health}.", "Mount it.",
                (work, stop) => driver.OpenPoolAsync(work.Sink, stop));
            return;
        }
        if (status.IsDegraded)
            Add("Pool", pool.Name, $"It works and is not protected: {status.Health}.", "Protect it again.", (work, stop) => driver.CreatePoolAsync(work.Sink, stop));
        if (await driver.CheckPoolAsync(SilentSink.Instance, cancel).ConfigureAwait(false) is { } health && health != "ok")
            Add("Pool", pool.Name, $"{char.ToUpperInvariant(health[0])}{health[1..]}.", "Nothing by itself: do what it says.", null);
        var items = (await driver.ListAsync(cancel).ConfigureAwait(false)).ToDictionary(item => item.Id, StringComparer.Ordinal);
        var volumes = view.Volumes.Where(volume => volume.PoolId == pool.Id).ToDictionary(volume => volume.Id, StringComparer.Ordinal);
        var snapshots = view.Snapshots.Where(snapshot => snapshot.PoolId == pool.Id).ToDictionary(snapshot => snapshot.Id, StringComparer.Ordinal);
        foreach (var item in items.Values)
        {
            // What is being wiped goes by itself: the list has started the worker again.
            if (item.Kind == BackendKind.Foreign || item is { Kind: BackendKind.Partial, Health: BackendObject.Wiping } || volumes.ContainsKey(item.Id) || snapshots.ContainsKey(item.Id))
                continue;
            if (item.Kind == BackendKind.Partial)
                Add("Volume", item.Id, $"A half-made object is left in pool {pool.Name}.", "Remove what was never complete.", (_, stop) => driver.DeleteAsync(item.Id, stop));
            else
                Add(item.Kind.ToString(), item.Id, $"It is in pool {pool.Name} but not in the catalogue.", "Add it to the catalogue.", (work, stop) => AdoptAsync(work, driver, pool, item, stop));
        }
        // Where the list leaves descriptions unread: whether each can be read matters here.
        foreach (var id in volumes.Keys.Concat(snapshots.Keys).Where(id => items.TryGetValue(id, out var item) && item.Identity is null))
            items[id] = await driver.FindAsync(id, cancel).ConfigureAwait(false) ?? items[id];
        FindDrift(pool, driver, items, volumes, snapshots);
    }

    private void FindDrift(
        PoolRecord pool, IVolumeDriver driver, Dictionary<string, BackendObject> items,
        Dictionary<string, VolumeRecord> volumes, Dictionary<string, SnapshotRecord> snapshots)
    {
        foreach (var volume in volumes.Values.Where(volume => volume.State is BlockStates.Available or BlockStates.InUse or BlockStates.Error))
        {
            if (!items.TryGetValue(volume.Id, out var item) || item.Kind == BackendKind.Partial)
                Add("Volume", volume.Name, $"Its data is missing in pool {pool.Name}.", "Bring the file back, or give it up: Remove-BlockVolume.", null);
            else if (item.Health != "ok")
                Add("Volume", volume.Name, $"{item.Health}.", "End what an unfinished call left of it, and write its description again.", async (work, stop) =>
                {
                    await driver.CleanAsync(volume.Id, stop).ConfigureAwait(false);
                    await driver.UpdateIdentityAsync(work.Get<VolumeRecord>(volume.Id).ToIdentity(), stop).ConfigureAwait(false);
                });
            else if (item.Size != volume.Size)
                Add("Volume", volume.Name, $"It has {ByteSize.Format(item.Size)}, the catalogue says {ByteSize.Format(volume.Size)}.", "Write the real size into the catalogue.", (work, _) => SetSizeAsync(work, volume.Id, item.Size));
        }
        foreach (var snapshot in snapshots.Values.Where(snapshot => snapshot.State is BlockStates.Available or BlockStates.Error))
        {
            if (!items.TryGetValue(snapshot.Id, out var item) || item.Kind == BackendKind.Partial)
                Add("Snapshot", snapshot.Name, $"Its data is missing in pool {pool.Name}.", "Bring the file back, or give it up: Remove-BlockSnapshot.", null);
            else if (item.Health != "ok")
                Add("Snapshot", snapshot.Name, $"{item.Health}.", "End what an unfinished call left of it, and write its description again.", async (work, stop) =>
                {
                    await driver.CleanAsync(snapshot.Id, stop).ConfigureAwait(false);
                    await driver.UpdateIdentityAsync(work.Get<SnapshotRecord>(snapshot.Id).ToIdentity(), stop).ConfigureAwait(false);
                });
        }
    }

    private async Task FindConnectionsAsync(View view, CancellationToken cancel)
    {
        foreach (var connector in context.Node.Connectors)
        {
            var live = (await connector.ListAsync(cancel).ConfigureAwait(false)).ToDictionary(item => item.Id, StringComparer.Ordinal);
            foreach (var record in view.Connections.Where(record => record.Connector == connector.Name && record.State == BlockStates.Attached))
            {
                live.Remove(record.Id, out var item);
                if (item is { Reopens: true })
                {
                    Add("Connection", view.NameOf(record), $"It is not whole: {item.Reason}.", "Log in again.", (work, stop) => connector.ReopenAsync(record.Id, work.Sink, stop));
                    continue;
                }
                if (item is { Alive: true })
                    continue;
                if (item is null || item.DevicePath.Length == 0)
                    Add("Connection", view.NameOf(record), $"It is dead: {item?.Reason ?? "nothing of it is left on this machine"}.", "Clean up what is left and set the volume free.", (work, stop) => ReleaseAsync(work, connector, record, stop));
                else
                    Add("Connection", view.NameOf(record), $"{record.DevicePath} is dead: {item.Reason}.", $"It lives again when its target does; or give up unwritten data: Get-BlockConnection -Id {record.Id} | Disconnect-BlockVolume -Force", null);
            }
            foreach (var stray in live.Values.Where(item => view.Connections.All(record => record.Id != item.Id)))
                Add("Connection", stray.DevicePath.Length > 0 ? stray.DevicePath : stray.Id, "It is on this machine, but the catalogue does not know it.", "Disconnect it, unless it is mounted or held.", (_, stop) => connector.DisconnectAsync(stray.Id, force: !stray.Alive, stop));
        }
    }

    private void FindSecrets(View view)
    {
        var used = view.Grants.Select(grant => grant.Id).Concat(view.Targets.Select(target => target.MutualSecretId)).ToHashSet(StringComparer.Ordinal);
        foreach (var id in context.Secrets.List().Where(id => !used.Contains(id)))
            Add("Secret", id, "No access right uses it.", "Forget it.", (work, _) => { work.Secrets.Delete(id); return Task.CompletedTask; });
    }

    private static async Task AdoptAsync(OperationContext work, IVolumeDriver driver, PoolRecord pool, BackendObject item, CancellationToken cancel)
    {
        var identity = await driver.ReadIdentityAsync(item.Id, cancel).ConfigureAwait(false);
        work.Catalog.Write(catalog =>
        {
            if (identity.Kind == BackendKind.Volume)
            {
                catalog.Insert(new VolumeRecord
                {
                    Id = item.Id,
                    Name = identity.Name,
                    PoolId = pool.Id,
                    Size = item.Size,
                    Provisioning = identity.Provisioning,
                    ReadOnly = identity.ReadOnly,
                    Description = identity.Description,
                    Tags = identity.Tags,
                    State = BlockStates.Available,
                    CreatedAt = identity.CreatedAt,
                });
                return;
            }
            catalog.Insert(new SnapshotRecord
            {
                Id = item.Id,
                Name = identity.Name,
                VolumeId = identity.OriginId,
                PoolId = pool.Id,
                Size = item.Size,
                Description = identity.Description,
                Tags = identity.Tags,
                ExpiresAt = identity.ExpiresAt,
                State = BlockStates.Available,
                CreatedAt = identity.CreatedAt,
            });
        });
    }

    private static Task SetSizeAsync(OperationContext work, string id, long size)
    {
        work.Catalog.Write(catalog => catalog.Update(catalog.Get<VolumeRecord>(id) with { Size = size }));
        return Task.CompletedTask;
    }

    private static async Task ReleaseAsync(OperationContext work, IConnector connector, ConnectionRecord record, CancellationToken cancel)
    {
        await connector.DisconnectAsync(record.Id, force: true, cancel).ConfigureAwait(false);
        work.Catalog.Write(catalog =>
        {
            catalog.Delete<ConnectionRecord>(record.Id);
            if (record.SnapshotId.Length == 0 && catalog.Find<VolumeRecord>(record.VolumeId) is { State: BlockStates.InUse } volume)
                catalog.Update(volume with { State = BlockStates.Available });
        });
    }
}
