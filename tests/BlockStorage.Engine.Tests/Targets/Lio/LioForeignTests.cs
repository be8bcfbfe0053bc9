using BlockStorage.Engine.Host;
using BlockStorage.Engine.Targets;
using BlockStorage.Engine.Targets.Iscsi;
using BlockStorage.Engine.Targets.Lio;
using BlockStorage.Engine.Tests.Lab;
using BlockStorage.Services;

namespace BlockStorage.Engine.Tests.Targets.Lio;

/// <summary>Others use LIO too: by hand, by targetcli, by another state root.</summary>
[Trait("Needs", "Lab")]
[Collection(LabCollection.Name)]
public sealed class LioForeignTests : IDisposable
{
    private const string Iqn = "iqn.2026-01.org.example:a";
    private const string ForeignIqn = "iqn.2003-01.org.linux-iscsi.other:x";
    private const string Host = "iqn.2026-01.org.example:host1";
    private static readonly ChapCredential Chap = new("user1", "canary-sEcret-1");
    private readonly TestFolder _folder = new();
    private readonly ConfigFs _fs = new();
    private readonly ITargetDriver _driver;
    private readonly IReadOnlyList<string> _before = LioState.Snapshot();

    public LioForeignTests() => _driver = new LioTargetDriver(new StateRoot(_folder.Path), new CommandRunner());

    public void Dispose()
    {
        Assert.Equal(_before, LioState.Snapshot());
        _folder.Dispose();
    }

    [RootTheory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_foreign_target_of_the_same_name_is_refused_and_untouched(bool bare)
    {
        _fs.Make($"{LioNames.Fabric}/{Iqn}");
        if (!bare)
        {
            _fs.Make(LioNames.Group(Iqn));
            _fs.Make($"{LioNames.Group(Iqn)}/acls/{Host}");
        }
        var foreign = LioState.Snapshot();
        var error = await Assert.ThrowsAsync<BlockStorageException>(async () => await _driver.PublishAsync(await ExportAsync(), SilentSink.Instance, default));
        Assert.Equal(BlockErrors.TargetInUse, error.Error);
        await _driver.UnpublishAsync(Iqn, force: true, default);
        await _driver.RemoveLunAsync(Iqn, 0, default);
        Assert.Empty(await _driver.CleanAsync(() => new HashSet<string>(), default));
        Assert.Empty((await _driver.ListAsync(default)).Targets);
        Assert.Equal(foreign, LioState.Snapshot());

        if (!bare)
        {
            _fs.Remove($"{LioNames.Group(Iqn)}/acls/{Host}");
            _fs.Remove(LioNames.Group(Iqn));
        }
        _fs.Remove($"{LioNames.Fabric}/{Iqn}");
    }

    [RootFact]
    public async Task Targets_of_another_state_root_and_foreign_backstores_stay()
    {
        using var elsewhere = new TestFolder();
        var other = new LioTargetDriver(new StateRoot(elsewhere.Path), new CommandRunner());
        var export = await ExportAsync();
        await other.PublishAsync(export, SilentSink.Instance, default);
        _fs.Make($"{LioNames.Core}/fileio_4");
        _fs.Make($"{LioNames.Core}/fileio_4/disk1");
        var foreign = LioState.Snapshot();

        Assert.Empty(await _driver.CleanAsync(() => new HashSet<string>(), default));
        await _driver.UnpublishAsync(Iqn, force: true, default);
        Assert.Equal(BlockErrors.TargetInUse, (await Assert.ThrowsAsync<BlockStorageException>(() => _driver.PublishAsync(export, SilentSink.Instance, default))).Error);
        Assert.Equal(foreign, LioState.Snapshot());

        _fs.Remove($"{LioNames.Core}/fileio_4/disk1");
        _fs.Remove($"{LioNames.Core}/fileio_4");
        await other.UnpublishAsync(Iqn, force: false, default);
    }

    [RootFact]
    public async Task A_backstore_that_somebody_else_publishes_too_keeps_the_target_whole()
    {
        var export = await ExportAsync();
        await _driver.PublishAsync(export, SilentSink.Instance, default);
        var backstore = Assert.Single(ConfigFs.Links($"{LioNames.Group(Iqn)}/lun/lun_0")).Target;
        var group = LioNames.Group(ForeignIqn);
        foreach (var path in new[] { $"{LioNames.Fabric}/{ForeignIqn}", group, $"{group}/lun/lun_3" })
            _fs.Make(path);
        _fs.Link(backstore, $"{group}/lun/lun_3/theirs");

        var error = await Assert.ThrowsAsync<BlockStorageException>(() => _driver.UnpublishAsync(Iqn, force: true, default));
        Assert.Equal(BlockErrors.TargetInUse, error.Error);
        Assert.Contains(ForeignIqn, error.Message, StringComparison.Ordinal);
        Assert.Equal(export.Lun!.Serial, (await IscsiDiscovery.InspectAsync(Login(export), 0, default)).Serial);

        _fs.Unlink($"{group}/lun/lun_3/theirs");
        foreach (var path in new[] { $"{group}/lun/lun_3", group, $"{LioNames.Fabric}/{ForeignIqn}" })
            _fs.Remove(path);
        await _driver.UnpublishAsync(Iqn, force: true, default);
    }

    [RootFact]
    public async Task What_targetcli_brings_back_is_kept_where_wanted_and_removed_where_not()
    {
        var saved = Path.Combine(_folder.Path, "saveconfig.json");
        var (keep, drop) = (await ExportAsync("keep"), await ExportAsync("drop"));
        keep = keep with { Grants = [new GrantSpec(Host, Chap), new GrantSpec(Host + "-revoked", Chap)] };
        await _driver.PublishAsync(keep, SilentSink.Instance, default);
        await _driver.PublishAsync(drop, SilentSink.Instance, default);
        await RunAsync("targetcli", "saveconfig", saved);
        await _driver.UnpublishAsync(keep.Iqn, false, default);
        await _driver.UnpublishAsync(drop.Iqn, false, default);
        Assert.Equal(_before, LioState.Snapshot());

        // It clears all that is there before.
        var later = await ExportAsync("later");
        await _driver.PublishAsync(later, SilentSink.Instance, default);
        await RunAsync("targetctl", "restore", saved);
        Assert.Equal([drop.Iqn, keep.Iqn], (await _driver.ListAsync(default)).Targets.Select(target => target.Iqn).Order());
        keep = keep with { Grants = [new GrantSpec(Host, Chap with { Secret = "canary-sEcret-2" })] };
        Assert.Empty(await _driver.RestoreAsync([keep, later], SilentSink.Instance, default));
        Assert.Equal([drop.Iqn], await _driver.CleanAsync(() => new HashSet<string> { keep.Iqn, later.Iqn }, default));

        Assert.Equal(later.Lun!.Serial, (await IscsiDiscovery.InspectAsync(Login(later), 0, default)).Serial);
        await _driver.UnpublishAsync(later.Iqn, false, default);
        var live = Assert.Single((await _driver.ListAsync(default)).Targets);
        Assert.Equal((keep.Iqn, Host), (live.Iqn, Assert.Single(live.Initiators)));
        var unit = await IscsiDiscovery.InspectAsync(Login(keep), 0, default);
        Assert.Equal(keep.Lun!.Serial, unit.Serial);
        await _driver.UnpublishAsync(keep.Iqn, false, default);
    }

    [RootFact(DisplayName = "rtslib issue 36: edits by targetcli at the same time spoil neither its target nor ours")]
    public async Task Targetcli_edits_meanwhile()
    {
        // Its default portal takes all of 3260.
        var export = await ExportAsync() with { Portals = [await _driver.ChoosePortalAsync("127.0.0.1", 3277, default)] };
        var rounds = 0;
        foreach (var command in new[] { "create", "delete" })
        {
            var tool = RunAsync("targetcli", "/iscsi", command, ForeignIqn);
            do
            {
                await _driver.PublishAsync(export, SilentSink.Instance, default);
                Assert.Equal(export.Lun!.Serial, (await IscsiDiscovery.InspectAsync(Login(export), 0, default)).Serial);
                // The session that looked may end a moment later.
                await _driver.UnpublishAsync(export.Iqn, force: true, default);
                Assert.Empty(await _driver.CleanAsync(() => new HashSet<string>(), default));
                rounds++;
            }
            while (!tool.IsCompleted);
            // It may stumble over a target that goes while it lists all of them, and has changed nothing then.
            if (await Record.ExceptionAsync(() => tool) is not null)
                await RunAsync("targetcli", "/iscsi", command, ForeignIqn);
            Assert.Equal(command == "create", ConfigFs.Exists($"{LioNames.Group(ForeignIqn)}/np/0.0.0.0:3260"));
        }
        Assert.True(rounds > 4, $"{rounds} rounds");
    }

    private async Task<ExportSpec> ExportAsync(string name = "a")
    {
        var file = _folder.File($"{name}.vol");
        using (var handle = File.OpenHandle(file, FileMode.OpenOrCreate, FileAccess.Write))
            RandomAccess.SetLength(handle, 64 << 20);
        return new ExportSpec(Guid.NewGuid().ToString(), $"iqn.2026-01.org.example:{name}", [await _driver.ChoosePortalAsync("127.0.0.1", 0, default)],
            new LunSpec(0, file, false, Guid.NewGuid().ToString("N")), [new GrantSpec(Host, Chap)], null);
    }

    private static IscsiLogin Login(ExportSpec export) =>
        new(export.Portals[0], export.Iqn, Host, export.Grants[0].Chap, null, TimeSpan.FromSeconds(5));

    private static Task<string> RunAsync(string program, params string[] arguments) => new CommandRunner().RunCheckedAsync(
        new Command(program, arguments, TimeSpan.FromSeconds(120)), SilentSink.Instance, default);
}
