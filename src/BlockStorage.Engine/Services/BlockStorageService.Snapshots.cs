using System.Globalization;
using BlockStorage.Engine.Catalog;
using BlockStorage.Engine.Operations;
using BlockStorage.Engine.Services;
using BlockStorage.Services;

namespace BlockStorage.Engine;

public sealed partial class BlockStorageService
{
    private const string DefaultSnapshotName = "{Volume}-{Timestamp}";

    /// <inheritdoc/>
    public Task<IReadOnlyList<BlockSnapshot>> GetSnapshotsAsync(SnapshotQuery query, CancellationToken cancel) => Guard(async () =>
    {
        var (name, id, volume) = (Names.Matcher(query.Name), Names.Matcher(query.Id), Names.Matcher(query.Volume));
        var view = _catalog.Read(View.Read);
        var chosen = view.Snapshots
            .Where(snapshot => name(snapshot.Name) && id(snapshot.Id))
            .Where(snapshot => volume(view.VolumeName(snapshot.VolumeId)) || (query.Volume?.Contains(snapshot.VolumeId) ?? false))
            .Where(snapshot => query.Tag is not { Count: > 0 } || snapshot.Tags.Any(Names.Matcher(query.Tag)))
            .OrderBy(snapshot => snapshot.CreatedAt)
            .ToArray();
        var backend = await LookUpAsync(chosen.Select(snapshot => (snapshot.Id, snapshot.PoolId)).ToArray(), view, [], cancel).ConfigureAwait(false);
        return (IReadOnlyList<BlockSnapshot>)chosen.Select(snapshot => Mapping.ToModel(
            snapshot, view.VolumeName(snapshot.VolumeId), view.PoolName(snapshot.PoolId), backend.Find(snapshot.Id),
            backend.Health(snapshot.Id, snapshot.PoolId, snapshot.Size, snapshot.State), view.TargetOfSnapshot(snapshot.Id),
            view.ConnectionOfSnapshot(snapshot.Id), _node.Name)).ToArray();
    });

    /// <inheritdoc/>
    public Task<BlockPlan<BlockSnapshot>> NewSnapshotAsync(NewSnapshotRequest request, CancellationToken cancel) => Guard(() =>
    {
        var volume = Find<VolumeRecord>(request.VolumeId);
        StateTable.RequireSteady(volume.Name, volume.State);
        var now = DateTime.UtcNow;
        var name = SnapshotName(request.Name ?? DefaultSnapshotName, volume.Name, now);
        if (_catalog.Read(catalog => catalog.ListBy<SnapshotRecord>("name", name)).FirstOrDefault() is { } existing)
        {
            if (request.IfNotExists)
                return Task.FromResult(Nothing("Create snapshot", existing.Name, () => SnapshotAsync(existing.Id, cancel)));
            RequireFree<SnapshotRecord>(name, "", "snapshot");
        }
        if (request.ExpiresAt is DateTime expires && expires.ToUniversalTime() <= now)
            throw new BlockStorageException(BlockErrors.InvalidArgument, $"ExpiresAt {expires:u} has passed.", name, "Give a time to come.");
        var snapshot = new SnapshotRecord
        {
            Id = Guid.NewGuid().ToString(),
            Name = name,
            VolumeId = volume.Id,
            PoolId = volume.PoolId,
            Size = volume.Size,
            Description = request.Description ?? "",
            Tags = request.Tag ?? [],
            ExpiresAt = request.ExpiresAt?.ToUniversalTime(),
            State = BlockStates.Creating,
            CreatedAt = now,
        };
        return Task.FromResult(Plan(
            [new CreateSnapshot(snapshot, volume.Name, Find<PoolRecord>(volume.PoolId).Name)], (_, stop) => SnapshotAsync(snapshot.Id, stop)));
    });

    /// <inheritdoc/>
    public Task<BlockPlan<BlockSnapshot>> SetSnapshotAsync(string id, SetSnapshotRequest request, CancellationToken cancel) => Guard(() =>
    {
        var old = Find<SnapshotRecord>(id);
        var changed = old with
        {
            Description = request.Description ?? old.Description,
            Tags = request.Tag ?? old.Tags,
            ExpiresAt = request.ClearExpiry ? null : request.ExpiresAt?.ToUniversalTime() ?? old.ExpiresAt,
        };
        return Task.FromResult(Plan([new UpdateSnapshot(old, changed)], (_, stop) => SnapshotAsync(id, stop)));
    });

    /// <inheritdoc/>
    public Task<BlockPlan<bool>> RemoveSnapshotAsync(string id, bool force, CancellationToken cancel) => Guard(() =>
    {
        if (IsGone<SnapshotRecord>(id))
            return Task.FromResult(Gone("Remove snapshot", id));
        var view = _catalog.Read(View.Read);
        var snapshot = Find<SnapshotRecord>(id);
        var operations = new List<Operation>();
        if (force)
        {
            foreach (var connection in view.Connections.Where(c => c.SnapshotId == id))
                operations.Add(new Disconnect(connection, snapshot.Name, Force: true));
            foreach (var target in view.Targets.Where(t => t.SnapshotId == id))
                operations.Add(Unpublishing(view, target, removeTarget: target.Automatic, force: true));
        }
        else
        {
            _catalog.Read(catalog => { Dependants.RequireNone(catalog, snapshot); return true; });
        }
        operations.Add(new RemoveSnapshot(snapshot, view.VolumeName(snapshot.VolumeId), view.PoolName(snapshot.PoolId)));
        return Task.FromResult(Plan(operations, (_, _) => Task.FromResult(true)));
    });

    /// <inheritdoc/>
    public Task<BlockPlan<BlockVolume>> RestoreSnapshotAsync(string id, CancellationToken cancel) => Guard(() =>
    {
        var view = _catalog.Read(View.Read);
        var snapshot = Find<SnapshotRecord>(id);
        var volume = Find<VolumeRecord>(snapshot.VolumeId);
        StateTable.Require(volume.Name, volume.State, BlockStates.Reverting);
        return Task.FromResult(Plan(
            [new RestoreSnapshot(snapshot, volume, view.PoolName(volume.PoolId), view.TargetOfVolume(volume.Id)?.Id ?? "")],
            (_, stop) => VolumeAsync(volume.Id, stop)));
    });

    private async Task<BlockSnapshot> SnapshotAsync(string id, CancellationToken cancel) =>
        (await GetSnapshotsAsync(new SnapshotQuery(Id: [id]), cancel).ConfigureAwait(false)).FirstOrDefault()
        ?? throw new BlockStorageException(BlockErrors.SnapshotNotFound, $"Snapshot {id} does not exist any more.", id);

    // A pattern with a timestamp must not fail for the second snapshot of one second.
    private string SnapshotName(string pattern, string volume, DateTime now)
    {
        var stem = Names.CheckSnapshot(pattern
            .Replace("{Volume}", volume, StringComparison.OrdinalIgnoreCase)
            .Replace("{Timestamp}", now.ToString("yyyyMMdd-HHmmss", CultureInfo.InvariantCulture), StringComparison.OrdinalIgnoreCase));
        if (!pattern.Contains("{Timestamp}", StringComparison.OrdinalIgnoreCase))
            return stem;
        var taken = _catalog.Read(catalog => catalog.List<SnapshotRecord>()).Select(s => s.Name).ToHashSet(StringComparer.OrdinalIgnoreCase);
        var name = stem;
        for (var number = 2; taken.Contains(name); number++)
            name = Names.CheckSnapshot($"{stem}-{number}");
        return name;
    }
}
