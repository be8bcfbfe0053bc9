using System.Diagnostics;
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
    private const string Host = "iqn.2026-01.org.example:host1";
    private readonly TestFolder _folder = new();
    private readonly IReadOnlyList<string> _before = LioState.Snapshot();

    public void Dispose() => _folder.Dispose();

    [RootFact]
    public async Task A_thousand_volumes_have_a_thousand_identities()
    {
        var driver = new LioTargetDriver(new StateRoot(_folder.Path), new CommandRunner());
        var portal = await driver.ChoosePortalAsync("127.0.0.1", 0, default);
        output.WriteLine($"bare: {Bare():0.00} ms each");
        var exports = Enumerable.Range(0, Count).Select(number => Export(portal, number)).ToArray();
        var clock = Stopwatch.StartNew();
        foreach (var export in exports)
        {
            await driver.PublishAsync(export, SilentSink.Instance, default);
            if (export == exports[99] || export == exports[^1])
                output.WriteLine($"publish: {clock.Elapsed.TotalMilliseconds / (Array.IndexOf(exports, export) + 1):0.00} ms each");
        }
        clock.Restart();
        var targets = (await driver.ListAsync(default)).Targets;
        output.WriteLine($"list: {clock.Elapsed.TotalMilliseconds:0} ms");
        Assert.Equal(exports.Select(export => export.Iqn).Order(StringComparer.Ordinal), targets.Select(target => target.Iqn).Order(StringComparer.Ordinal));

        // Over the wire, as initiators and multipath tell disks apart.
        HashSet<string> identities = [], serials = [];
        foreach (var export in exports)
        {
            await using var session = await IscsiSession.OpenAsync(new IscsiLogin(portal, export.Iqn, Host, export.Grants[0].Chap, null, TimeSpan.FromSeconds(10)), default);
            var (_, page, _) = await session.ReadCommandAsync(0, new byte[] { 0x12, 1, 0x83, 0, 252, 0 }, 252);
            // The first designator is the NAA: 4 bytes of page, 4 of designator, 16 of identity.
            identities.Add(Convert.ToHexString(page.AsSpan(8, 16)));
            serials.Add((await ScsiReader.UnitAsync(session, export.Iqn, 0)).Serial);
        }
        Assert.Equal((Count, Count), (identities.Count, serials.Count));

        clock.Restart();
        foreach (var export in exports)
            await driver.UnpublishAsync(export.Iqn, force: true, default);
        output.WriteLine($"unpublish: {clock.Elapsed.TotalMilliseconds / Count:0.00} ms each");
        Assert.Equal(_before, LioState.Snapshot());
    }

    // The configfs calls that any tool must make, nothing else: what a publish is measured by.
    private double Bare()
    {
        const int rounds = 100;
        var fs = new ConfigFs();
        File.WriteAllBytes(_folder.File("bare"), new byte[1 << 20]);
        var clock = Stopwatch.StartNew();
        for (var number = 0; number < rounds; number++)
        {
            var (adapter, group) = ($"{LioNames.Core}/fileio_{number}", LioNames.Group($"iqn.2026-01.org.example:bare{number}"));
            fs.Make(adapter);
            fs.Make($"{adapter}/bare");
            fs.Write($"{adapter}/bare/control", $"fd_dev_name={_folder.File("bare")},fd_dev_size={1 << 20},fd_buffered_io=1");
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
        var each = clock.Elapsed.TotalMilliseconds / rounds;
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
        return each;
    }

    private ExportSpec Export(Portal portal, int number)
    {
        var file = _folder.File($"{number}.vol");
        using (var handle = File.OpenHandle(file, FileMode.CreateNew, FileAccess.Write))
            RandomAccess.SetLength(handle, 1 << 20);
        var id = Guid.NewGuid();
        return new ExportSpec(id.ToString(), $"iqn.2026-01.org.example:volume:{id}", [portal], new LunSpec(0, file, false, id.ToString("N")),
            [new GrantSpec(Host, new ChapCredential($"user{number}", $"canary-sEcret{number % 1000:000}"))], null);
    }
}
