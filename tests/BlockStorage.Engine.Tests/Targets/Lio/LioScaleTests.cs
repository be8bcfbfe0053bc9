using System.Collections.Concurrent;
using System.Diagnostics;
using System.Text;
using BlockStorage.Engine.Host;
using BlockStorage.Engine.Targets;
using BlockStorage.Engine.Targets.Iscsi;
using BlockStorage.Engine.Targets.Lio;
using BlockStorage.Engine.Tests.Lab;
using BlockStorage.Services;
using Xunit.Abstractions;

namespace BlockStorage.Engine.Tests.Targets.Lio;

[Trait("Needs", "Lab")]
[Collection(LabCollection.Name)]
public sealed class LioScaleTests(ITestOutputHelper output) : IDisposable
{
    private const int Count = 1000;
    private const int Alone = 50;
    private const string Host = "iqn.2026-01.org.example:host1";
    private readonly TestFolder _folder = new();
    private readonly IReadOnlyList<string> _before = LioState.Snapshot();

    public void Dispose() => _folder.Dispose();

    [RootFact]
    public async Task A_thousand_volumes_have_a_thousand_identities()
    {
        var driver = new LioTargetDriver(new StateRoot(_folder.Path), new CommandRunner());
        File.WriteAllBytes(_folder.File("image"), new byte[1 << 20]);
        var portal = await driver.ChoosePortalAsync("127.0.0.1", 0, default);
        var exports = Enumerable.Range(0, Count).Select(number => Export(portal, number)).ToArray();
        var (one, many) = (exports[..Alone], exports[Alone..]);
        // The first few warm up.
        Bare();
        var (bare, bareRemoval) = Bare();
        foreach (var export in one)
            await driver.PublishAsync(export, SilentSink.Instance, default);
        foreach (var export in one)
            await driver.UnpublishAsync(export.Iqn, force: true, default);
        var publish = await EachAsync(one, export => driver.PublishAsync(export, SilentSink.Instance, default));
        // By several at once, as scripts do it.
        await Parallel.ForEachAsync(many, new ParallelOptions { MaxDegreeOfParallelism = 8 }, async (export, cancel) => await driver.PublishAsync(export, SilentSink.Instance, cancel));
        var late = Export(portal, Count);
        var publishLate = await EachAsync([late], export => driver.PublishAsync(export, SilentSink.Instance, default));
        var clock = Stopwatch.StartNew();
        var targets = (await driver.ListAsync(default)).Targets;
        output.WriteLine($"list: {clock.Elapsed.TotalMilliseconds:0} ms");
        Assert.Equal(exports.Append(late).Select(export => export.Iqn).Order(StringComparer.Ordinal), targets.Select(target => target.Iqn).Order(StringComparer.Ordinal));

        // Over the wire, as initiators and multipath tell disks apart.
        clock.Restart();
        ConcurrentDictionary<string, string> identities = new(), serials = new();
        await Parallel.ForEachAsync(exports, new ParallelOptions { MaxDegreeOfParallelism = 8 }, async (export, cancel) =>
        {
            await using var session = await IscsiSession.OpenAsync(new IscsiLogin(portal, export.Iqn, Host, export.Grants[0].Chap, null, TimeSpan.FromSeconds(30)), cancel);
            // The first designator of page 0x83 is the NAA: 4 bytes of page, 4 of designator, 16 of identity. Page 0x80 is the serial.
            var (_, page, _) = await session.ReadCommandAsync(0, new byte[] { 0x12, 1, 0x83, 0, 252, 0 }, 252);
            identities[Convert.ToHexString(page.AsSpan(8, 16))] = export.Iqn;
            (_, page, _) = await session.ReadCommandAsync(0, new byte[] { 0x12, 1, 0x80, 0, 252, 0 }, 252);
            serials[Encoding.ASCII.GetString(page.AsSpan(4, 32))] = export.Iqn;
        });
        Assert.Equal(Count, identities.Count);
        Assert.Equal(exports.Select(export => (export.Lun!.Serial, export.Iqn)).Order(), serials.Select(pair => (pair.Key, pair.Value)).Order());
        output.WriteLine($"logins: {clock.Elapsed.TotalSeconds:0.0} s");

        clock.Restart();
        await Parallel.ForEachAsync(many.Append(late), new ParallelOptions { MaxDegreeOfParallelism = 8 }, async (export, cancel) => await driver.UnpublishAsync(export.Iqn, force: true, cancel));
        output.WriteLine($"unpublish, eight at once: {clock.Elapsed.TotalMilliseconds / many.Length:0.00} ms each");
        var unpublish = await EachAsync(one, export => driver.UnpublishAsync(export.Iqn, force: true, default));
        output.WriteLine($"bare: {bare:0.00} ms, {bareRemoval:0.00} ms to remove; publish: {publish:0.00} ms, {publish / bare:0.0} times; beside 1000: {publishLate:0.00} ms; unpublish: {unpublish:0.00} ms, {unpublish / bareRemoval:0.0} times");
        Assert.Equal(_before, LioState.Snapshot());
        // Far above what it takes here, for the machine may be busy: what grows with the number of targets shows.
        Assert.True(publishLate < 20 * bare, $"{publishLate:0.00} ms for one beside a thousand, {bare:0.00} ms bare");
    }

    private static async Task<double> EachAsync(IReadOnlyCollection<ExportSpec> exports, Func<ExportSpec, Task> work)
    {
        var clock = Stopwatch.StartNew();
        foreach (var export in exports)
            await work(export);
        return clock.Elapsed.TotalMilliseconds / exports.Count;
    }

    // The configfs calls that any tool must make, nothing else: what a publish is measured by.
    private (double Make, double Remove) Bare()
    {
        const int rounds = Alone;
        var fs = new ConfigFs();
        var clock = Stopwatch.StartNew();
        for (var number = 0; number < rounds; number++)
        {
            var (adapter, group) = ($"{LioNames.Core}/fileio_{number}", LioNames.Group($"iqn.2026-01.org.example:bare{number}"));
            fs.Make(adapter);
            fs.Make($"{adapter}/bare");
            fs.Write($"{adapter}/bare/control", $"fd_dev_name={_folder.File("image")},fd_dev_size={1 << 20},fd_buffered_io=1");
            fs.Write($"{adapter}/bare/enable", "1");
            fs.Write($"{adapter}/bare/wwn/vpd_unit_serial", $"{number}");
            fs.Write($"{adapter}/bare/attrib/emulate_tpu", "1");
            fs.Make(Path.GetDirectoryName(group)!);
            fs.Make(group);
            fs.Make($"{group}/lun/lun_0");
            fs.Link($"{adapter}/bare", $"{group}/lun/lun_0/bare");
            fs.Make($"{group}/np/127.0.0.1:3299");
            fs.Make($"{group}/acls/{Host}");
            fs.Write($"{group}/acls/{Host}/auth/userid", "user");
            fs.Write($"{group}/acls/{Host}/auth/password", "canary-sEcret");
            fs.Make($"{group}/acls/{Host}/lun_0");
            fs.Link($"{group}/lun/lun_0", $"{group}/acls/{Host}/lun_0/bare");
            fs.Write($"{group}/enable", "1");
        }
        var make = clock.Elapsed.TotalMilliseconds / rounds;
        clock.Restart();
        for (var number = 0; number < rounds; number++)
        {
            var (adapter, group) = ($"{LioNames.Core}/fileio_{number}", LioNames.Group($"iqn.2026-01.org.example:bare{number}"));
            fs.Unlink($"{group}/acls/{Host}/lun_0/bare");
            fs.Remove($"{group}/acls/{Host}/lun_0");
            fs.Remove($"{group}/acls/{Host}");
            fs.Remove($"{group}/np/127.0.0.1:3299");
            fs.Unlink($"{group}/lun/lun_0/bare");
            fs.Remove($"{group}/lun/lun_0");
            fs.Remove(group);
            fs.Remove(Path.GetDirectoryName(group)!);
            fs.Remove($"{adapter}/bare");
            fs.Remove(adapter);
        }
        return (make, clock.Elapsed.TotalMilliseconds / rounds);
    }

    private ExportSpec Export(Portal portal, int number)
    {
        var id = Guid.NewGuid();
        return new ExportSpec(id.ToString(), $"iqn.2026-01.org.example:volume:{id}", [portal], new LunSpec(0, _folder.File("image"), false, id.ToString("N")),
            [new GrantSpec(Host, new ChapCredential($"user{number}", $"canary-sEcret{number % 1000:000}"))], null);
    }
}
