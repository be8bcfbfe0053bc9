using System.Globalization;
using System.Text.RegularExpressions;
using BlockStorage.Services;
using static BlockStorage.Benchmarks.Sandbox;

namespace BlockStorage.Benchmarks;

/// <summary>Data through our device beside qemu-img bench straight at the same target.</summary>
internal static partial class DataBenchmark
{
    public static async Task<int> RunAsync(string home)
    {
        await using var sandbox = await OpenAsync(home);
        var service = sandbox.Service;
        var volume = await Run(service.NewVolumeAsync(new NewVolumeRequest("data", 1L << 30, Pool: "bench"), CancellationToken.None));
        var target = await Run(service.PublishAsync(new PublishRequest(volume.Id, NoChap: true), CancellationToken.None));
        var url = $"iscsi://{target.Portal[0]}/{target.Iqn}/{target.Lun}";
        // Allocated beforehand: first writes would measure the file system below.
        Tool("qemu-img", "bench", "-f", "raw", "-t", "none", "-c", "1024", "-s", "1M", "-w", url);
        Console.WriteLine("| data | straight at the target s | through our device s | ours / straight |");
        Console.WriteLine("|---|---|---|---|");
        foreach (var (text, arguments) in new (string, string[])[]
        {
            ("4 KiB reads, 32 deep", ["-c", "20000", "-d", "32", "-s", "4096"]),
            ("4 KiB writes, 32 deep", ["-c", "20000", "-d", "32", "-s", "4096", "-w"]),
            ("1 MiB reads, 4 deep", ["-c", "1000", "-d", "4", "-s", "1M"]),
            ("1 MiB writes, 4 deep", ["-c", "1000", "-d", "4", "-s", "1M", "-w"]),
        })
        {
            var straight = Median(Enumerable.Range(0, 3).Select(_ => Bench(url, arguments)));
            var connection = await Run(service.ConnectAsync(new ConnectRequest(volume.Id), CancellationToken.None));
            var ours = Median(Enumerable.Range(0, 3).Select(_ => Bench(connection.DevicePath, arguments)));
            await Run(service.DisconnectAsync(connection.Id, force: false, CancellationToken.None));
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"| {text} | {straight:0.00} | {ours:0.00} | {ours / straight:0.00} |"));
        }
        await Run(service.RemoveVolumeAsync(volume.Id, cascade: true, force: true, CancellationToken.None));
        return 0;
    }

    private static double Bench(string image, string[] arguments) => double.Parse(
        Seconds().Match(Tool("qemu-img", ["bench", "-f", "raw", "-t", "none", .. arguments, image])).Groups[1].Value, CultureInfo.InvariantCulture);

    [GeneratedRegex(@"completed in ([0-9.]+) seconds")]
    private static partial Regex Seconds();
}
