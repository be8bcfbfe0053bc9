using System.Net;
using BlockStorage.Engine.Catalog;
using BlockStorage.Engine.Host;
using BlockStorage.Engine.Operations;
using BlockStorage.Engine.Services;
using BlockStorage.Engine.Targets;
using BlockStorage.Services;

namespace BlockStorage.Engine;

public sealed partial class BlockStorageService
{
    private const string AnyInitiator = "*";
    private const int PortAttempts = 5;

    /// <inheritdoc/>
    public Task<IReadOnlyList<IscsiTarget>> GetTargetsAsync(TargetQuery query, CancellationToken cancel) => Guard(async () =>
    {
        var view = _catalog.Read(View.Read);
        var chosen = Choose(view, query);
        var reports = new Dictionary<string, TargetReport>(StringComparer.Ordinal);
        foreach (var targets in chosen.GroupBy(target => target.Driver))
        {
            var driver = await _node.TargetDriverAsync(targets.Key, cancel).ConfigureAwait(false);
            reports[targets.Key] = await (targets.Count() == 1 ? driver.FindAsync(targets.First().Name, cancel) : driver.ListAsync(cancel)).ConfigureAwait(false);
        }
        return (IReadOnlyList<IscsiTarget>)chosen.Select(target =>
            ToModel(target, view.VolumeName(target.VolumeId), view.SnapshotName(target.SnapshotId), view.GrantsOf(target.Id), reports[target.Driver])).ToArray();
    });

    /// <inheritdoc/>
    public Task<IReadOnlyList<IscsiTargetAccess>> GetAccessAsync(TargetQuery query, CancellationToken cancel) => Guard(() =>
    {
        var view = _catalog.Read(View.Read);
        return Task.FromResult<IReadOnlyList<IscsiTargetAccess>>(Choose(view, query)
            .SelectMany(target => view.GrantsOf(target.Id).Select(grant => AccessOf(target, grant)))
            .ToArray());
    });

    /// <inheritdoc/>
    public Task<BlockPlan<IscsiTarget>> NewTargetAsync(NewTargetRequest request, CancellationToken cancel) => Guard(async () =>
    {
        var settings = ReadSettings();
        var id = Guid.NewGuid().ToString();
        var iqn = Names.CheckIqn(string.IsNullOrEmpty(request.Iqn) ? $"{settings.IqnPrefix}:target:{id}" : request.Iqn);
        if (_catalog.Read(catalog => catalog.ListBy<TargetRecord>("name", iqn)).FirstOrDefault() is { } existing)
        {
            if (request.IfNotExists)
                return Nothing("Create target", iqn, () => TargetAsync(existing.Id, cancel));
            RequireFree<TargetRecord>(iqn, "", "target");
        }
        var driver = await _node.TargetDriverAsync(request.Driver, cancel).ConfigureAwait(false);
        var mutual = request.MutualChap is null ? "" : Guid.NewGuid().ToString();
        var target = new TargetRecord
        {
            Id = id,
            Name = iqn,
            Driver = driver.Name,
            Portals = await PortalsAsync(driver, settings, request.Portal, cancel).ConfigureAwait(false),
            MutualSecretId = mutual,
            State = BlockStates.Creating,
            CreatedAt = DateTime.UtcNow,
        };
        var secrets = new NewSecrets();
        if (request.MutualChap is { } proof)
            secrets.Add(mutual, CheckMutual(proof, request.Chap));
        var grants = Grants(id, Admitted(request.Initiator, driver, settings), request.Chap, request.NoChap, secrets);
        return PlanPublish(new Publish(target, grants, "", "", Exists: false) { Secrets = secrets }, driver, request.Portal);
    });

    /// <inheritdoc/>
    public Task<BlockPlan<IscsiTarget>> SetTargetAsync(string id, SetTargetRequest request, CancellationToken cancel) => Guard(() =>
    {
        var target = Find<TargetRecord>(id);
        var old = _catalog.Read(catalog => catalog.ListBy<GrantRecord>("target_id", id));
        var secrets = new NewSecrets();
        // Without this, credentials for nobody would become credentials for everybody.
        if (request.Chap is not null && old.Count == 0)
        {
            throw new BlockStorageException(BlockErrors.AccessNotFound, $"{target.Name} lets nobody in whose credentials could be set.", target.Name,
                $"Grant-IscsiTargetAccess -Target '{target.Name}' -Initiator IQN -Credential (Get-Credential)");
        }
        var added = request.Chap is null ? [] : Grants(id, old.Select(grant => grant.Initiator).ToArray(), request.Chap, false, secrets);
        var mutual = request.ClearMutualChap ? "" : request.MutualChap is null ? target.MutualSecretId : Guid.NewGuid().ToString();
        if (request.MutualChap is { } proof)
            secrets.Add(mutual, CheckMutual(proof, request.Chap));
        return Task.FromResult(Plan(
            [new ChangeAccess(target, old, added, request.Chap is null ? [] : old, mutual, "Set credentials") { Secrets = secrets }],
            (_, stop) => TargetAsync(id, stop)));
    });

    /// <inheritdoc/>
    public Task<BlockPlan<bool>> RemoveTargetAsync(string id, bool force, CancellationToken cancel) => Guard(() =>
        Task.FromResult(Named(id) is var (target, what)
            ? Plan([new Unpublish(target, what, RemoveTarget: true, force)], (_, _) => Task.FromResult(true))
            : Gone("Remove target", id)));

    /// <inheritdoc/>
    public Task<BlockPlan<IscsiTarget>> PublishAsync(PublishRequest request, CancellationToken cancel) => Guard(async () =>
    {
        var (settings, volume, snapshot, published) = _catalog.Read(catalog =>
        {
            var snapshot = request.SnapshotId is null ? null : catalog.Get<SnapshotRecord>(request.SnapshotId);
            var volume = catalog.Get<VolumeRecord>(snapshot?.VolumeId ?? request.VolumeId!);
            return (Settings.Read(catalog), volume, snapshot,
                catalog.ListBy<TargetRecord>("volume_id", volume.Id).FirstOrDefault(target => target.SnapshotId == (snapshot?.Id ?? "")));
        });
        var what = snapshot?.Name ?? volume.Name;
        StateTable.RequireSteady(what, snapshot?.State ?? volume.State);
        var readOnly = request.ReadOnly || snapshot is not null || volume.ReadOnly;

        if (published is not null)
            return await AlreadyPublishedAsync(request, published, what, cancel).ConfigureAwait(false);

        var empty = string.IsNullOrEmpty(request.TargetIqn) ? null : One<TargetRecord>(request.TargetIqn, BlockErrors.TargetNotFound, "target");
        if (empty is { Lun: not null })
            throw new BlockStorageException(BlockErrors.TargetInUse, $"{empty.Name} publishes '{_catalog.Read(catalog => NameOf(catalog, empty))}'; a target publishes one volume.", empty.Name);
        if (empty is not null && request.Portal is { Count: > 0 })
        {
            throw new BlockStorageException(BlockErrors.InvalidArgument,
                $"{empty.Name} has portals of its own, {string.Join(", ", empty.Portals)}; Portal does not go with -Target.", empty.Name, "New-IscsiTarget -Portal ADDRESS, ADDRESS");
        }
        if (empty is not null && (request.Initiator is { Count: > 0 } || request.Credential is not null || request.NoChap))
        {
            throw new BlockStorageException(BlockErrors.InvalidArgument,
                $"{empty.Name} has access rights of its own; Initiator, Credential and NoChap do not go with -Target.", empty.Name,
                $"Grant-IscsiTargetAccess -Target '{empty.Name}' -Initiator IQN");
        }
        var driver = await _node.TargetDriverAsync(empty?.Driver ?? request.Driver, cancel).ConfigureAwait(false);
        var lun = request.Lun ?? driver.Luns.First;
        if (lun < driver.Luns.First || lun > driver.Luns.Last)
        {
            throw new BlockStorageException(BlockErrors.InvalidArgument,
                $"LUN {lun} is not possible with {driver.Name}: {driver.Luns.First} to {driver.Luns.Last}.", what, "Leave -Lun out.");
        }
        var sourceId = snapshot?.Id ?? volume.Id;
        var secrets = new NewSecrets();
        var target = (empty ?? new TargetRecord
        {
            Id = Guid.NewGuid().ToString(),
            Name = Names.CheckIqn($"{settings.IqnPrefix}:{(snapshot is null ? "volume" : "snapshot")}:{sourceId}"),
            Driver = driver.Name,
            Portals = await PortalsAsync(driver, settings, request.Portal, cancel).ConfigureAwait(false),
            Automatic = true,
            State = BlockStates.Creating,
            CreatedAt = DateTime.UtcNow,
        }) with
        { VolumeId = volume.Id, SnapshotId = snapshot?.Id ?? "", Lun = lun, ReadOnly = readOnly, Serial = ContextExtensions.ToSerial(sourceId) };
        var grants = empty is not null ? [] : Grants(target.Id, Admitted(request.Initiator, driver, settings), request.Credential, request.NoChap, secrets);
        return PlanPublish(new Publish(target, grants, what, volume.PoolId, Exists: empty is not null) { Secrets = secrets }, driver, request.Portal);
    });

    /// <inheritdoc/>
    public Task<BlockPlan<bool>> UnpublishAsync(string targetId, bool force, CancellationToken cancel) => Guard(() =>
    {
        if (Named(targetId) is not var (target, what))
            return Task.FromResult(Gone("Unpublish", targetId));
        if (target.Lun is null)
            return Task.FromResult(Nothing("Unpublish", target.Name, () => Task.FromResult(true)));
        return Task.FromResult(Plan([new Unpublish(target, what, target.Automatic, force)], (_, _) => Task.FromResult(true)));
    });

    /// <inheritdoc/>
    public Task<BlockPlan<IscsiTargetAccess>> GrantAccessAsync(
        string targetId, string initiator, ChapCredential? credential, bool noChap, CancellationToken cancel) => Guard(async () =>
    {
        var target = Find<TargetRecord>(targetId);
        var driver = await _node.TargetDriverAsync(target.Driver, cancel).ConfigureAwait(false);
        var old = _catalog.Read(catalog => catalog.ListBy<GrantRecord>("target_id", targetId));
        var secrets = new NewSecrets();
        var grant = Grants(targetId, Admitted([initiator], driver, ReadSettings()), credential, noChap, secrets)[0];
        if (old.FirstOrDefault(other => other.Initiator == grant.Initiator) is { } same && credential is null && !(noChap && same.UserName.Length > 0))
            return Nothing("Grant access", $"{grant.Initiator} on {target.Name}", () => Task.FromResult(AccessOf(target, same)));
        var replaced = old.Where(other => other.Initiator == grant.Initiator).ToArray();
        if (old.Except(replaced).Any(other => other.UserName.Length > 0 != grant.UserName.Length > 0))
        {
            throw new BlockStorageException(BlockErrors.InvalidArgument,
                $"{target.Name} has CHAP for {(noChap ? "its" : "none of its")} initiators; a target has it for all or for none.", target.Name,
                noChap ? "Leave -NoChap out." : "Use -NoChap, or publish again with CHAP.");
        }
        return Plan(
            [new ChangeAccess(target, old, [grant], replaced, target.MutualSecretId, "Grant access") { Secrets = secrets }],
            (_, _) => Task.FromResult(AccessOf(target, grant)));
    });

    /// <inheritdoc/>
    public Task<BlockPlan<bool>> RevokeAccessAsync(string targetId, string initiator, CancellationToken cancel) => Guard(() =>
    {
        var target = Find<TargetRecord>(targetId);
        var wanted = CheckInitiator(initiator);
        var old = _catalog.Read(catalog => catalog.ListBy<GrantRecord>("target_id", targetId));
        var removed = old.Where(grant => grant.Initiator == wanted).ToArray();
        return Task.FromResult(removed.Length == 0
            ? Nothing("Revoke access", $"{wanted} from {target.Name}", () => Task.FromResult(true))
            : Plan([new ChangeAccess(target, old, [], removed, target.MutualSecretId, "Revoke access")], (_, _) => Task.FromResult(true)));
    });

    private static IReadOnlyList<TargetRecord> Choose(View view, TargetQuery query)
    {
        var (name, id, volume) = (Names.Matcher(query.Name), Names.Matcher(query.Id), Names.Matcher(query.Volume));
        return view.Targets
            .Where(target => name(target.Name) && id(target.Id))
            .Where(target => query.Volume is not { Count: > 0 } || (target.VolumeId.Length > 0
                && (volume(view.VolumeName(target.VolumeId)) || query.Volume.Contains(target.VolumeId))))
            .OrderBy(target => target.Name, StringComparer.Ordinal)
            .ToArray();
    }

    private async Task<BlockPlan<IscsiTarget>> AlreadyPublishedAsync(
        PublishRequest request, TargetRecord published, string what, CancellationToken cancel)
    {
        var initiators = request.Initiator?.Select(CheckInitiator).ToHashSet(StringComparer.Ordinal);
        var differs = (!string.IsNullOrEmpty(request.TargetIqn) && !request.TargetIqn.Equals(published.Name, StringComparison.OrdinalIgnoreCase))
            || (request.Lun is int lun && lun != published.Lun) || (request.ReadOnly && !published.ReadOnly)
            || (initiators is not null && !initiators.SetEquals(_catalog.Read(catalog => catalog.ListBy<GrantRecord>("target_id", published.Id)).Select(grant => grant.Initiator)))
            || request.Credential is not null || !HasPortals(published, request.Portal);
        if (differs)
        {
            throw new BlockStorageException(BlockErrors.VolumePublished,
                $"'{what}' is published already by {published.Name}, but not as asked for.", what,
                $"Unpublish-IscsiTarget -Target '{published.Name}', then publish again; or Grant-IscsiTargetAccess -Target '{published.Name}'");
        }
        var now = await TargetAsync(published.Id, cancel).ConfigureAwait(false);
        return now.State == BlockStates.Online
            ? Nothing("Publish", $"{what} by {published.Name}", () => Task.FromResult(now))
            : Plan([new ServeTarget(published)], (_, stop) => TargetAsync(published.Id, stop));
    }

    // A port that we chose ourselves may be taken by somebody else before we listen on it: then we choose again.
    private BlockPlan<IscsiTarget> PlanPublish(Publish first, ITargetDriver driver, IReadOnlyList<string>? asked)
    {
        var plan = Plan([first], (_, stop) => TargetAsync(first.Record.Id, stop));
        return new BlockPlan<IscsiTarget>
        {
            Action = plan.Action,
            Target = plan.Target,
            Steps = plan.Steps,
            RunAsync = async (sink, cancel) =>
            {
                for (var attempt = 1; ; attempt++)
                {
                    try
                    {
                        return await plan.RunAsync(sink, cancel).ConfigureAwait(false);
                    }
                    catch (BlockStorageException error) when (error.Error == BlockErrors.PortalUnreachable
                        && attempt < PortAttempts && !first.Exists && ReadSettings() is var settings && LeavesPort(asked, settings))
                    {
                        var portals = await PortalsAsync(driver, settings, asked, cancel).ConfigureAwait(false);
                        sink.Verbose($"{error.Message} Trying {string.Join(", ", portals)}.");
                        plan = Plan([first with { Record = first.Record with { Portals = portals } }], (_, stop) => TargetAsync(first.Record.Id, stop));
                    }
                }
            },
        };
    }

    // A target and the name of what it publishes, or null.
    private (TargetRecord Target, string What)? Named(string id) => _catalog.Read<(TargetRecord, string)?>(catalog =>
        catalog.Find<TargetRecord>(id) is { } target ? (target, NameOf(catalog, target)) : null);

    private static string NameOf(ICatalogReader catalog, TargetRecord target) =>
        (target.SnapshotId.Length > 0 ? catalog.Find<SnapshotRecord>(target.SnapshotId)?.Name : catalog.Find<VolumeRecord>(target.VolumeId)?.Name) ?? "";

    private static Unpublish Unpublishing(View view, TargetRecord target, bool removeTarget, bool force) => new(
        target, view.NameOf(target), removeTarget, force);

    private IscsiTargetAccess AccessOf(TargetRecord target, GrantRecord grant) => new()
    {
        Name = grant.Initiator,
        Id = grant.Id,
        Server = _node.Name,
        Target = target.Name,
        Initiator = grant.Initiator,
        UserName = grant.UserName,
        Authentication = grant.UserName.Length == 0 ? "None" : _secrets.Has(grant.Id) ? "Credential" : "NeedsCredential",
        CreatedAt = grant.CreatedAt.ToLocalTime(),
    };

    // Nobody named: everybody who knows the secret; this machine where the driver wants names.
    private static IReadOnlyList<string> Admitted(IReadOnlyList<string>? initiators, ITargetDriver driver, Settings settings)
    {
        if (initiators is not { Count: > 0 })
            return [driver.AnyInitiator ? AnyInitiator : settings.InitiatorIqn];
        if (!driver.AnyInitiator && initiators.FirstOrDefault(initiator => initiator == AnyInitiator || IsAddress(initiator)) is { } unnamed)
        {
            throw new BlockStorageException(BlockErrors.InvalidArgument,
                $"{driver.Name} lets initiators in by their names only; '{unnamed}' is none.", unnamed,
                "Use -Initiator with the IQN that Get-IscsiInitiator shows on the other machine, or -Driver Tgt.");
        }
        return initiators;
    }

    private static IReadOnlyList<GrantRecord> Grants(
        string targetId, IReadOnlyList<string> initiators, ChapCredential? credential, bool noChap, NewSecrets secrets)
    {
        if (noChap && credential is not null)
            throw new BlockStorageException(BlockErrors.InvalidArgument, "Credential and NoChap contradict each other.", credential.UserName, "Leave one of them out.");
        var grants = new List<GrantRecord>();
        foreach (var initiator in initiators.Select(CheckInitiator).Distinct())
        {
            var chap = noChap ? null : credential is null ? SecretStore.Generate() : CheckChap(credential);
            var grant = new GrantRecord
            {
                Id = Guid.NewGuid().ToString(),
                TargetId = targetId,
                Initiator = initiator,
                UserName = chap?.UserName ?? "",
                CreatedAt = DateTime.UtcNow,
            };
            if (chap is not null)
                secrets.Add(grant.Id, chap);
            grants.Add(grant);
        }
        return grants;
    }

    private static string CheckInitiator(string initiator)
    {
        if (initiator == AnyInitiator)
            return initiator;
        return IsAddress(initiator) ? initiator : Names.CheckIqn(initiator);
    }

    private static bool IsAddress(string initiator) => IPAddress.TryParse(initiator, out _) || IPNetwork.TryParse(initiator, out _);

    // RFC 7143 (12.1.3) wants 96 bits or more without IPsec; other initiators take 12 to 16 characters and no more.
    private static ChapCredential CheckChap(ChapCredential credential)
    {
        var wrong = credential switch
        {
            { Secret.Length: < 12 or > 16 } => $"The secret of '{credential.UserName}' has {credential.Secret.Length} characters, not 12 to 16.",
            _ when credential.Secret.Any(c => c is < '!' or > '~') => $"The secret of '{credential.UserName}' has characters other than printable ASCII.",
            { UserName.Length: 0 or > 63 } => "The user name must have 1 to 63 characters.",
            _ when credential.UserName.Any(c => !char.IsAsciiLetterOrDigit(c) && c is not ('.' or '_' or '-' or ':' or '@')) => "The user name may have letters, digits and . _ - : @ only.",
            _ => null,
        };
        return wrong is null ? credential : throw new BlockStorageException(BlockErrors.InvalidCredential, wrong, credential.UserName);
    }

    // RFC 7143 (9.2.1): the same secret must not be used in both directions.
    private static ChapCredential CheckMutual(ChapCredential proof, ChapCredential? chap) => proof.Secret != chap?.Secret ? CheckChap(proof)
        : throw new BlockStorageException(BlockErrors.InvalidCredential, "The target must not prove the same secret as the initiator.", proof.UserName);

    private Task<IscsiTarget> TargetAsync(string id, CancellationToken cancel) => Guard(async () =>
    {
        var (target, grants, volume, snapshot) = _catalog.Read(catalog =>
        {
            var target = catalog.Get<TargetRecord>(id);
            return (target, catalog.ListBy<GrantRecord>("target_id", id), catalog.Find<VolumeRecord>(target.VolumeId)?.Name ?? "", catalog.Find<SnapshotRecord>(target.SnapshotId)?.Name ?? "");
        });
        var driver = await _node.TargetDriverAsync(target.Driver, cancel).ConfigureAwait(false);
        return ToModel(target, volume, snapshot, grants, await driver.FindAsync(target.Name, cancel).ConfigureAwait(false));
    });

    private IscsiTarget ToModel(TargetRecord target, string volume, string snapshot, IReadOnlyList<GrantRecord> grants, TargetReport report) =>
        Mapping.ToModel(target, volume, snapshot, grants, grants.Any(grant => grant.UserName.Length > 0 && !_secrets.Has(grant.Id)), report, _node.Name);
}
