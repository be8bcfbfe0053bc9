using System.Diagnostics;
using System.Security.Cryptography;
using System.Text;
using BlockStorage.Engine.Host;
using BlockStorage.Services;

namespace BlockStorage.Engine.Targets.Lio;

/// <summary>Publishes block devices and files with the kernel's own target, by its configuration file system alone.</summary>
/// <param name="root">State root; its targets are told from those of other roots.</param>
/// <param name="runner">Loads modules.</param>
/// <param name="fs">Configuration file system; tests end the world in it.</param>
internal sealed class LioTargetDriver(StateRoot root, ICommandRunner runner, ConfigFs? fs = null) : ITargetDriver
{
    private static readonly TimeSpan LockLimit = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan EndingLimit = TimeSpan.FromMilliseconds(500);
    private readonly ConfigFs _fs = fs ?? new ConfigFs();
    private readonly LioTree _tree = new(root, new LioNames(root), fs ?? new ConfigFs());

    /// <inheritdoc/>
    public string Name => "Lio";

    /// <inheritdoc/>
    public bool ResizeInterrupts => false;

    /// <inheritdoc/>
    // Everybody would be demo mode.
    public bool AnyInitiator => false;

    /// <inheritdoc/>
    // 0 is what LIO, targetcli and every initiator expect a lone disk to be.
    public (int First, int Last) Luns => (0, 255);

    /// <inheritdoc/>
    public Task<DriverProbe> ProbeAsync(CancellationToken cancel) => LioModules.ProbeAsync(runner, cancel);

    /// <inheritdoc/>
    public Task<Portal> ChoosePortalAsync(string address, int port, CancellationToken cancel) =>
        LioPortals.ChooseAsync(address, port, Ours().SelectMany(LioPortals.List), cancel);

    /// <inheritdoc/>
    public async Task PublishAsync(ExportSpec export, IWorkSink sink, CancellationToken cancel)
    {
        LioTree.Check(export);
        await LioModules.StartAsync(_fs, runner, cancel).ConfigureAwait(false);
        await LockedAsync(export.Iqn, () => _tree.Publish(export), cancel).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public Task RemoveLunAsync(string iqn, int lun, CancellationToken cancel) => LockedAsync(iqn, () =>
    {
        if (_tree.IsOurs(iqn))
            _tree.RemoveUnit(iqn, lun);
    }, cancel);

    /// <inheritdoc/>
    public Task UnpublishAsync(string iqn, bool force, CancellationToken cancel) => LockedAsync(iqn, () => Unpublish(iqn, force), cancel);

    /// <inheritdoc/>
    public Task ResizeAsync(ExportSpec export, CancellationToken cancel) => LockedAsync(export.Iqn, () =>
    {
        if (export.Lun is not { } lun || !_tree.IsOurs(export.Iqn) || _tree.Backstore(export.Iqn, lun.Number) is not { } backstore)
            throw new BlockStorageException(BlockErrors.TargetNotFound, $"LIO has no target '{export.Iqn}' with something that could be resized.", export.Iqn, "Repair-BlockStorage");
        _tree.Backstores.Resize(backstore, lun);
    }, cancel);

    /// <inheritdoc/>
    public Task<TargetReport> ListAsync(CancellationToken cancel) => Task.Run(() =>
    {
        var ours = Ours().Order(StringComparer.Ordinal).ToArray();
        return new TargetReport(Directory.Exists(LioNames.Fabric), ours.Select(_tree.Describe).ToArray(),
            ours.SelectMany(LioPortals.List).Distinct().ToArray());
    }, cancel);

    /// <inheritdoc/>
    public Task<TargetReport> FindAsync(string iqn, CancellationToken cancel) => Task.Run(() => _tree.IsOurs(iqn)
        ? new TargetReport(true, [_tree.Describe(iqn)], LioPortals.List(iqn))
        : new TargetReport(Directory.Exists(LioNames.Fabric), [], []), cancel);

    /// <inheritdoc/>
    public async Task<string?> CompareAsync(ExportSpec export, CancellationToken cancel)
    {
        string? differs = null;
        await LockedAsync(export.Iqn, () => differs = Compare(export), cancel).ConfigureAwait(false);
        return differs;
    }

    /// <inheritdoc/>
    public Task<IReadOnlyList<string>> FindLeftoversAsync(CancellationToken cancel) => Task.Run(
        () => (IReadOnlyList<string>)_tree.Orphans().Select(path => Path.GetFileName(path)).ToArray(), cancel);

    /// <inheritdoc/>
    public async Task<IReadOnlyList<string>> CleanAsync(Func<IReadOnlySet<string>> wanted, CancellationToken cancel)
    {
        var present = Ours().ToArray();
        var should = wanted();
        var removed = new List<string>();
        foreach (var iqn in present.Where(iqn => !should.Contains(iqn)))
        {
            await UnpublishAsync(iqn, force: true, cancel).ConfigureAwait(false);
            removed.Add(iqn);
        }
        foreach (var iqn in _tree.Noted())
        {
            await LockedAsync(iqn, () =>
            {
                if (!_tree.IsOurs(iqn))
                    _tree.Forget(iqn);
            }, cancel).ConfigureAwait(false);
        }
        foreach (var path in _tree.Orphans())
        {
            _tree.Backstores.RemoveAt(path);
            removed.Add(Path.GetFileName(path));
        }
        return removed;
    }

    private IEnumerable<string> Ours() => ConfigFs.Each(LioNames.Fabric).Where(_tree.IsOurs);

    // What a publish would change first.
    private string? Compare(ExportSpec export)
    {
        if (!_tree.IsMarked(export.Iqn))
            return "LIO does not have it, or only its name";
        try
        {
            LioTree.Check(export);
            new LioTree(root, new LioNames(root), new ConfigFs(look: true)).Publish(export);
            return null;
        }
        catch (ConfigDifferenceException difference)
        {
            return LioNames.Explain(difference.Path, export.Iqn);
        }
        catch (BlockStorageException error)
        {
            return error.Message;
        }
    }

    private void Unpublish(string iqn, bool force)
    {
        if (!_tree.IsOurs(iqn))
        {
            _tree.Forget(iqn);
            return;
        }
        if (!force)
            CloseToNewSessions(iqn);
        _tree.Remove(iqn);
    }

    // Without portals nobody comes in while we look: the kernel waits for logins that are under way.
    private void CloseToNewSessions(string iqn)
    {
        RequireNoSession(iqn);
        var portals = LioPortals.List(iqn);
        new LioPortals(_fs).Remove(iqn);
        try
        {
            RequireNoSession(iqn);
        }
        catch (BlockStorageException)
        {
            new LioPortals(_fs).Apply(iqn, portals, created: false);
            throw;
        }
    }

    // A session that is ending counts for a moment after its initiator has gone.
    private static void RequireNoSession(string iqn)
    {
        var clock = Stopwatch.StartNew();
        while (LioAccess.Sessions(iqn) is { Count: > 0 } sessions)
        {
            if (clock.Elapsed > EndingLimit)
                throw new BlockStorageException(BlockErrors.TargetHasSessions,
                    $"'{iqn}' has {sessions.Count} session(s): {string.Join(", ", sessions.Select(session => $"{session.Initiator} from {session.Address}"))}.", iqn);
            Thread.Sleep(10);
        }
    }

    // One lock a target: one that waits for a session to end, or for a device that hangs, keeps no other from its work.
    private Task LockedAsync(string iqn, Action work, CancellationToken cancel) => Task.Run(() =>
    {
        if (!Directory.Exists(root.LockFolder))
        {
            StateRoot.EnsureFolder(root.Home);
            StateRoot.EnsureFolder(root.LockFolder);
        }
        var name = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(iqn)).AsSpan(0, 10));
        using var held = FileLock.Wait(Path.Combine(root.LockFolder, $"lio-{name}"), LockLimit, holder: $"process {Environment.ProcessId}", cancel: cancel);
        work();
    }, cancel);
}
