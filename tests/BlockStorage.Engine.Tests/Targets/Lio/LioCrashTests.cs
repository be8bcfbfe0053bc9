using BlockStorage.Engine.Host;
using BlockStorage.Engine.Targets;
using BlockStorage.Engine.Targets.Iscsi;
using BlockStorage.Engine.Targets.Lio;
using BlockStorage.Engine.Tests.Lab;
using BlockStorage.Services;

namespace BlockStorage.Engine.Tests.Targets.Lio;

/// <summary>The process ends before each single change in configfs; what is left is known as ours, and made whole or removed.</summary>
[Trait("Needs", "Lab")]
[Collection(LabCollection.Name)]
public sealed class LioCrashTests : IDisposable
{
    private const string Host = "iqn.2026-01.org.example:host1";
    private static readonly ChapCredential Chap = new("user1", "canary-sEcret-1");
    private readonly TestFolder _folder = new();
    private readonly LioTargetDriver _driver;
    private readonly IReadOnlyList<string> _before = LioState.Snapshot();
    private readonly string _serial = Guid.NewGuid().ToString("N");

    public LioCrashTests() => _driver = Make(null);

    public void Dispose()
    {
        _driver.CleanAsync(() => new HashSet<string>(), default).GetAwaiter().GetResult();
        _folder.Dispose();
    }

    [RootTheory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Publish_killed_anywhere_is_finished_by_the_next(bool block)
    {
        var export = await ExportAsync(block);
        var steps = await EnumerateAsync(driver => driver.PublishAsync(export, SilentSink.Instance, default), async () =>
        {
            await _driver.PublishAsync(export, SilentSink.Instance, default);
            var unit = await IscsiDiscovery.InspectAsync(Login(export), -1, default);
            Assert.Equal(_serial, unit.Serial);
            await _driver.UnpublishAsync(export.Iqn, false, default);
            AssertNothingLeft();
        });
        Assert.InRange(steps, 15, 60);
    }

    [RootTheory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Publish_killed_anywhere_is_removed_by_unpublish_and_by_cleaning(bool block)
    {
        var export = await ExportAsync(block);
        var clean = false;
        await EnumerateAsync(driver => driver.PublishAsync(export, SilentSink.Instance, default), async () =>
        {
            if (clean)
                await _driver.CleanAsync(() => new HashSet<string>(), default);
            else
                await _driver.UnpublishAsync(export.Iqn, false, default);
            clean = !clean;
            AssertNothingLeft();
        });
    }

    [RootFact]
    public async Task Nobody_gets_in_before_everything_is_there()
    {
        var export = await ExportAsync(block: false);
        await EnumerateAsync(driver => driver.PublishAsync(export, SilentSink.Instance, default), async () =>
        {
            var error = await Assert.ThrowsAsync<BlockStorageException>(() => IscsiDiscovery.ProveLoginAsync(Login(export), default));
            Assert.Contains(error.Error, new[] { BlockErrors.PortalUnreachable, BlockErrors.AccessDenied });
            Assert.All((await _driver.ListAsync(default)).Targets.SelectMany(target => target.Luns), lun => Assert.False(lun.Online));
            await _driver.UnpublishAsync(export.Iqn, false, default);
        });
    }

    [RootTheory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Unpublish_killed_anywhere_is_finished_or_undone(bool block)
    {
        var export = await ExportAsync(block);
        await _driver.PublishAsync(export, SilentSink.Instance, default);
        var again = false;
        await EnumerateAsync(driver => driver.UnpublishAsync(export.Iqn, false, default), async () =>
        {
            if (again)
            {
                await _driver.PublishAsync(export, SilentSink.Instance, default);
                Assert.Equal(_serial, (await IscsiDiscovery.InspectAsync(Login(export), -1, default)).Serial);
            }
            await _driver.UnpublishAsync(export.Iqn, false, default);
            AssertNothingLeft();
            again = !again;
            await _driver.PublishAsync(export, SilentSink.Instance, default);
        });
        AssertNothingLeft();
    }

    [RootFact]
    public async Task A_change_killed_anywhere_is_finished_by_the_next()
    {
        var first = await ExportAsync(block: false);
        var other = await ExportAsync(block: true);
        var serial = Guid.NewGuid().ToString("N");
        var second = other with
        {
            Iqn = first.Iqn,
            Lun = other.Lun! with { Number = 5, ReadOnly = true, Serial = serial },
            Grants = [new GrantSpec("iqn.2026-01.org.example:host2", Chap with { Secret = "canary-sEcret-2" })],
            MutualChap = new ChapCredential("target1", "canary-sEcret-3"),
        };
        await _driver.PublishAsync(first, SilentSink.Instance, default);
        await EnumerateAsync(driver => driver.PublishAsync(second, SilentSink.Instance, default), async () =>
        {
            await _driver.PublishAsync(second, SilentSink.Instance, default);
            var login = Login(second) with { InitiatorIqn = second.Grants[0].Initiator, Chap = second.Grants[0].Chap, MutualChap = second.MutualChap };
            var unit = await IscsiDiscovery.InspectAsync(login, -1, default);
            Assert.Equal((5, serial, 4L << 30, true), (unit.Lun, unit.Serial, unit.Size, unit.ReadOnly));
            await Assert.ThrowsAsync<BlockStorageException>(() => IscsiDiscovery.ProveLoginAsync(Login(first), default));
            await _driver.PublishAsync(first, SilentSink.Instance, default);
        });
        await _driver.UnpublishAsync(first.Iqn, false, default);
        AssertNothingLeft();
    }

    // Runs work that ends before its first change, its second, and so on, each time followed by a check, until it is done.
    private async Task<int> EnumerateAsync(Func<LioTargetDriver, Task> work, Func<Task> after)
    {
        for (var step = 1; ; step++)
        {
            var left = step;
            var driver = Make(_ =>
            {
                // What follows fails too: a dead process cleans nothing up.
                if (--left <= 0)
                    throw new EndOfWorldException();
            });
            try
            {
                await work(driver);
                return step;
            }
            catch (EndOfWorldException)
            {
                await after();
            }
        }
    }

    private LioTargetDriver Make(Action<string>? before) => new(new StateRoot(_folder.Path), new CommandRunner(), new ConfigFs(before));

    private async Task<ExportSpec> ExportAsync(bool block)
    {
        var file = _folder.File("a.vol");
        using (var handle = File.OpenHandle(file, FileMode.OpenOrCreate, FileAccess.Write))
            RandomAccess.SetLength(handle, 64 << 20);
        return new ExportSpec(Guid.NewGuid().ToString(), "iqn.2026-01.org.example:crash", [await _driver.ChoosePortalAsync("127.0.0.1", 0, default)],
            new LunSpec(0, block ? LabCollection.Disks[1] : file, false, _serial), [new GrantSpec(Host, Chap)], null);
    }

    private static IscsiLogin Login(ExportSpec export) =>
        new(export.Portals[0], export.Iqn, Host, export.Grants[0].Chap, null, TimeSpan.FromSeconds(5));

    private void AssertNothingLeft()
    {
        Assert.Equal(_before, LioState.Snapshot());
        var notes = Path.Combine(_folder.Path, "run", "lio");
        Assert.Empty(Directory.Exists(notes) ? Directory.EnumerateFiles(notes) : []);
    }

    private sealed class EndOfWorldException : Exception;
}
