using System.Globalization;
using BlockStorage.Engine.Catalog;
using BlockStorage.Engine.Catalog.Sqlite;
using BlockStorage.Engine.Host;
using BlockStorage.Engine.Nodes;
using BlockStorage.Engine.Operations;
using BlockStorage.Services;
using static BlockStorage.Benchmarks.Sandbox;

namespace BlockStorage.Benchmarks;

/// <summary>Lists many volumes, records and files both real. They stay for the cmdlet's turn.</summary>
internal static class ListBenchmark
{
    private const int Rounds = 25;

    public static async Task<int> RunAsync(string home, int count)
    {
        await using var sandbox = await OpenAsync(home);
        await FillAsync(sandbox, count);
        var times = new List<double>();
        for (var round = 0; round < Rounds; round++)
        {
            times.Add(await TimeAsync(async () =>
            {
                var found = await sandbox.Service.GetVolumesAsync(new VolumeQuery(), CancellationToken.None);
                if (found.Count != count || found.Any(volume => volume.Health != "ok" || volume.UsedSize is null))
                    throw new InvalidOperationException($"{found.Count} volumes listed, not {count} good ones.");
            }));
        }
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"Engine lists {count} volumes: first {times[0]:0} ms, median {Median(times):0} ms, best {times.Min():0} ms"));
        return 0;
    }

    // One transaction, and the driver itself for the files: making them one by one is not what is measured.
    private static async Task FillAsync(Sandbox sandbox, int count)
    {
        using var catalog = new SqliteCatalog(sandbox.Root);
        var pool = catalog.Read(reader => reader.List<PoolRecord>())[0];
        var have = catalog.Read(reader => reader.List<VolumeRecord>()).Count;
        var driver = new LocalNode(sandbox.Root).Pool(pool.ToSpec());
        var volumes = Enumerable.Range(have, count - have).Select(number => new VolumeRecord
        {
            Id = Guid.NewGuid().ToString(),
            Name = $"vol{number:00000}",
            PoolId = pool.Id,
            Size = 1 << 20,
            Provisioning = "thin",
            State = BlockStates.Available,
            CreatedAt = DateTime.UtcNow,
        }).ToArray();
        foreach (var volume in volumes)
            await driver.CreateAsync(volume.ToIdentity(), thick: false, SilentSink.Instance, CancellationToken.None);
        catalog.Write(write =>
        {
            foreach (var volume in volumes)
                write.Insert(volume);
        });
    }
}
