using BlockStorage.Engine.Host;
using BlockStorage.Engine.Operations;
using BlockStorage.Services;

namespace BlockStorage.Engine.Targets.Lio;

/// <summary>Publishes block devices and files with the kernel's own target, by its configuration file system alone.</summary>
/// <param name="root">State root; its targets are told from those of other roots.</param>
/// <param name="runner">Loads modules.</param>
/// <param name="fs">Configuration file system; tests end the world in it.</param>
internal sealed class LioTargetDriver(StateRoot root, ICommandRunner runner, ConfigFs? fs = null) : ITargetDriver
{
    private static readonly TimeSpan LockLimit = TimeSpan.FromSeconds(60);
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
        await LockedAsync(() => Publish(export), cancel).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public Task RemoveLunAsync(string iqn, int lun, CancellationToken cancel) => LockedAsync(() =>
    {
        if (_tree.IsOurs(iqn))
            _tree.RemoveUnit(iqn, lun);
    }, cancel);

    /// <inheritdoc/>
    public Task UnpublishAsync(string iqn, bool force, CancellationToken cancel) => LockedAsync(() => Unpublish(iqn, force), cancel);

    /// <inheritdoc/>
    public Task ResizeAsync(ExportSpec export, CancellationToken cancel) => LockedAsync(() =>
    {
        if (export.Lun is not { } lun || !_tree.IsOurs(export.Iqn) || _tree.Backstore(export.Iqn, lun.Number) is not { } backstore)
            throw new BlockStorageException(BlockErrors.TargetNotFound, $"LIO has no target '{export.Iqn}' with something that could be resized.", export.Iqn, "Repair-BlockStorage");
        _tree.Backstores.Resize(backstore, lun);
    }, cancel);

    /// <inheritdoc/>
    public Task<TargetReport> ListAsync(CancellationToken cancel) => Task.Run(() =>
    {
        var ours = Ours().ToArray();
        return new TargetReport(Directory.Exists(LioNames.Fabric), ours.Select(_tree.Describe).ToArray(),
            ours.SelectMany(LioPortals.List).Distinct().ToArray());
    }, cancel);

    /// <inheritdoc/>
    public async Task<IReadOnlyList<(ExportSpec Export, BlockStorageException Error)>> RestoreAsync(
        IReadOnlyList<ExportSpec> exports, IWorkSink sink, CancellationToken cancel)
    {
        List<(ExportSpec, BlockStorageException)> failures = [];
        foreach (var export in exports)
        {
            try
            {
                await PublishAsync(export, sink, cancel).ConfigureAwait(false);
            }
            catch (BlockStorageException error)
            {
                failures.Add((export, error));
            }
        }
        return failures;
    }

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
        await LockedAsync(() =>
        {
            _tree.Forget();
            foreach (var path in _tree.Backstores.Orphans())
            {
                _tree.Backstores.RemoveAt(path);
                removed.Add(Path.GetFileName(path));
            }
        }, cancel).ConfigureAwait(false);
        return removed;
    }

    private IEnumerable<string> Ours() => ConfigFs.Objects(LioNames.Fabric).Where(_tree.IsOurs);

    private void Publish(ExportSpec export)
    {
        var created = _tree.Begin(export);
        try
        {
            _tree.ApplyUnit(export);
            new LioPortals(_fs).Apply(export.Iqn, export.Portals);
            // Access comes last: an initiator that is let in finds everything there.
            new LioAccess(_fs).Apply(export);
            _fs.Set($"{LioNames.Group(export.Iqn)}/enable", "1");
        }
        catch (BlockStorageException) when (created)
        {
            _tree.Remove(export.Iqn);
            throw;
        }
    }

    private void Unpublish(string iqn, bool force)
    {
        if (!_tree.IsOurs(iqn))
        {
            _tree.Forget(iqn);
            return;
        }
        if (!force && LioAccess.Sessions(iqn, LioAccess.Initiators(iqn)) is { Count: > 0 } sessions)
            throw new BlockStorageException(BlockErrors.TargetHasSessions,
                $"'{iqn}' has {sessions.Count} session(s): {string.Join(", ", sessions.Select(session => $"{session.Initiator} from {session.Address}"))}.", iqn);
        _tree.Remove(iqn);
    }

    private Task LockedAsync(Action work, CancellationToken cancel) => Task.Run(() =>
    {
        if (!Directory.Exists(root.LockFolder))
        {
            StateRoot.EnsureFolder(root.Home);
            StateRoot.EnsureFolder(root.LockFolder);
        }
        using var held = FileLock.Wait(Path.Combine(root.LockFolder, "lio"), LockLimit, holder: $"process {Environment.ProcessId}", cancel: cancel);
        work();
    }, cancel);
}
