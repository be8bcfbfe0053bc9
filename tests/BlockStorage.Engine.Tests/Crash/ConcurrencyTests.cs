using System.Globalization;
using BlockStorage.Engine.Tests.Services;
using BlockStorage.Services;

namespace BlockStorage.Engine.Tests.Crash;

/// <summary>Eight processes, fifty mixed operations each, on few names in one pool.</summary>
public sealed class ConcurrencyTests(ServiceFixture fixture) : IClassFixture<ServiceFixture>
{
    private const int Processes = 8;
    private const int Operations = 50;

    [Fact]
    public async Task Every_operation_succeeds_or_says_why_not_and_all_agree_afterwards()
    {
        await ServiceFixture.RunOn(fixture.Service.NewPoolAsync(new NewPoolRequest("default", "File", $"{fixture.Home}/pool", 400 << 20), fixture.Stop));
        var runs = await Task.WhenAll(Enumerable.Range(1, Processes).Select(seed => HostProcess.RunAsync(
            "load", fixture.Home, seed.ToString(CultureInfo.InvariantCulture), Operations.ToString(CultureInfo.InvariantCulture))));
        var lines = runs.SelectMany(run => run.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries)).ToArray();
        Assert.All(runs, run => Assert.True(run.ExitCode == 0, run.Output + run.Error));
        Assert.Equal(Processes * Operations, lines.Length);
        Assert.True(lines.Count(line => line.StartsWith("ok ", StringComparison.Ordinal)) > Operations, string.Join('\n', lines));

        var repairs = await fixture.Service.RepairAsync(fixture.Stop);
        Assert.True(repairs.Steps.Count == 0, repairs.Describe());
        Assert.DoesNotContain(await fixture.Service.GetOperationsAsync(new OperationQuery(), fixture.Stop),
            operation => operation.State is BlockStates.Running or BlockStates.Interrupted);
        var volumes = await fixture.Service.GetVolumesAsync(new VolumeQuery(), fixture.Stop);
        Assert.All(volumes, volume =>
        {
            Assert.Equal("ok", volume.Health);
            Assert.Contains(volume.State, new[] { BlockStates.Available, BlockStates.InUse });
            Assert.Equal(volume.State == BlockStates.InUse, volume.DevicePath.Length > 0);
        });
        Assert.All(await fixture.Service.GetTargetsAsync(new TargetQuery(), fixture.Stop), target => Assert.Equal(BlockStates.Online, target.State));
        Assert.All(await fixture.Service.GetConnectionsAsync(new ConnectionQuery(), fixture.Stop), connection => Assert.Equal(BlockStates.Attached, connection.State));
        Assert.Equal(volumes.Count, volumes.Select(volume => volume.Name.ToUpperInvariant()).Distinct().Count());
    }
}
