using System.Globalization;
using System.Text.Json;
using BlockStorage.Engine;
using BlockStorage.Engine.Host;
using BlockStorage.Engine.Nodes;
using BlockStorage.Services;
using static BlockStorage.Benchmarks.Sandbox;

namespace BlockStorage.Benchmarks;

/// <summary>
/// In the lab: fio on the logical volume itself, through LIO and open-iscsi as we set them, and on the same path set by hand for
/// speed. Each on a thin volume of its own that is written full first.
/// </summary>
internal static class FioBenchmark
{
    private const int Megabytes = 512;
    private static readonly CancellationToken Stop = CancellationToken.None;

    public static async Task<int> RunAsync(string home)
    {
        var root = new StateRoot(home);
        await using var service = new BlockStorageService(root, new LocalNode(root));
        var disks = Environment.GetEnvironmentVariable("LAB_DISKS")!.Split(' ')[2..4];
        var pool = await Run(service.NewPoolAsync(new NewPoolRequest("fio", "Lvm", "", Disk: disks), Stop));
        var volume = await Run(service.NewVolumeAsync(new NewVolumeRequest("fio", Megabytes << 20, Pool: "fio"), Stop));
        Fill(volume.Path);
        await Run(service.PublishAsync(new PublishRequest(volume.Id, NoChap: true), Stop));
        var connection = await Run(service.ConnectAsync(new ConnectRequest(volume.Id), Stop));
        using var tuned = new BareTarget(pool.Path, "fio");
        tuned.Create();
        tuned.Snapshot();
        tuned.Export();
        tuned.Attach(tuned: true);
        Fill(tuned.Device);

        Console.WriteLine("| fio, direct | logical volume MB/s | ours MB/s | set by hand MB/s | ours / by hand | ours / logical volume |");
        Console.WriteLine("|---|---|---|---|---|---|");
        foreach (var (text, arguments) in new (string, string[])[]
        {
            ("4 KiB random reads, 32 deep", ["--rw=randread", "--bs=4k", "--iodepth=32"]),
            ("4 KiB random writes, 32 deep", ["--rw=randwrite", "--bs=4k", "--iodepth=32"]),
            ("1 MiB reads, 4 deep", ["--rw=read", "--bs=1M", "--iodepth=4"]),
            ("1 MiB writes, 4 deep", ["--rw=write", "--bs=1M", "--iodepth=4"]),
        })
        {
            // In turns, so that other work on the machine meets all three alike.
            var rounds = Enumerable.Range(0, 3).Select(_ => new[] { volume.Path, connection.DevicePath, tuned.Device }.Select(device => Speed(device, arguments)).ToArray()).ToArray();
            var (bare, ours, hand) = (Median(rounds.Select(round => round[0])), Median(rounds.Select(round => round[1])), Median(rounds.Select(round => round[2])));
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"| {text} | {bare:0.0} | {ours:0.0} | {hand:0.0} | {ours / hand:0.00} | {ours / bare:0.00} |"));
        }
        tuned.Detach();
        tuned.Unexport();
        return 0;
    }

    private static void Fill(string device) => Tool("dd", "if=/dev/urandom", $"of={device}", "bs=1M", $"count={Megabytes}", "oflag=direct", "status=none");

    private static double Speed(string device, string[] arguments)
    {
        using var report = JsonDocument.Parse(Tool("fio", ["--name=x", $"--filename={device}", "--direct=1", "--ioengine=libaio",
            "--time_based", "--runtime=4", $"--size={Megabytes}m", "--output-format=json", .. arguments]));
        var job = report.RootElement.GetProperty("jobs")[0];
        return (job.GetProperty("read").GetProperty("bw_bytes").GetDouble() + job.GetProperty("write").GetProperty("bw_bytes").GetDouble()) / 1e6;
    }
}
