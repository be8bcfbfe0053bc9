using System.Globalization;
using System.Net;
using BlockStorage.Engine.Catalog;
using BlockStorage.Engine.Services;
using BlockStorage.Services;

namespace BlockStorage.Engine;

public sealed partial class BlockStorageService
{
    /// <inheritdoc/>
    public Task<IReadOnlyList<BlockOperation>> GetOperationsAsync(OperationQuery query, CancellationToken cancel) => Guard(() =>
    {
        var (id, state, volume) = (Names.Matcher(query.Id), Names.Matcher(query.State), Names.Matcher(query.Volume));
        var since = query.Since?.ToUniversalTime() ?? DateTime.MinValue;
        return Task.FromResult<IReadOnlyList<BlockOperation>>(_catalog.Read(catalog => catalog.List<OperationRecord>())
            .Where(entry => id(entry.Id) && state(entry.State) && volume(entry.Volume) && entry.StartedAt >= since)
            .OrderByDescending(entry => entry.StartedAt)
            .Select(entry => Mapping.ToModel(entry, _node.Name))
            .ToArray());
    });

    /// <inheritdoc/>
    public Task<BlockPlan<BlockOperation>> StopOperationAsync(string id, CancellationToken cancel) => Guard(() =>
    {
        var entry = _catalog.Read(catalog => catalog.Find<OperationRecord>(id))
            ?? throw new BlockStorageException(BlockErrors.OperationNotFound, $"There is no operation {id}.", id);
        Task<BlockOperation> Now() => Task.FromResult(Mapping.ToModel(Find<OperationRecord>(id), _node.Name));
        if (entry.State != BlockStates.Running)
            return Task.FromResult(Nothing("Stop operation", $"{entry.Kind} {entry.Target} has {entry.State}", Now));
        return Task.FromResult(Record("Stop operation", $"{entry.Kind} {entry.Target}", $"Ask process {entry.ProcessId} to stop it and take it back",
            catalog =>
            {
                if (catalog.Find<OperationRecord>(id) is { State: BlockStates.Running } running)
                    catalog.Update(running with { StopRequested = true });
            }, Now));
    });

    /// <inheritdoc/>
    public Task<IReadOnlyList<BlockStorageEvent>> GetEventsAsync(EventQuery query, CancellationToken cancel) => Guard(() =>
    {
        var (level, volume) = (Names.Matcher(query.Level), Names.Matcher(query.Volume));
        var since = query.Since?.ToUniversalTime() ?? DateTime.MinValue;
        return Task.FromResult<IReadOnlyList<BlockStorageEvent>>(_catalog.Read(catalog => catalog.List<EventRecord>())
            .Where(entry => level(entry.Level) && volume(entry.Volume) && entry.Time >= since)
            .OrderBy(entry => entry.Time)
            .Select(entry => new BlockStorageEvent
            {
                Name = entry.Level,
                Id = entry.OperationId,
                Server = _node.Name,
                Level = entry.Level,
                Time = entry.Time.ToLocalTime(),
                Message = entry.Message,
                Volume = entry.Volume,
                OperationId = entry.OperationId,
                UserName = entry.UserName,
            })
            .ToArray());
    });

    /// <inheritdoc/>
    public Task<BlockStorageConfiguration> GetConfigurationAsync(CancellationToken cancel) =>
        Guard(() => Task.FromResult(ReadSettings().ToModel(_node.Name, _root)));

    /// <inheritdoc/>
    public Task<BlockPlan<BlockStorageConfiguration>> SetConfigurationAsync(SetConfigurationRequest request, CancellationToken cancel) => Guard(() =>
    {
        var changes = new Dictionary<string, string>(StringComparer.Ordinal);
        if (request.PortalAddress is { } address)
        {
            changes[nameof(request.PortalAddress)] = IPAddress.TryParse(address, out var parsed) ? parsed.ToString()
                : throw Wrong(nameof(request.PortalAddress), $"'{address}' is not an IP address.");
        }
        if (request.PortalPort is int port)
            changes[nameof(request.PortalPort)] = Ranged(nameof(request.PortalPort), port, 0, 65535);
        if (request.IqnPrefix is { } prefix)
        {
            // With the longest ending that we ever put behind it.
            Names.CheckIqn($"{prefix}:snapshot:{Guid.Empty}");
            changes[nameof(request.IqnPrefix)] = Names.CheckIqn(prefix);
        }
        if (request.DefaultPool is { } pool)
            changes[nameof(request.DefaultPool)] = pool.Length == 0 ? "" : One<PoolRecord>(pool, BlockErrors.PoolNotFound, "pool").Name;
        if (request.LockTimeoutSeconds is int wait)
            changes[nameof(request.LockTimeoutSeconds)] = Ranged(nameof(request.LockTimeoutSeconds), wait, 1, 3600);
        if (request.HistoryDays is int days)
            changes[nameof(request.HistoryDays)] = Ranged(nameof(request.HistoryDays), days, 1, 36500);
        if (changes.Count == 0)
            return Task.FromResult(Nothing("Set configuration", "nothing given", () => GetConfigurationAsync(cancel)));
        var text = string.Join(", ", changes.Select(change => $"{change.Key} = {change.Value}"));
        return Task.FromResult(Record("Set configuration", text, $"Write {text} into the catalogue",
            catalog =>
            {
                foreach (var (name, value) in changes)
                    Settings.Write(catalog, name, value);
            }, () => GetConfigurationAsync(cancel)));
    });

    private static string Ranged(string name, int value, int low, int high) => value >= low && value <= high
        ? value.ToString(CultureInfo.InvariantCulture)
        : throw Wrong(name, $"{name} must be {low} to {high}, not {value}.");

    private static BlockStorageException Wrong(string name, string message) =>
        new(BlockErrors.InvalidArgument, message, name, $"Get-Help Set-BlockStorageConfiguration -Parameter {name}");
}
