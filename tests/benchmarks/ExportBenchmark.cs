using System.Diagnostics;
using System.Globalization;
using BlockStorage.Engine;
using BlockStorage.Engine.Connectors.Local;
using BlockStorage.Engine.Connectors.OpenIscsi;
using BlockStorage.Engine.Host;
using BlockStorage.Engine.Nodes;
using BlockStorage.Engine.Targets;
using BlockStorage.Engine.Targets.Lio;
using BlockStorage.Engine.Volumes.Lvm;
using BlockStorage.Services;
using static BlockStorage.Benchmarks.Sandbox;

namespace BlockStorage.Benchmarks;

/// <summary>In the lab: where the time of publishing and unpublishing goes, with few other targets there.</summary>
internal static class ExportBenchmark
{
    private const int Others = 10;
    private static readonly CancellationToken Stop = CancellationToken.None;

    public static async Task<int> RunAsync(string home, int rounds)
    {
        var root = new StateRoot(home);
        var runner = new CommandRunner();
        var driver = new LioTargetDriver(root, runner);
        List<(string What, long At)> trace = [];
        await using var service = new BlockStorageService(root, new LocalNode([new LvmVolumeDriverFactory(root, runner)], [driver],
            [new OpenIscsiConnector(root, runner), new LocalConnector(root)]), what => trace.Add((what, Stopwatch.GetTimestamp())));
        var disk = Environment.GetEnvironmentVariable("LAB_DISKS")!.Split(' ')[0];
        var pool = await Run(service.NewPoolAsync(new NewPoolRequest("export", "Lvm", "", Disk: [disk], OversubscriptionRatio: 1000), Stop));
        for (var index = 0; index < Others; index++)
        {
            var other = await Run(service.NewVolumeAsync(new NewVolumeRequest($"other{index}", 1L << 30), Stop));
            await Run(service.PublishAsync(new PublishRequest(other.Id, NoChap: true), Stop));
        }
        var volume = await Run(service.NewVolumeAsync(new NewVolumeRequest("export", 1L << 30), Stop));
        var initiator = (await service.GetInitiatorAsync(Stop)).Iqn;
        using var bare = new BareTarget(pool.Path, "export");
        bare.Create();
        bare.Snapshot();

        var spent = new Dictionary<string, List<double>>(StringComparer.Ordinal);
        void Add(string what, double time) => (spent.TryGetValue(what, out var list) ? list : spent[what] = []).Add(time);
        // The first rounds warm up and are not counted.
        for (var round = -2; round < rounds; round++)
        {
            async Task MeasureAsync(string what, Func<Task> work)
            {
                trace.Clear();
                var start = Stopwatch.GetTimestamp();
                await work();
                var end = Stopwatch.GetTimestamp();
                if (round < 0)
                    return;
                Add(what, Stopwatch.GetElapsedTime(start, end).TotalMilliseconds);
                foreach (var (from, to) in trace.Prepend(("begin", start)).Zip(trace.Append(("end", end))))
                    Add($"{what}: {from.Item1} .. {to.Item1}", Stopwatch.GetElapsedTime(from.Item2, to.Item2).TotalMilliseconds);
            }

            IscsiTarget target = null!;
            BlockPlan<IscsiTarget> plan = null!;
            await MeasureAsync("publish, plan", async () => plan = await service.PublishAsync(new PublishRequest(volume.Id, NoChap: true), Stop));
            await MeasureAsync("publish, run", async () => target = await plan.RunAsync(SilentSink.Instance, Stop));
            BlockPlan<bool> back = null!;
            await MeasureAsync("unpublish, plan", async () => back = await service.UnpublishAsync(target.Id, false, Stop));
            await MeasureAsync("unpublish, run", () => back.RunAsync(SilentSink.Instance, Stop));
            var spec = new ExportSpec(target.Id, target.Iqn, target.Portal.Select(Portal.Parse).ToArray(),
                new LunSpec(0, $"/dev/{pool.Path}/bareexport", false, target.Serial), [new GrantSpec(initiator, null)], null);
            await MeasureAsync("driver publishes", () => driver.PublishAsync(spec, SilentSink.Instance, Stop));
            await MeasureAsync("driver unpublishes", () => driver.UnpublishAsync(spec.Iqn, false, Stop));
            await MeasureAsync("bare configfs publishes", () => Task.Run(bare.Export));
            await MeasureAsync("bare configfs unpublishes", () => Task.Run(bare.Unexport));
        }
        foreach (var (what, times) in spent)
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"| {what} | {Median(times):0.0} |"));
        return 0;
    }
}
