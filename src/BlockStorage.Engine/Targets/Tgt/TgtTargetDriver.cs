using System.Net;
using System.Net.Sockets;
using BlockStorage.Engine.Host;
using BlockStorage.Services;

namespace BlockStorage.Engine.Targets.Tgt;

/// <summary>Publishes files and devices with tgtd in user space: needs no kernel module.</summary>
internal sealed class TgtTargetDriver(StateRoot root, ICommandRunner runner) : ITargetDriver
{
    private static readonly TimeSpan EndLimit = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan PortalLimit = TimeSpan.FromSeconds(2);
    private const int ListAttempts = 3;
    private readonly TgtDaemon _daemon = new(root, new DaemonLauncher(runner));
    private TgtUnits Units => new(_daemon);
    private TgtAccounts Accounts => new(_daemon);

    /// <inheritdoc/>
    public string Name => "Tgt";

    /// <inheritdoc/>
    public bool ResizeInterrupts => true;

    /// <inheritdoc/>
    public bool AnyInitiator => true;

    /// <inheritdoc/>
    public (int First, int Last) Luns => (1, 255);

    /// <inheritdoc/>
    public Task<DriverProbe> ProbeAsync(CancellationToken cancel) => TgtProbe.RunAsync(runner, cancel);

    /// <inheritdoc/>
    public async Task<Portal> ChoosePortalAsync(string address, int port, CancellationToken cancel)
    {
        for (var attempt = 1; ; attempt++)
        {
            Portal? free = null;
            BlockStorageException? refusal = null;
            try
            {
                free = PortalProbe.Choose(address, port);
            }
            catch (BlockStorageException error) when (error.Error == BlockErrors.PortalUnreachable)
            {
                refusal = error;
            }
            // Asked after the probe: what took the port is then seen to be our own.
            var report = await ListAsync(cancel).ConfigureAwait(false);
            var ours = report.Portals.FirstOrDefault(portal => Same(portal.Address, IPAddress.Parse(address)) && (port == 0 || portal.Port == port));
            if ((ours ?? free) is { } chosen)
                return chosen;
            // Our own tgtd may have let go of it between the two looks.
            if (attempt == ListAttempts)
                throw refusal!;
        }
    }

    /// <inheritdoc/>
    public async Task PublishAsync(ExportSpec export, IWorkSink sink, CancellationToken cancel)
    {
        TgtAccounts.Wanted(export);
        using var held = _daemon.Lock(cancel);
        await _daemon.StartAsync(sink, cancel).ConfigureAwait(false);
        var created = 0;
        try
        {
            await ListenAsync(export, cancel).ConfigureAwait(false);
            var targets = await TargetsAsync(cancel).ConfigureAwait(false);
            var target = targets.FirstOrDefault(each => each.Iqn == export.Iqn);
            if (target is null)
            {
                var tid = Enumerable.Range(1, targets.Count + 1).First(number => targets.All(each => each.Tid != number));
                await CreateAsync(tid, export.Iqn, cancel).ConfigureAwait(false);
                created = tid;
                target = new TgtTarget(tid, export.Iqn);
            }
            await Units.ApplyAsync(target, export.Lun, cancel).ConfigureAwait(false);
            // Access comes last: an initiator that is let in finds everything there.
            await ApplyAccessAsync(target, export, targets.Where(each => each.Tid != target.Tid).ToArray(), cancel).ConfigureAwait(false);
            Prove(await TargetsAsync(cancel).ConfigureAwait(false), export);
        }
        catch
        {
            if (created > 0)
                await RemoveAsync(created, CancellationToken.None).ConfigureAwait(false);
            await StopWhenEmptyAsync(sink).ConfigureAwait(false);
            throw;
        }
    }

    /// <inheritdoc/>
    public async Task RemoveLunAsync(string iqn, int lun, CancellationToken cancel)
    {
        using var held = _daemon.Lock(cancel);
        if (_daemon.IsRunning && await FindAsync(iqn, cancel).ConfigureAwait(false) is { } target)
            await Units.RemoveAsync(target.Tid, iqn, lun, cancel).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public async Task UnpublishAsync(string iqn, bool force, CancellationToken cancel)
    {
        using var held = _daemon.Lock(cancel);
        if (_daemon.IsRunning && await FindAsync(iqn, cancel).ConfigureAwait(false) is { } target)
        {
            if (target.Sessions.Count > 0 && !force)
                throw new BlockStorageException(BlockErrors.TargetHasSessions,
                    $"'{iqn}' has {target.Sessions.Count} session(s): {string.Join(", ", target.Sessions.Select(session => $"{session.Initiator} from {session.Address}"))}.", iqn);
            if (force)
                await EndSessionsAsync(target, cancel).ConfigureAwait(false);
            await RemoveAsync(target.Tid, cancel, force).ConfigureAwait(false);
            await Accounts.ForgetAsync(target, await TargetsAsync(cancel).ConfigureAwait(false), cancel).ConfigureAwait(false);
        }
        await StopWhenEmptyAsync(SilentSink.Instance).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public async Task ResizeAsync(ExportSpec export, CancellationToken cancel)
    {
        using var held = _daemon.Lock(cancel);
        var target = await RequireAsync(export.Iqn, cancel).ConfigureAwait(false);
        if (export.Lun is not { } lun || target.Units.All(unit => unit.Lun != lun.Number))
            throw new BlockStorageException(BlockErrors.TargetNotFound, $"'{export.Iqn}' publishes nothing that could be resized.", export.Iqn);
        await Units.ResizeAsync(target, lun, cancel).ConfigureAwait(false);
        Prove(await TargetsAsync(cancel).ConfigureAwait(false), export);
    }

    /// <inheritdoc/>
    public async Task<TargetReport> ListAsync(CancellationToken cancel)
    {
        for (var attempt = 1; _daemon.IsRunning; attempt++)
        {
            try
            {
                var targets = await TargetsAsync(cancel).ConfigureAwait(false);
                return new TargetReport(true, targets.Select(Describe).ToArray(), await PortalsAsync(cancel).ConfigureAwait(false));
            }
            catch (BlockStorageException error) when (error.Error == BlockErrors.TargetUnavailable && attempt < ListAttempts)
            {
                // No lock is held here: another process may stop it after its last target, or start it, while we ask.
            }
        }
        return new TargetReport(false, [], []);
    }

    private async Task ListenAsync(ExportSpec export, CancellationToken cancel)
    {
        var present = await PortalsAsync(cancel).ConfigureAwait(false);
        foreach (var portal in export.Portals)
        {
            if (!IPAddress.TryParse(portal.Address, out var ip))
                throw new BlockStorageException(BlockErrors.InvalidArgument, $"'{portal.Address}' is no IP address to listen at.", export.Iqn);
            if (present.Any(each => each.Port == portal.Port && Same(each.Address, ip)))
                continue;
            await ListenAsync(portal, ip, cancel).ConfigureAwait(false);
        }
    }

    private async Task ListenAsync(Portal portal, IPAddress ip, CancellationToken cancel)
    {
        var request = new TgtRequest(TgtMode.Portal, TgtOperation.New, Parameters: $"portal={portal}");
        // A tgtd that was just killed keeps its portal for a moment.
        var until = DateTime.UtcNow + PortalLimit;
        while (await _daemon.Client.TryAsync(request, portal.ToString(), cancel, TgtError.InvalidRequest).ConfigureAwait(false) != TgtError.Success)
        {
            var why = PortalProbe.Refusal(ip, portal.Port);
            if (why is { SocketErrorCode: not SocketError.AddressAlreadyInUse } || DateTime.UtcNow > until)
                throw new BlockStorageException(BlockErrors.PortalUnreachable, $"tgtd cannot listen at {portal}: {why?.Message ?? _daemon.LastWords()}.",
                    portal.ToString(), "Set-BlockStorageConfiguration -PortalAddress ADDRESS -PortalPort PORT");
            await Task.Delay(20, cancel).ConfigureAwait(false);
        }
    }

    private async Task CreateAsync(int tid, string iqn, CancellationToken cancel)
    {
        var request = new TgtRequest(TgtMode.Target, TgtOperation.New, tid, Parameters: $"targetname={iqn}");
        if (iqn.Contains(',', StringComparison.Ordinal)
            || await _daemon.Client.TryAsync(request, iqn, cancel, TgtError.InvalidRequest).ConfigureAwait(false) != TgtError.Success)
            throw new BlockStorageException(BlockErrors.InvalidIqn, $"tgtd takes letters, digits, '.', '-' and ':' in a target name only: '{iqn}'.", iqn);
    }

    private async Task ApplyAccessAsync(TgtTarget target, ExportSpec export, IReadOnlyList<TgtTarget> others, CancellationToken cancel)
    {
        var rules = export.Grants.Select(grant => TgtAcl.Rule(grant.Initiator)).Distinct().ToArray();
        foreach (var rule in target.Acl.Except(rules).ToArray())
            await CloseAsync(target, rule, cancel).ConfigureAwait(false);
        await Accounts.ApplyAsync(target, export, others, async () =>
        {
            foreach (var rule in target.Acl.ToArray())
                await CloseAsync(target, rule, cancel).ConfigureAwait(false);
        }, cancel).ConfigureAwait(false);
        foreach (var rule in rules.Except(target.Acl))
        {
            var request = new TgtRequest(TgtMode.Target, TgtOperation.Bind, target.Tid, Parameters: TgtAcl.Parameters(rule));
            await _daemon.Client.TryAsync(request, export.Iqn, cancel, TgtError.AclExists).ConfigureAwait(false);
        }
    }

    private async Task CloseAsync(TgtTarget target, string rule, CancellationToken cancel)
    {
        var request = new TgtRequest(TgtMode.Target, TgtOperation.Unbind, target.Tid, Parameters: TgtAcl.Parameters(rule));
        await _daemon.Client.TryAsync(request, target.Iqn, cancel, TgtError.AclAbsent).ConfigureAwait(false);
        target.Acl.Remove(rule);
    }

    private async Task EndSessionsAsync(TgtTarget target, CancellationToken cancel)
    {
        // Closed first, so that nobody comes back.
        foreach (var rule in target.Acl.ToArray())
            await CloseAsync(target, rule, cancel).ConfigureAwait(false);
        foreach (var session in target.Sessions)
        {
            foreach (var connection in session.Connections)
            {
                var request = new TgtRequest(TgtMode.Connection, TgtOperation.Delete, target.Tid) { Nexus = (session.Id, connection) };
                await _daemon.Client.TryAsync(request, target.Iqn, cancel, TgtError.NoSession, TgtError.NoConnection).ConfigureAwait(false);
            }
        }
        var until = DateTime.UtcNow + EndLimit;
        while (DateTime.UtcNow < until && await FindAsync(target.Iqn, cancel).ConfigureAwait(false) is { Sessions.Count: > 0 })
            await Task.Delay(2, cancel).ConfigureAwait(false);
    }

    private async Task RemoveAsync(int tid, CancellationToken cancel, bool force = true)
    {
        var request = new TgtRequest(TgtMode.Target, TgtOperation.Delete, tid) { Force = force };
        var subject = (await TargetsAsync(cancel).ConfigureAwait(false)).FirstOrDefault(each => each.Tid == tid)?.Iqn ?? "";
        var until = DateTime.UtcNow + EndLimit;
        while (await _daemon.Client.TryAsync(request, subject, cancel, TgtError.NoTarget, TgtError.LunActive).ConfigureAwait(false) == TgtError.LunActive)
        {
            if (DateTime.UtcNow > until)
                throw new BlockStorageException(BlockErrors.TargetInUse, $"Commands in '{subject}' do not end.", subject);
            await Task.Delay(2, cancel).ConfigureAwait(false);
        }
    }

    private async Task StopWhenEmptyAsync(IWorkSink sink)
    {
        // One that was killed leaves its files.
        if (!_daemon.IsRunning || (await TargetsAsync(CancellationToken.None).ConfigureAwait(false)).Count == 0)
            await _daemon.StopAsync(sink).ConfigureAwait(false);
    }

    private async Task<IReadOnlyList<TgtTarget>> TargetsAsync(CancellationToken cancel) =>
        TgtReport.ParseTargets(await _daemon.ShowAsync(TgtMode.Target, cancel).ConfigureAwait(false));

    private async Task<IReadOnlyList<Portal>> PortalsAsync(CancellationToken cancel) =>
        TgtReport.ParsePortals(await _daemon.ShowAsync(TgtMode.Portal, cancel).ConfigureAwait(false));

    private async Task<TgtTarget?> FindAsync(string iqn, CancellationToken cancel) =>
        (await TargetsAsync(cancel).ConfigureAwait(false)).FirstOrDefault(target => target.Iqn == iqn);

    private async Task<TgtTarget> RequireAsync(string iqn, CancellationToken cancel) =>
        (_daemon.IsRunning ? await FindAsync(iqn, cancel).ConfigureAwait(false) : null)
        ?? throw new BlockStorageException(BlockErrors.TargetNotFound, $"tgtd has no target '{iqn}'.", iqn, "Repair-BlockStorage");

    private static LiveTarget Describe(TgtTarget target) => new(
        target.Iqn, target.Units.Where(unit => unit.Lun != 0).Select(TgtUnits.Describe).ToArray(),
        target.Acl.Select(TgtAcl.Initiator).ToArray(), target.Incoming,
        target.Sessions.Select(session => new LiveSession(session.Initiator, session.Address)).ToArray());

    private static void Prove(IReadOnlyList<TgtTarget> targets, ExportSpec export)
    {
        if (export.Lun is not { } lun)
            return;
        var unit = targets.FirstOrDefault(target => target.Iqn == export.Iqn)?.Units.Find(each => each.Lun == lun.Number);
        var live = unit is null ? null : TgtUnits.Describe(unit);
        if (live is not { Online: true } || live.Path != lun.Path || live.Serial != lun.Serial || live.ReadOnly != lun.ReadOnly)
            throw new BlockStorageException(BlockErrors.IoFailed,
                $"tgtd does not publish '{lun.Path}' at '{export.Iqn}' as asked; its file system may be read-only.", export.Iqn);
    }

    private static bool Same(string text, IPAddress address) => IPAddress.TryParse(text, out var other) && other.Equals(address);
}
