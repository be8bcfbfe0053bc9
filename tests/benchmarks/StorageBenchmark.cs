using System.Globalization;
using BlockStorage.Engine;
using BlockStorage.Engine.Connectors.Local;
using BlockStorage.Engine.Connectors.OpenIscsi;
using BlockStorage.Engine.Host;
using BlockStorage.Engine.Nodes;
using BlockStorage.Engine.Targets.Lio;
using BlockStorage.Engine.Volumes.Lvm;
using BlockStorage.Services;
using static BlockStorage.Benchmarks.Sandbox;

namespace BlockStorage.Benchmarks;

/// <summary>
/// In the lab: each verb on LVM thin, LIO and open-iscsi beside the bare calls of the tools in the same volume group, with few and
/// many volumes in it, and how many programs each starts.
/// </summary>
internal static class StorageBenchmark
{
    private static readonly CancellationToken Stop = CancellationToken.None;

    public static async Task<int> RunAsync(string home, int rounds, string[] counts)
    {
        var counting = new CountingRunner();
        var root = new StateRoot(home);
        await using var service = new BlockStorageService(root, new LocalNode([new LvmVolumeDriverFactory(root, counting)],
            [new LioTargetDriver(root, counting)], [new OpenIscsiConnector(root, counting), new LocalConnector(root)]));
        var disks = Environment.GetEnvironmentVariable("LAB_DISKS")!.Split(' ')[..2];
        var pool = await Run(service.NewPoolAsync(new NewPoolRequest("bench", "Lvm", "", Disk: disks, OversubscriptionRatio: 1000), Stop));
        Console.WriteLine("| volumes in the pool | verb | ours ms | bare tools ms | ours / bare | programs started by ours | by the bare way |");
        Console.WriteLine("|---|---|---|---|---|---|---|");
        foreach (var count in counts.Length > 0 ? counts.Select(text => int.Parse(text, CultureInfo.InvariantCulture)) : [10, 100, 1000])
        {
            CrowdedGroup.Fill(home, pool.Path, count);
            var rows = new Dictionary<string, List<Row>>(StringComparer.Ordinal);
            // The first round warms up and is not counted.
            for (var round = 0; round <= rounds; round++)
            {
                foreach (var row in await RoundAsync(service, counting, pool.Path, $"{count}x{round}"))
                    (rows.TryGetValue(row.Verb, out var list) ? list : rows[row.Verb] = []).Add(row);
            }
            foreach (var (verb, list) in rows)
            {
                var counted = list.Skip(1).ToArray();
                var (ours, bare) = (Median(counted.Select(row => row.Ours)), Median(counted.Select(row => row.Bare)));
                Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                    $"| {count} | {verb} | {ours:0} | {bare:0} | {ours / bare:0.00} | {counted[^1].OurPrograms} | {counted[^1].BarePrograms} |"));
            }
        }
        return 0;
    }

    private static async Task<IReadOnlyList<Row>> RoundAsync(BlockStorageService service, CountingRunner counting, string group, string name)
    {
        var rows = new List<Row>();
        async Task MeasureAsync(string verb, Func<Task> ours, Action bare)
        {
            var before = counting.Count;
            var ourTime = await TimeAsync(ours);
            var (programs, barePrograms) = (counting.Count - before, ToolCount);
            var bareTime = await TimeAsync(() => Task.Run(bare));
            rows.Add(new Row(verb, ourTime, bareTime, programs, ToolCount - barePrograms));
        }

        using var target = new BareTarget(group, name);
        BlockVolume volume = null!, clone = null!;
        IscsiTarget published = null!;
        BlockConnection connection = null!;
        await MeasureAsync("create", async () => volume = await Run(service.NewVolumeAsync(new NewVolumeRequest(name, 1L << 30), Stop)), target.Create);
        await MeasureAsync("snapshot", () => Run(service.NewSnapshotAsync(new NewSnapshotRequest(volume.Id, name + "-s"), Stop)), target.Snapshot);
        await MeasureAsync("clone", async () => clone = await Run(service.NewVolumeAsync(new NewVolumeRequest(name + "-c", FromVolume: volume.Id), Stop)), target.Clone);
        await MeasureAsync("export", async () => published = await Run(service.PublishAsync(new PublishRequest(volume.Id, NoChap: true), Stop)), target.Export);
        var byTargetcli = await TimeAsync(() => Task.Run(target.ExportByTargetcli));
        rows.Add(new Row("export, bare is targetcli", rows[^1].Ours, byTargetcli, rows[^1].OurPrograms, 1));
        target.UnexportByTargetcli();
        await MeasureAsync("attach", async () => connection = await Run(service.ConnectAsync(new ConnectRequest(volume.Id), Stop)), () => target.Attach());
        await MeasureAsync("detach", () => Run(service.DisconnectAsync(connection.Id, false, Stop)), target.Detach);
        await MeasureAsync("unexport", () => Run(service.UnpublishAsync(published.Id, false, Stop)), target.Unexport);
        await MeasureAsync("delete", () => Run(service.RemoveVolumeAsync(clone.Id, cascade: false, force: false, Stop)), target.Delete);
        await Run(service.RemoveVolumeAsync(volume.Id, cascade: true, force: false, Stop));
        return rows;
    }

    private sealed record Row(string Verb, double Ours, double Bare, int OurPrograms, int BarePrograms);

    /// <summary>Counts what is started.</summary>
    private sealed class CountingRunner : ICommandRunner
    {
        private readonly CommandRunner _runner = new();
        private int _count;

        public int Count => _count;

        public Task<CommandResult> RunAsync(Command command, IWorkSink sink, CancellationToken cancel)
        {
            Interlocked.Increment(ref _count);
            return _runner.RunAsync(command, sink, cancel);
        }

        public string? Find(string program) => _runner.Find(program);
    }
}
