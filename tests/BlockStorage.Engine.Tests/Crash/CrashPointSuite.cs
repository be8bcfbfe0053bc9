using System.Diagnostics;
using System.Globalization;
using BlockStorage.Engine.Host;
using BlockStorage.Engine.Tests.Services;
using BlockStorage.Services;
using BlockStorage.TestHost;
using Xunit.Abstractions;

namespace BlockStorage.Engine.Tests.Crash;

/// <summary>
/// Each verb is killed (SIGKILL) at each of its boundaries; afterwards everything is absent or complete and nothing is left over.
/// Where the old state is back, the next kill meets the same object.
/// </summary>
/// <param name="fixture">The service.</param>
/// <param name="output">Where the counts go.</param>
/// <param name="pool">Disk or folder of the pool.</param>
/// <param name="place">Disk or folder of pools that are made and removed.</param>
public abstract class CrashPointSuite(ServiceFixture fixture, ITestOutputHelper output, string pool, string place)
{
    private const int Killed = 128 + 9;
    private static readonly CancellationToken Stop = CancellationToken.None;
    private Process? _next;

    /// <summary>Where the counts go.</summary>
    protected ITestOutputHelper Output => output;

    /// <summary>Verbs and what comes before them, for all drivers.</summary>
    protected static IReadOnlyList<(string Verb, string Before)> Common { get; } =
    [
        ("create", ""),
        ("clone", "create write-a"),
        ("rename", "create"),
        ("set", "create"),
        ("lock", "create"),
        ("resize", "create"),
        ("shrink", "create"),
        ("snapshot", "create write-a"),
        ("set-snapshot", "create snapshot"),
        ("from-snapshot", "create write-a snapshot write-b"),
        ("restore", "create write-a snapshot write-b"),
        ("restore", "create write-a snapshot write-b publish"),
        ("remove-snapshot", "create snapshot"),
        ("remove", "create snapshot"),
        ("new-target", ""),
        ("publish", "create"),
        ("publish-on", "create new-target"),
        ("publish-snapshot", "create snapshot"),
        ("set-target", "create publish"),
        ("grant", "create publish"),
        ("revoke", "create publish grant"),
        ("unpublish", "create publish"),
        ("unpublish", "create new-target publish-on"),
        ("remove-target", "new-target"),
        ("connect", "create"),
        ("connect", "create publish"),
        ("connect-snapshot", "create snapshot"),
        ("resize", "create publish connect"),
        ("disconnect", "create publish connect"),
        ("remove", "create publish connect"),
        ("new-pool", ""),
        ("set-pool", "new-pool"),
        ("rename-pool", "new-pool"),
        ("remove-pool", "new-pool"),
    ];

    /// <summary>Data of a theory.</summary>
    protected static TheoryData<string, string> Data(IEnumerable<(string Verb, string Before)> cases)
    {
        var data = new TheoryData<string, string>();
        foreach (var (verb, before) in cases)
            data.Add(verb, before);
        return data;
    }

    /// <summary>Kills a verb at all its points.</summary>
    protected async Task SweepAsync(string verb, string before)
    {
        var clock = Stopwatch.StartNew();
        if ((await fixture.Service.GetPoolsAsync(new ObjectQuery(["default"]), Stop)).Count == 0)
            await ServiceFixture.RunOn(fixture.Service.NewPoolAsync(Verbs.Pool("default", pool), Stop));
        var (twin, before0) = await PrepareAsync(before);
        var points = await RunAsync(verb, twin, 0);
        Assert.True(points >= 6, $"{verb} has only {points} boundaries");
        var whole = await PictureAsync(twin);
        Assert.NotEqual(before0, whole);
        await RemoveAsync(twin);

        var (finished, partly) = (0, 0);
        var (name, old) = ("", "");
        for (var point = 1; point <= points; point++)
        {
            if (name.Length == 0)
                (name, old) = await PrepareAsync(before);
            var now = await KillAsync(verb, name, point);
            if (now == old)
                continue;
            var expected = whole.Replace(twin, name, StringComparison.Ordinal);
            // Removing with everything that depends on it is one operation an object; each object is gone or whole.
            if (verb == "remove" && now != expected)
                partly++;
            else
                finished++;
            if (verb != "remove" || now == expected)
                Assert.Equal(expected, now);
            await RemoveAsync(name);
            name = "";
        }
        if (name.Length > 0)
            await RemoveAsync(name);
        await EndNextAsync();
        await AssertNothingElseAsync();
        output.WriteLine($"{verb} after [{before}]: {points} points, {finished} finished, {partly} in part, {points - finished - partly} taken back, 0 failed ({clock.Elapsed.TotalSeconds:F0} s)");
    }

    /// <summary>Nothing is on the machine but the pool.</summary>
    protected virtual Task AssertNothingElseAsync() => Task.CompletedTask;

    private async Task<(string Name, string Picture)> PrepareAsync(string before)
    {
        var name = $"v{Guid.NewGuid():N}"[..12];
        var verbs = new Verbs(fixture.Service, place);
        foreach (var earlier in before.Split(' ', StringSplitOptions.RemoveEmptyEntries))
            await verbs.RunAsync(earlier, name);
        return (name, await PictureAsync(name));
    }

    /// <summary>One kill and one recovery; gives what is there then.</summary>
    private async Task<string> KillAsync(string verb, string name, int point)
    {
        await RunAsync(verb, name, point);
        await using var fresh = fixture.Open();
        await fresh.RecoverAsync(SilentSink.Instance, Stop);
        var now = await PictureAsync(name);
        Assert.DoesNotContain(await fresh.GetOperationsAsync(new OperationQuery(), Stop), op => op.State is BlockStates.Running or BlockStates.Interrupted);
        var repairs = await fresh.RepairAsync(Stop);
        Assert.True(repairs.Steps.Count == 0, $"{verb} at {point}: {repairs.Describe()}");
        return now;
    }

    /// <summary>Runs a verb in a process of its own that dies at a point; at 0 it lives and gives their number.</summary>
    private async Task<int> RunAsync(string verb, string name, int point)
    {
        using var process = _next ?? HostProcess.Start("crash", fixture.Home);
        await HostProcess.OrderAsync(process, verb, name, point, place);
        // The next one starts while this one is at work and looked at.
        _next = HostProcess.Start("crash", fixture.Home);
        var (exit, text, error) = await HostProcess.EndAsync(process);
        Assert.True(point == 0 ? exit == 0 : exit == Killed, $"{verb} at {point}: exit {exit} {error}");
        return point == 0 ? int.Parse(text, CultureInfo.InvariantCulture) : 0;
    }

    private async Task EndNextAsync()
    {
        using var process = _next;
        _next = null;
        process?.StandardInput.Close();
        if (process is not null)
            await HostProcess.EndAsync(process);
    }

    /// <summary>Everything of a name that a user could see, without what differs from run to run.</summary>
    private async Task<string> PictureAsync(string name)
    {
        var service = fixture.Service;
        string[] names = [name, name + "-*"];
        var volumes = await service.GetVolumesAsync(new VolumeQuery(names), Stop);
        var snapshots = await service.GetSnapshotsAsync(new SnapshotQuery(names), Stop);
        var pools = await service.GetPoolsAsync(new ObjectQuery(names), Stop);
        var targets = (await service.GetTargetsAsync(new TargetQuery(Volume: names), Stop))
            .Concat(await service.GetTargetsAsync(new TargetQuery([Verbs.Iqn(name)]), Stop)).DistinctBy(target => target.Id).ToArray();
        var connections = await service.GetConnectionsAsync(new ConnectionQuery(names), Stop);
        return string.Join('\n',
            volumes.Select(v => $"volume {v.Name} {v.State} {v.Size} {v.Provisioning} {v.ReadOnly} {v.Description} {string.Join(' ', v.Tag)} {v.Health} {v.LastError} published={v.Target.Length > 0} device={v.DevicePath.Length > 0} {First(v.Path)}")
            .Concat(snapshots.Select(s => $"snapshot {s.Name} {s.State} {s.Size} {s.Description} {string.Join(' ', s.Tag)} {s.Health}"))
            .Concat(targets.Select(t => $"target of {t.Volume}{t.Snapshot} {t.State} {t.Lun} {t.Size} {t.Chap} {t.ReadOnly} {t.Health} {string.Join(' ', t.Initiator.Order(StringComparer.Ordinal))}"))
            .Concat((await service.GetAccessAsync(new TargetQuery(Id: [.. targets.Select(t => t.Id).DefaultIfEmpty("none")]), Stop))
                .Select(a => $"access {a.Initiator} {a.Authentication} {a.UserName == "swept"}").Order(StringComparer.Ordinal))
            .Concat(connections.Select(c => $"connection of {c.Volume} {c.State} {c.Size} {c.ReadOnly} {c.Persistent} {c.Health} {c.Protocol}"))
            .Concat(pools.Select(p => $"pool {p.Name} {p.State} {p.Health} {p.WarningPercent} {p.Description}")));
    }

    // What is at the beginning of a volume, as a character.
    private static char First(string path)
    {
        if (!File.Exists(path))
            return ' ';
        using var data = File.OpenHandle(path);
        var bytes = new byte[1 << 20];
        RandomAccess.Read(data, bytes, 0);
        Assert.True(bytes.AsSpan().IndexOfAnyExcept(bytes[0]) < 0, $"{path} is torn");
        return bytes[0] == 0 ? '0' : (char)bytes[0];
    }

    private async Task RemoveAsync(string name)
    {
        var service = fixture.Service;
        foreach (var volume in await service.GetVolumesAsync(new VolumeQuery([name, name + "-*"]), Stop))
            await ServiceFixture.RunOn(service.RemoveVolumeAsync(volume.Id, cascade: true, force: true, Stop));
        foreach (var target in await service.GetTargetsAsync(new TargetQuery([Verbs.Iqn(name)]), Stop))
            await ServiceFixture.RunOn(service.RemoveTargetAsync(target.Id, force: true, Stop));
        foreach (var made in await service.GetPoolsAsync(new ObjectQuery([name + "-*"]), Stop))
            await ServiceFixture.RunOn(service.RemovePoolAsync(made.Id, Stop));
    }
}
