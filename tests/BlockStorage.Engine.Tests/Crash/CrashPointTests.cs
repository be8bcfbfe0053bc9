using System.Globalization;
using BlockStorage.Engine.Host;
using BlockStorage.Engine.Tests.Services;
using BlockStorage.Services;
using BlockStorage.TestHost;
using Xunit.Abstractions;

namespace BlockStorage.Engine.Tests.Crash;

/// <summary>Each verb is killed (SIGKILL) at each of its boundaries; afterwards everything is absent or complete and nothing is left over.</summary>
public sealed class CrashPointTests(ServiceFixture fixture, ITestOutputHelper output) : IClassFixture<ServiceFixture>
{
    private const int Killed = 128 + 9;

    [Theory]
    [InlineData("create", "")]
    [InlineData("clone", "create")]
    [InlineData("rename", "create")]
    [InlineData("resize", "create")]
    [InlineData("snapshot", "create")]
    [InlineData("restore", "create snapshot")]
    [InlineData("remove-snapshot", "create snapshot")]
    [InlineData("remove", "create snapshot")]
    [InlineData("publish", "create")]
    [InlineData("grant", "create publish")]
    [InlineData("revoke", "create publish grant")]
    [InlineData("unpublish", "create publish")]
    [InlineData("connect", "create")]
    [InlineData("connect", "create publish")]
    [InlineData("resize", "create publish connect")]
    [InlineData("disconnect", "create publish connect")]
    [InlineData("remove", "create publish connect")]
    public async Task Killed_at_any_boundary_it_is_absent_or_complete(string verb, string before)
    {
        if ((await fixture.Service.GetPoolsAsync(new ObjectQuery(["default"]), fixture.Stop)).Count == 0)
            await ServiceFixture.RunOn(fixture.Service.NewPoolAsync(new NewPoolRequest("default", "File", $"{fixture.Home}/pool", 400 << 20), fixture.Stop));
        var points = await RunAt(verb, before, 0);
        Assert.True(points >= 6, $"{verb} has only {points} boundaries");
        var finished = 0;
        for (var point = 1; point <= points; point++)
            finished += await RunAt(verb, before, point);
        output.WriteLine($"{verb} after [{before}]: {points} points, {finished} finished, {points - finished} taken back, 0 failed");
    }

    /// <summary>One kill. Gives the number of boundaries at 0, else 1 where the outcome is the finished one and 0 where it is the old one.</summary>
    private async Task<int> RunAt(string verb, string before, int point)
    {
        var name = $"v{Guid.NewGuid():N}"[..12];
        var verbs = new Verbs(fixture.Service);
        foreach (var earlier in before.Split(' ', StringSplitOptions.RemoveEmptyEntries))
            await verbs.RunAsync(earlier, name);
        var old = await Picture(name);

        var (exit, text, error) = await HostProcess.RunAsync("crash", fixture.Home, verb, name, point.ToString(CultureInfo.InvariantCulture));
        Assert.True(point == 0 ? exit == 0 : exit == Killed, $"{verb} at {point}: exit {exit} {error}");

        await using var fresh = fixture.Open();
        await fresh.RecoverAsync(SilentSink.Instance, fixture.Stop);
        var now = await Picture(name);
        Assert.DoesNotContain(await fresh.GetOperationsAsync(new OperationQuery(), fixture.Stop), op => op.State is BlockStates.Running or BlockStates.Interrupted);
        var repairs = await fresh.RepairAsync(fixture.Stop);
        Assert.True(repairs.Steps.Count == 0, $"{verb} at {point}: {repairs.Describe()}");
        var whole = await Finished(verb, before, name, old, now);
        await Remove(name);
        return point == 0 ? int.Parse(text, CultureInfo.InvariantCulture) : whole ? 1 : 0;
    }

    private async Task<bool> Finished(string verb, string before, string name, string old, string now)
    {
        if (now == old && verb != "restore")
            return false;
        // Removing with everything that depends on it is one operation an object; each object is gone or whole.
        if (verb == "remove")
            return now.Length == 0;
        // Not the old picture: then it must be just what an undisturbed run gives.
        var twin = $"v{Guid.NewGuid():N}"[..12];
        var verbs = new Verbs(fixture.Service);
        foreach (var step in before.Split(' ', StringSplitOptions.RemoveEmptyEntries).Append(verb))
            await verbs.RunAsync(step, twin);
        Assert.Equal((await Picture(twin)).Replace(twin, name, StringComparison.Ordinal), now);
        await Remove(twin);
        return true;
    }

    /// <summary>Everything of a name that a user could see, without what differs from run to run.</summary>
    private async Task<string> Picture(string name)
    {
        var service = fixture.Service;
        var volumes = await service.GetVolumesAsync(new VolumeQuery([name, name + "-*"]), fixture.Stop);
        var snapshots = await service.GetSnapshotsAsync(new SnapshotQuery([name + "-*"]), fixture.Stop);
        var targets = await service.GetTargetsAsync(new TargetQuery(Volume: [name, name + "-*"]), fixture.Stop);
        var connections = await service.GetConnectionsAsync(new ConnectionQuery([name, name + "-*"]), fixture.Stop);
        return string.Join('\n',
            volumes.Select(v => $"volume {v.Name} {v.State} {v.Size} {v.Health} {v.LastError} published={v.Target.Length > 0} device={v.DevicePath.Length > 0}")
            .Concat(snapshots.Select(s => $"snapshot {s.Name} {s.State} {s.Size} {s.Health}"))
            .Concat(targets.Select(t => $"target of {t.Volume} {t.State} {t.Lun} {t.Size} {t.Chap} {t.Health} {string.Join(' ', t.Initiator.Order(StringComparer.Ordinal))}"))
            .Concat(connections.Select(c => $"connection of {c.Volume} {c.State} {c.Size} {c.Health} {c.Protocol}")));
    }

    private async Task Remove(string name)
    {
        foreach (var volume in await fixture.Service.GetVolumesAsync(new VolumeQuery([name, name + "-*"]), fixture.Stop))
            await ServiceFixture.RunOn(fixture.Service.RemoveVolumeAsync(volume.Id, cascade: true, force: true, fixture.Stop));
    }
}
