using System.Globalization;
using BlockStorage.Services;
using static BlockStorage.Benchmarks.Sandbox;

namespace BlockStorage.Benchmarks;

/// <summary>
/// Create, snapshot, publish and connect: the verb of the service, the bare work of its driver (what the verb must do in
/// any case), and the raw tools that a script would call. The verb's own share is the first less the second.
/// </summary>
internal static class VerbBenchmark
{
    private static readonly CancellationToken Stop = CancellationToken.None;

    public static async Task<int> RunAsync(string home, int rounds)
    {
        await using var sandbox = await OpenAsync(home);
        var service = sandbox.Service;
        var rows = new Dictionary<string, (List<double> Ours, List<double> Bare, List<double> Raw)>(StringComparer.Ordinal);
        void Add(string verb, double ours, double bare, double raw)
        {
            if (!rows.TryGetValue(verb, out var row))
                rows[verb] = row = ([], [], []);
            row.Ours.Add(ours);
            row.Bare.Add(bare);
            row.Raw.Add(raw);
        }

        // A target that stays keeps the service running, so that starting it is not part of the figure.
        var kept = await Run(service.NewVolumeAsync(new NewVolumeRequest("kept", 1L << 30, Pool: "bench"), Stop));
        await Run(service.PublishAsync(new PublishRequest(kept.Id, NoChap: true), Stop));
        // The first round warms up and is not counted.
        for (var round = 0; round <= rounds; round++)
        {
            var results = await RoundAsync(sandbox, round);
            foreach (var (verb, ours, bare, raw) in round == 0 ? [] : results)
                Add(verb, ours, bare, raw);
        }
        await Run(service.RemoveVolumeAsync(kept.Id, cascade: true, force: true, Stop));
        Console.WriteLine("| verb | ours ms | its driver's work ms | own share ms | raw tools ms | ours / raw |");
        Console.WriteLine("|---|---|---|---|---|---|");
        foreach (var (verb, row) in rows)
        {
            var (ours, bare, raw) = (Median(row.Ours), Median(row.Bare), Median(row.Raw));
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"| {verb} | {ours:0.0} | {bare:0.0} | {ours - bare:0.0} | {raw:0.0} | {ours / raw:0.00} |"));
        }
        return 0;
    }

    private static async Task<IReadOnlyList<(string, double, double, double)>> RoundAsync(Sandbox sandbox, int round)
    {
        var service = sandbox.Service;
        var name = $"bench{round}";
        var raw = Path.Combine(sandbox.PoolData, $"raw{round}");
        var bareId = Guid.NewGuid().ToString();
        var context = new BareWork(sandbox);

        BlockVolume volume = null!;
        var create = ("create", await TimeAsync(async () => volume = await Run(service.NewVolumeAsync(new NewVolumeRequest(name, 1L << 30, Pool: "bench"), Stop))),
            await TimeAsync(() => context.CreateAsync(bareId)),
            await TimeAsync(() => { Tool("truncate", "-s", "1G", raw); Tool("sync", raw); return Task.CompletedTask; }));
        var snapshot = ("snapshot", await TimeAsync(() => Run(service.NewSnapshotAsync(new NewSnapshotRequest(volume.Id, name + "-snap"), Stop))),
            await TimeAsync(() => context.SnapshotAsync(bareId)),
            await TimeAsync(() => { Tool("cp", "--reflink=always", raw, raw + ".snap"); Tool("sync", raw + ".snap"); return Task.CompletedTask; }));

        using var tgt = new RawTgt(sandbox);
        var publish = ("publish", await TimeAsync(() => Run(service.PublishAsync(new PublishRequest(volume.Id, NoChap: true), Stop))),
            await TimeAsync(() => context.PublishAsync(bareId)),
            await TimeAsync(() => { tgt.Publish(raw); return Task.CompletedTask; }));
        BlockConnection connection = null!;
        using var qemu = new RawConnection(sandbox, tgt.Url);
        var connect = ("connect", await TimeAsync(async () => connection = await Run(service.ConnectAsync(new ConnectRequest(volume.Id), Stop))),
            await TimeAsync(() => context.ConnectAsync(bareId)),
            await TimeAsync(() => { qemu.Connect(); return Task.CompletedTask; }));
        var disconnect = ("disconnect", await TimeAsync(() => Run(service.DisconnectAsync(connection.Id, false, Stop))),
            await TimeAsync(() => context.DisconnectAsync(bareId)),
            await TimeAsync(() => { qemu.Dispose(); return Task.CompletedTask; }));

        await Run(service.RemoveVolumeAsync(volume.Id, cascade: true, force: true, Stop));
        await context.RemoveAsync(bareId);
        tgt.Dispose();
        File.Delete(raw);
        File.Delete(raw + ".snap");
        return [create, snapshot, publish, connect, disconnect];
    }
}
