using System.Text.Json.Serialization;
using BlockStorage.Engine.Catalog;
using BlockStorage.Engine.Connectors;
using BlockStorage.Engine.Targets;
using BlockStorage.Services;

namespace BlockStorage.Engine.Operations;

/// <summary>Connects a volume, a snapshot or a logical unit of a foreign target.</summary>
/// <param name="Record">The connection as it will be.</param>
/// <param name="What">Name of what is connected.</param>
/// <param name="TargetId">Our target, or empty.</param>
/// <param name="PoolId">Pool of a local connection, or empty.</param>
/// <param name="InitiatorIqn">Who we are.</param>
/// <param name="Timeout">How long it may take.</param>
internal sealed record Connect(
    ConnectionRecord Record, string What, string TargetId, string PoolId, string InitiatorIqn, TimeSpan Timeout) : Operation
{
    private ConnectedDevice? _device;
    private long _size = Record.Size;

    /// <summary>The live side, once this very process has made and proven it.</summary>
    [JsonIgnore]
    public LiveConnection? Made => _device is { } made ? new LiveConnection(Record.Id, made.DevicePath, made.Size, true, "", [])
    {
        Hctl = made.Hctl,
        Way = made.Way,
    } : null;

    /// <summary>It comes back when the machine boots.</summary>
    public bool Persistent { get; init; }

    /// <summary>All portals where one session each is wanted, joined by the multipath daemon; none otherwise.</summary>
    public IReadOnlyList<string> Paths { get; init; } = [];

    /// <summary>Secret we prove; never in the journal.</summary>
    [JsonIgnore]
    public ChapCredential? Chap { get; init; }

    /// <summary>Secret the target proves; never in the journal.</summary>
    [JsonIgnore]
    public ChapCredential? MutualChap { get; init; }

    public override string Action => "Connect";

    public override string Target => Record.Protocol == "local"
        ? $"{What} as a local device{Access}"
        : $"{What} over iSCSI from {Record.Iqn} at {Record.Portal}{Access}";

    public override string VolumeName => What;

    private string Access => Record.ReadOnly ? ", read-only" : "";

    private bool OfVolume => Record.VolumeId.Length > 0 && Record.SnapshotId.Length == 0;

    public override IReadOnlyList<LockKey> Locks()
    {
        var keys = new List<LockKey> { new(LockKind.Connection, Record.Id) };
        if (PoolId.Length > 0)
            keys.Add(LockKey.PoolShared(PoolId));
        if (OfVolume)
            keys.Add(new LockKey(LockKind.Volume, Record.VolumeId));
        else if (Record.SnapshotId.Length > 0)
            keys.Add(new LockKey(LockKind.Snapshot, Record.SnapshotId));
        if (TargetId.Length > 0)
            keys.Add(new LockKey(LockKind.Target, TargetId, Shared: true));
        return keys;
    }

    public override IReadOnlyList<Step> Steps(OperationContext context)
    {
        var steps = new List<Step>();
        if (TargetId.Length > 0)
        {
            steps.Add(new Step($"See to it that {Record.Iqn} is served",
                async cancel =>
                {
                    var target = context.Get<TargetRecord>(TargetId);
                    var driver = await context.Node.TargetDriverAsync(target.Driver, cancel).ConfigureAwait(false);
                    await driver.PublishAsync(await context.ExportAsync(target, cancel).ConfigureAwait(false), context.Sink, cancel).ConfigureAwait(false);
                }, null, _ => Task.FromResult(true)));
        }
        steps.Add(new Step(
            Record.Protocol == "local"
                ? $"Attach the data of {What} to a loop device{Access}"
                : $"Log in to {Record.Iqn} at {Record.Portal} {(Chap is null ? "without CHAP" : "with CHAP")} and make LUN {Record.Lun?.ToString(System.Globalization.CultureInfo.InvariantCulture) ?? "found there"} a block device{Access}",
            async cancel =>
            {
                var connector = await ConnectorAsync(context, cancel).ConfigureAwait(false);
                var path = Record.Protocol == "local"
                    ? await (await context.OpenAsync(PoolId, cancel).ConfigureAwait(false)).ActivateAsync(Record.SnapshotId.Length > 0 ? Record.SnapshotId : Record.VolumeId, cancel).ConfigureAwait(false)
                    : "";
                _device = await connector.ConnectAsync(
                    new ConnectionInfo(Record.Id, Record.Protocol, Record.Portal.Length > 0 ? Portal.Parse(Record.Portal) : null,
                        Record.Iqn, Record.Lun ?? -1, InitiatorIqn, Chap, MutualChap, Record.Serial, _size, Record.ReadOnly, path, Timeout)
                    {
                        Persistent = Persistent,
                        Multipath = Paths.Count > 0,
                        Portals = [.. Paths.Select(Portal.Parse)],
                    },
                    context.Sink, cancel).ConfigureAwait(false);
            },
            async () => await (await ConnectorAsync(context, CancellationToken.None).ConfigureAwait(false))
                .DisconnectAsync(Record.Id, force: true, CancellationToken.None).ConfigureAwait(false),
            async cancel => await (await ConnectorAsync(context, cancel).ConfigureAwait(false)).LiveAsync(Record.Id, cancel).ConfigureAwait(false) is { Alive: true }));
        return steps;
    }

    public override void Begin(ICatalogTransaction catalog, string operationId)
    {
        if (TargetId.Length > 0 && catalog.Get<TargetRecord>(TargetId) is { State: not BlockStates.Available } target)
            throw new BlockStorageException(BlockErrors.InvalidState, $"{target.Name} is {target.State}.", target.Name);
        if (OfVolume)
        {
            var volume = catalog.Get<VolumeRecord>(Record.VolumeId);
            StateTable.Require(volume.Name, volume.State, BlockStates.Attaching);
            if (Record.Protocol == "local")
                Dependants.RequireNoWriterTarget(catalog, volume);
            // It may have grown since the plan was made.
            _size = volume.Size;
            catalog.Update(volume with { State = BlockStates.Attaching, OperationId = operationId });
        }
        else if (Record.SnapshotId.Length > 0)
        {
            var snapshot = catalog.Get<SnapshotRecord>(Record.SnapshotId);
            StateTable.RequireSteady(snapshot.Name, snapshot.State);
            if (catalog.ListBy<ConnectionRecord>("snapshot_id", snapshot.Id).Count > 0)
                throw new BlockStorageException(BlockErrors.VolumeInUse, $"Snapshot '{snapshot.Name}' is connected.", snapshot.Name);
        }
        else if (catalog.ListBy<ConnectionRecord>("iqn", Record.Iqn).Any(other => other.Portal == Record.Portal && other.Lun == Record.Lun))
        {
            throw new BlockStorageException(BlockErrors.VolumeInUse, $"{Record.Iqn} is connected on this machine.", Record.Iqn, "Get-BlockConnection");
        }
        catalog.Insert(Record with { State = BlockStates.Attaching, OperationId = operationId });
    }

    public override async Task<Action<ICatalogTransaction>> CompleteAsync(OperationContext context)
    {
        // Connecting has just proved the device; after a recovery what is there is looked up.
        var live = Made
            ?? await (await ConnectorAsync(context, CancellationToken.None).ConfigureAwait(false)).LiveAsync(Record.Id, CancellationToken.None).ConfigureAwait(false)
            ?? throw new BlockStorageException(BlockErrors.ConnectionLost, $"The connection of {What} is gone right after it was made.", What);
        return catalog =>
        {
            catalog.Update(catalog.Get<ConnectionRecord>(Record.Id) with
            {
                State = BlockStates.Attached,
                OperationId = "",
                DevicePath = live.DevicePath,
                Size = live.Size,
                Serial = _device?.Serial ?? Record.Serial,
                Hctl = live.Hctl,
            });
            if (OfVolume)
                catalog.Update(catalog.Get<VolumeRecord>(Record.VolumeId) with { State = BlockStates.InUse, OperationId = "" });
        };
    }

    public override Task<Action<ICatalogTransaction>> FailAsync(OperationContext context, string error) => Task.FromResult<Action<ICatalogTransaction>>(catalog =>
    {
        catalog.Delete<ConnectionRecord>(Record.Id);
        if (OfVolume)
            catalog.Update(catalog.Get<VolumeRecord>(Record.VolumeId) with { State = BlockStates.Available, OperationId = "" });
    });

    private Task<IConnector> ConnectorAsync(OperationContext context, CancellationToken cancel) =>
        context.Node.ConnectorAsync(Record.Connector, Record.Protocol, cancel);
}

/// <summary>Disconnects.</summary>
internal sealed record Disconnect(ConnectionRecord Record, string What, bool Force) : Operation
{
    public override string Action => "Disconnect";

    public override string Target => $"{What} ({Record.DevicePath})";

    public override string VolumeName => What;

    public override bool RollsForward(int done) => true;

    private bool OfVolume => Record.VolumeId.Length > 0 && Record.SnapshotId.Length == 0;

    public override IReadOnlyList<LockKey> Locks()
    {
        var keys = new List<LockKey> { new(LockKind.Connection, Record.Id) };
        if (OfVolume)
            keys.Add(new LockKey(LockKind.Volume, Record.VolumeId));
        else if (Record.SnapshotId.Length > 0)
            keys.Add(new LockKey(LockKind.Snapshot, Record.SnapshotId));
        return keys;
    }

    public override IReadOnlyList<Step> Steps(OperationContext context) =>
    [
        new Step($"{(Force ? "Give up what is unwritten where it must" : "Flush")}, detach {Record.DevicePath}{(Record.Protocol == "local" ? "" : ", log out")} and clean up",
            async cancel => await (await context.Node.ConnectorAsync(Record.Connector, Record.Protocol, cancel).ConfigureAwait(false))
                .DisconnectAsync(Record.Id, Force, cancel).ConfigureAwait(false),
            null, _ => Task.FromResult(false)),
    ];

    public override void Begin(ICatalogTransaction catalog, string operationId)
    {
        catalog.Update(catalog.Get<ConnectionRecord>(Record.Id) with { State = BlockStates.Detaching, OperationId = operationId });
        if (OfVolume && catalog.Find<VolumeRecord>(Record.VolumeId) is { } volume)
            catalog.Update(volume with { State = BlockStates.Detaching, OperationId = operationId });
    }

    public override Task<Action<ICatalogTransaction>> CompleteAsync(OperationContext context) => Task.FromResult<Action<ICatalogTransaction>>(catalog =>
    {
        catalog.Delete<ConnectionRecord>(Record.Id);
        SetVolume(catalog, BlockStates.Available);
    });

    // Still there, alive or dead: Get-BlockConnection tells which.
    public override Task<Action<ICatalogTransaction>> FailAsync(OperationContext context, string error) => Task.FromResult<Action<ICatalogTransaction>>(catalog =>
    {
        catalog.Update(catalog.Get<ConnectionRecord>(Record.Id) with { State = BlockStates.Attached, LastError = error, OperationId = "" });
        SetVolume(catalog, BlockStates.InUse);
    });

    private void SetVolume(ICatalogTransaction catalog, string state)
    {
        if (OfVolume && catalog.Find<VolumeRecord>(Record.VolumeId) is { } volume)
            catalog.Update(volume with { State = state, OperationId = "" });
    }
}
