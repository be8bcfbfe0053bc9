using BlockStorage.Engine.Catalog;
using BlockStorage.Engine.Connectors;
using BlockStorage.Engine.Operations;
using BlockStorage.Engine.Services;
using BlockStorage.Engine.Targets;
using BlockStorage.Services;

namespace BlockStorage.Engine;

public sealed partial class BlockStorageService
{
    private static readonly TimeSpan ConnectTimeout = TimeSpan.FromSeconds(30);

    /// <inheritdoc/>
    public Task<IReadOnlyList<BlockConnection>> GetConnectionsAsync(ConnectionQuery query, CancellationToken cancel) => Guard(async () =>
    {
        var view = _catalog.Read(View.Read);
        var (volume, id, device, iqn) = (Names.Matcher(query.Volume), Names.Matcher(query.Id), Names.Matcher(query.DevicePath), Names.Matcher(query.Iqn));
        var chosen = view.Connections
            .Where(connection => id(connection.Id) && iqn(connection.Iqn))
            .Where(connection => query.Volume is not { Count: > 0 } || volume(view.VolumeName(connection.VolumeId)) || query.Volume.Contains(connection.VolumeId))
            .OrderBy(connection => connection.CreatedAt)
            .ToArray();
        var live = new Dictionary<string, LiveConnection>(StringComparer.Ordinal);
        foreach (var name in chosen.Select(connection => (connection.Connector, connection.Protocol)).Distinct())
        {
            var connector = await _node.ConnectorAsync(name.Connector, name.Protocol, cancel).ConfigureAwait(false);
            foreach (var item in await connector.ListAsync(cancel).ConfigureAwait(false))
                live[item.Id] = item;
        }
        return (IReadOnlyList<BlockConnection>)chosen.Select(connection =>
            Mapping.ToModel(connection, view, live.GetValueOrDefault(connection.Id), _node.Name))
            .Where(connection => device(connection.DevicePath)).ToArray();
    });

    /// <inheritdoc/>
    public Task<BlockPlan<BlockConnection>> ConnectAsync(ConnectRequest request, CancellationToken cancel) => Guard(async () =>
    {
        var (view, settings) = _catalog.Read(catalog => (View.Read(catalog), Settings.Read(catalog)));
        var own = OwnTarget(request, view);
        var snapshotId = request.SnapshotId ?? own?.SnapshotId ?? "";
        var volumeId = snapshotId.Length > 0 ? Find<SnapshotRecord>(snapshotId).VolumeId : request.VolumeId ?? own?.VolumeId ?? "";
        if (own is not null && own.Lun is null)
            throw new BlockStorageException(BlockErrors.InvalidState, $"{own.Name} publishes nothing.", own.Name, $"Publish-IscsiTarget -Target '{own.Name}' -Volume NAME");

        var existing = snapshotId.Length > 0 ? view.ConnectionOfSnapshot(snapshotId)
            : volumeId.Length > 0 ? view.ConnectionOfVolume(volumeId)
            : view.Connections.FirstOrDefault(c => c.Iqn == request.Iqn && c.Portal == PortalOf(request).ToString());
        if (existing is not null)
            return await ExistingAsync(existing, view.NameOf(existing), cancel).ConfigureAwait(false);
        if (volumeId.Length == 0)
            return await ForeignAsync(request, settings, cancel).ConfigureAwait(false);

        var target = own ?? (snapshotId.Length > 0 ? view.TargetOfSnapshot(snapshotId) : view.TargetOfVolume(volumeId));
        var protocol = request.Protocol ?? (target is null ? "local" : "iscsi");
        var volume = Find<VolumeRecord>(volumeId);
        var what = snapshotId.Length > 0 ? view.SnapshotName(snapshotId) : volume.Name;
        if (snapshotId.Length == 0)
            StateTable.Require(volume.Name, volume.State, BlockStates.Attaching);
        if (protocol == "iscsi" && target is null)
            throw new BlockStorageException(BlockErrors.InvalidState, $"'{what}' is not published.", what, $"Publish-IscsiTarget -Volume '{what}'");
        if (protocol == "local" && snapshotId.Length == 0)
            _catalog.Read(catalog => { Dependants.RequireNoWriterTarget(catalog, volume); return true; });
        if (protocol == "iscsi" && target is { State: not BlockStates.Available })
            throw new BlockStorageException(BlockErrors.InvalidState, $"{target.Name} is {target.State}.", target.Name);

        var connector = await _node.ConnectorAsync(null, protocol, cancel).ConfigureAwait(false);
        await RequireWaysAsync(request, connector, what, cancel).ConfigureAwait(false);
        var size = snapshotId.Length > 0 ? Find<SnapshotRecord>(snapshotId).Size : volume.Size;
        var record = new ConnectionRecord
        {
            Id = Guid.NewGuid().ToString(),
            Protocol = protocol,
            Connector = connector.Name,
            VolumeId = volumeId,
            SnapshotId = snapshotId,
            Iqn = protocol == "iscsi" ? target!.Name : "",
            Portal = protocol == "iscsi" ? target!.Portals[0] : "",
            Lun = protocol == "iscsi" ? target!.Lun : null,
            Serial = ContextExtensions.ToSerial(snapshotId.Length > 0 ? snapshotId : volumeId),
            Size = size,
            ReadOnly = request.ReadOnly || snapshotId.Length > 0 || volume.ReadOnly || (protocol == "iscsi" && target!.ReadOnly),
            State = BlockStates.Attaching,
            CreatedAt = DateTime.UtcNow,
        };
        return PlanConnect(new Connect(
            record, what, protocol == "iscsi" ? target!.Id : "", protocol == "local" ? volume.PoolId : "", settings.InitiatorIqn, request.Timeout ?? ConnectTimeout)
        {
            Persistent = request.Persistent,
            Paths = request.Multipath ? target!.Portals : [],
            Chap = protocol == "iscsi" ? request.Credential ?? OwnSecret(view, target!, settings.InitiatorIqn) : null,
            MutualChap = protocol == "iscsi" && target!.MutualSecretId.Length > 0 ? _secrets.Load(target.MutualSecretId) : null,
        });
    });

    /// <inheritdoc/>
    public Task<BlockPlan<bool>> DisconnectAsync(string connectionId, bool force, CancellationToken cancel) => Guard(() =>
    {
        if (IsGone<ConnectionRecord>(connectionId))
            return Task.FromResult(Gone("Disconnect", connectionId));
        var view = _catalog.Read(View.Read);
        var connection = Find<ConnectionRecord>(connectionId);
        return Task.FromResult(Plan([new Disconnect(connection, view.NameOf(connection), force)], (_, _) => Task.FromResult(true)));
    });

    /// <inheritdoc/>
    public Task<IReadOnlyList<IscsiTargetAddress>> FindTargetsAsync(DiscoveryRequest request, CancellationToken cancel) => Guard(async () =>
    {
        var (view, settings) = _catalog.Read(catalog => (View.Read(catalog), Settings.Read(catalog)));
        var port = request.Port
            ?? view.Targets.SelectMany(target => target.Portals).Select(Portal.Parse)
                .Where(portal => portal.Address == request.Address || portal.Address is "0.0.0.0" or "::")
                .Select(portal => (int?)portal.Port).FirstOrDefault()
            ?? Targets.Iscsi.IscsiDiscovery.DefaultPort;
        var found = await _node.DiscoverAsync(new Portal(request.Address, port), settings.InitiatorIqn, request.Credential,
            request.Timeout ?? ConnectTimeout, cancel).ConfigureAwait(false);
        return (IReadOnlyList<IscsiTargetAddress>)found.Select(address => new IscsiTargetAddress
        {
            Name = address.Iqn,
            Server = _node.Name,
            Iqn = address.Iqn,
            Address = address.Address,
            Port = address.Port,
            PortalGroup = address.PortalGroup,
        }).ToArray();
    });

    /// <inheritdoc/>
    public Task<IscsiInitiator> GetInitiatorAsync(CancellationToken cancel) => Guard(async () =>
    {
        var (view, settings) = _catalog.Read(catalog => (View.Read(catalog), Settings.Read(catalog)));
        var connectors = new List<string>();
        foreach (var connector in _node.Connectors.Where(connector => connector.Protocol == "iscsi"))
        {
            if ((await connector.ProbeAsync(cancel).ConfigureAwait(false)).Usable)
                connectors.Add(connector.Name);
        }
        return new IscsiInitiator
        {
            Name = settings.InitiatorIqn,
            Iqn = settings.InitiatorIqn,
            Server = _node.Name,
            Connector = connectors.FirstOrDefault() ?? "",
            ConnectionCount = view.Connections.Count(connection => connection.Protocol == "iscsi"),
        };
    });

    /// <inheritdoc/>
    public Task<BlockPlan<IscsiInitiator>> SetInitiatorAsync(string iqn, CancellationToken cancel) => Guard(() =>
    {
        var wanted = Names.CheckIqn(iqn);
        return Task.FromResult(wanted == ReadSettings().InitiatorIqn
            ? Nothing("Set initiator", wanted, () => GetInitiatorAsync(cancel))
            : Record("Set initiator", wanted, $"Log in as {wanted} from now on",
                catalog => Settings.Write(catalog, nameof(Settings.InitiatorIqn), wanted), () => GetInitiatorAsync(cancel)));
    });

    private static Portal PortalOf(ConnectRequest request) => new(request.Address ?? "", request.Port ?? Targets.Iscsi.IscsiDiscovery.DefaultPort);

    // A found address that is one of our own portals is our own target, with our own secret.
    private static TargetRecord? OwnTarget(ConnectRequest request, View view) => request.Iqn is null ? null
        : view.Targets.FirstOrDefault(target => target.Name.Equals(request.Iqn, StringComparison.OrdinalIgnoreCase)
            && (request.Address is null || target.Portals.Select(Portal.Parse).Any(portal =>
                portal.Port == (request.Port ?? portal.Port) && (portal.Address == request.Address || portal.Address is "0.0.0.0" or "::"))));

    private ChapCredential? OwnSecret(View view, TargetRecord target, string initiator)
    {
        var grants = view.GrantsOf(target.Id);
        var ours = grants.FirstOrDefault(grant => grant.Initiator == initiator)
            ?? grants.FirstOrDefault(grant => grant.Initiator == AnyInitiator)
            ?? grants.FirstOrDefault(grant => IsAddress(grant.Initiator))
            ?? throw new BlockStorageException(BlockErrors.AccessDenied,
                $"{target.Name} does not let this machine ({initiator}) in.", target.Name,
                $"Grant-IscsiTargetAccess -Target '{target.Name}' -Initiator '{initiator}'");
        if (ours.UserName.Length == 0)
            return null;
        var secret = _secrets.Load(ours.Id);
        if (secret is null && _catalog.Read(catalog => catalog.Find<TargetRecord>(target.Id))?.Version != target.Version)
            throw new BlockStorageException(BlockErrors.Conflict, $"{target.Name} has been changed meanwhile.", target.Name);
        return secret ?? throw new BlockStorageException(BlockErrors.CredentialRequired,
            $"The secret of {ours.Initiator} for {target.Name} is lost.", target.Name,
            $"Grant-IscsiTargetAccess -Target '{target.Name}' -Initiator '{ours.Initiator}' -Credential (Get-Credential)");
    }

    private async Task<BlockPlan<BlockConnection>> ForeignAsync(ConnectRequest request, Settings settings, CancellationToken cancel)
    {
        if (string.IsNullOrEmpty(request.Iqn) || string.IsNullOrEmpty(request.Address))
            throw new BlockStorageException(BlockErrors.InvalidArgument, "Give a volume, a target, or an IQN with an address.", request.Iqn, "Find-IscsiTarget -PortalAddress ADDRESS | Connect-BlockVolume");
        var iqn = Names.CheckIqn(request.Iqn);
        if (request.Protocol == "local")
            throw new BlockStorageException(BlockErrors.InvalidArgument, $"{iqn} is not a volume of this machine.", iqn, "Leave -Protocol out.");
        var connector = await _node.ConnectorAsync(null, "iscsi", cancel).ConfigureAwait(false);
        await RequireWaysAsync(request, connector, iqn, cancel).ConfigureAwait(false);
        var portals = request.Multipath ? await PortalsAsync(request, settings, iqn, cancel).ConfigureAwait(false) : [];
        var record = new ConnectionRecord
        {
            Id = Guid.NewGuid().ToString(),
            Protocol = "iscsi",
            Connector = connector.Name,
            Iqn = iqn,
            Portal = PortalOf(request).ToString(),
            Lun = request.Lun,
            ReadOnly = request.ReadOnly,
            State = BlockStates.Attaching,
            CreatedAt = DateTime.UtcNow,
        };
        return PlanConnect(new Connect(record, iqn, "", "", settings.InitiatorIqn, request.Timeout ?? ConnectTimeout)
        {
            Chap = request.Credential,
            Persistent = request.Persistent,
            Paths = portals,
        });
    }

    private static async Task RequireWaysAsync(ConnectRequest request, IConnector connector, string what, CancellationToken cancel)
    {
        if (!request.Persistent && !request.Multipath)
            return;
        var can = (await connector.ProbeAsync(cancel).ConfigureAwait(false)).Capabilities;
        var (lacks, option) = request.Persistent && !can.Contains("persistent") ? ("brings nothing back at boot", "-Persistent") : ("joins no paths", "-Multipath");
        if ((request.Persistent && !can.Contains("persistent")) || (request.Multipath && !can.Contains("multipath")))
            throw new BlockStorageException(BlockErrors.NotSupported, $"'{what}' would be connected by {connector.Name}, which {lacks}.", what,
                $"Leave {option} out; OpenIscsi can do it, for what is published: Test-BlockStorageServer -Detailed");
    }

    // The portal that was asked for comes first.
    private async Task<IReadOnlyList<string>> PortalsAsync(ConnectRequest request, Settings settings, string iqn, CancellationToken cancel)
    {
        var asked = PortalOf(request);
        var found = await _node.DiscoverAsync(asked, settings.InitiatorIqn, request.Credential, request.Timeout ?? ConnectTimeout, cancel).ConfigureAwait(false);
        return [.. found.Where(each => each.Iqn.Equals(iqn, StringComparison.OrdinalIgnoreCase)).Select(each => new Portal(each.Address, each.Port)).Prepend(asked).Distinct().Select(portal => portal.ToString())];
    }

    // Connecting has just proved the device, which is not looked up once more: reading all links of the machine takes longer than the rest.
    private BlockPlan<BlockConnection> PlanConnect(Connect connect) => Plan([connect], (_, _) => Task.FromResult(
        _catalog.Read(catalog => Mapping.ToModel(catalog.Get<ConnectionRecord>(connect.Record.Id), View.Read(catalog), connect.Made, _node.Name))));

    private async Task<BlockPlan<BlockConnection>> ExistingAsync(ConnectionRecord existing, string what, CancellationToken cancel)
    {
        var now = await ConnectionAsync(existing.Id, cancel).ConfigureAwait(false);
        if (now.State == BlockStates.Lost)
        {
            throw new BlockStorageException(BlockErrors.ConnectionLost, $"'{what}' has a dead connection: {now.Health}", what,
                $"Repair-BlockStorage, or Get-BlockConnection -Id {existing.Id} | Disconnect-BlockVolume -Force");
        }
        if (now.State != BlockStates.Attached)
            throw new BlockStorageException(BlockErrors.InvalidState, $"'{what}' is {now.State}.", what);
        return Nothing("Connect", $"{what} ({now.DevicePath})", () => ConnectionAsync(existing.Id, cancel));
    }

    private async Task<BlockConnection> ConnectionAsync(string id, CancellationToken cancel) =>
        (await GetConnectionsAsync(new ConnectionQuery(Id: [id]), cancel).ConfigureAwait(false)).FirstOrDefault()
        ?? throw new BlockStorageException(BlockErrors.ConnectionNotFound, $"Connection {id} does not exist any more.", id);
}
