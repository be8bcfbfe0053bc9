using BlockStorage.Engine.Host;
using BlockStorage.Engine.Tests.Lab;
using BlockStorage.Engine.Volumes;
using static BlockStorage.Engine.Tests.Volumes.Lvm.LvmPools;

namespace BlockStorage.Engine.Tests.Volumes.Lvm;

/// <summary>Pools on RAID: failed disks cost nothing, are told, and are made good by the verb that Repair-BlockStorage calls.</summary>
[Trait("Needs", "Lab")]
[Collection(LabCollection.Name)]
public sealed class LvmRaidTests : IAsyncLifetime
{
    private const long MiB = 1 << 20;
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(60);
    private readonly RecordingSink _sink = new();
    private readonly FaultyDisk _disk = new(LabCollection.Disks[1]);

    public async Task InitializeAsync()
    {
        await ClearAsync();
        await _disk.CreateAsync();
    }

    public async Task DisposeAsync()
    {
        await _disk.RemoveAsync();
        await ClearAsync();
        await AssertNothingLeftAsync();
    }

    [Fact(DisplayName = "raid1: a disk that fails under a writer and comes back, then goes for good and is replaced, costs no byte")]
    [Trait("Takes", "Hours")]
    public async Task Mirrored_pool()
    {
        var error = await FilePools.FailsAsync("InvalidArgument", () => Task.FromResult(Factory.Check(Spec() with { Raid = "raid1" })));
        Assert.Contains("needs 2 disks", error.Message, StringComparison.Ordinal);
        var driver = await MakeAsync("raid1", LabCollection.Disks[0], _disk.Path);
        Assert.Equal("raid1", Factory.Identify(Group)!.Raid);
        Assert.Equal(["raid1", "raid1"], await TypesAsync("bspool_tdata", "bspool_tmeta"));
        var (thin, thick) = (FilePools.Identity("thin", 64 * MiB), FilePools.Identity("thick", 32 * MiB) with { Provisioning = "thick" });
        await driver.CreateAsync(thin, false, _sink, default);
        await driver.CreateAsync(thick, true, _sink, default);
        await driver.ResizeAsync(thick.Id, 48 * MiB, true, default);
        var (thinPath, thickPath) = (await driver.ActivateAsync(thin.Id, default), await driver.ActivateAsync(thick.Id, default));
        Assert.True(Read(thickPath, 48).AreAll(0));
        PoolBytes.Write(thinPath, 8);

        await _disk.FailAsync();
        PoolBytes.Write(thinPath, 32);
        PoolBytes.Write(thickPath, 40);
        var status = await driver.GetPoolAsync(default);
        Assert.Equal((true, true), (status.Usable, status.IsDegraded));
        Assert.Matches("degraded, it works .* Repair-BlockStorage", status.Health);
        await _disk.HealAsync();
        await driver.CreatePoolAsync(_sink, default);
        await HealthyAsync(driver);

        await _disk.FailAsync();
        PoolBytes.Write(thinPath, 48);
        await FilePools.FailsAsync("PoolUnavailable", () => driver.CreateAsync(FilePools.Identity("w", MiB), false, _sink, default));
        error = await FilePools.FailsAsync("InsufficientSpace", () => driver.CreatePoolAsync(_sink, default));
        Assert.Contains("vgextend", error.NextStep, StringComparison.Ordinal);
        status = await driver.GetPoolAsync(default);
        Assert.True(status is { Usable: true, IsDegraded: true }, status.Health);
        Assert.Contains("1 of its disks is missing", status.Health, StringComparison.Ordinal);
        await RunAsync("vgextend", "--metadatasize", "64m", Group, LabCollection.Disks[2]);
        await driver.CreatePoolAsync(_sink, default);
        await HealthyAsync(driver);
        Assert.DoesNotContain("unknown", await RunAsync("lvs", "--all", "--noheadings", "-o", "devices", Group), StringComparison.Ordinal);
        PoolBytes.Assert(thinPath, 48);
        PoolBytes.Assert(thickPath, 40);

        // The pool's own repair leaves its metadata on one disk.
        await RunAsync("vgchange", "--activate", "n", Group);
        await RunAsync("lvconvert", "--yes", "--repair", $"{Group}/bspool");
        await driver.OpenPoolAsync(_sink, default);
        status = await driver.GetPoolAsync(default);
        Assert.Matches("metadata is on one disk", status.Health);
        Assert.Equal(2, (await driver.ListAsync(default)).Count);
        await driver.CreatePoolAsync(_sink, default);
        Assert.Equal(["raid1"], await TypesAsync("bspool_tmeta"));
        await HealthyAsync(driver);
        PoolBytes.Assert(await driver.ActivateAsync(thin.Id, default), 48);
        foreach (var volume in new[] { thin, thick })
            await driver.DeleteAsync(volume.Id, default);
        // The disk that failed still says that it is part of it.
        await _disk.HealAsync();
        await RunAsync("wipefs", "--all", "--force", _disk.Path);
        await driver.DestroyPoolAsync(_sink, default);
        await RunAsync("pvremove", LabCollection.Disks[2]);
    }

    [Theory(DisplayName = "raid5, raid6 and raid10: volumes have the sizes they were asked to have, and all is read without a disk")]
    [InlineData("raid5", 3)]
    [InlineData("raid10", 4)]
    [InlineData("raid6", 5)]
    [Trait("Takes", "Hours")]
    public async Task Striped_pools(string level, int disks)
    {
        var driver = await MakeAsync(level, [_disk.Path, .. LabCollection.Disks.Where((_, i) => i != 1).Take(disks - 1)]);
        var stripes = level == "raid6" ? 3 : 2;
        var status = await driver.GetPoolAsync(default);
        Assert.Equal(stripes * MiB, status.Granularity);
        Assert.InRange(status.Total, 3900 * MiB * stripes, 4096 * MiB * stripes);
        Assert.InRange(status.ThickFree!.Value, status.Total - 512 * MiB, status.Total);
        var (thin, thick) = (FilePools.Identity("thin", 60 * MiB), FilePools.Identity("thick", 24 * MiB) with { Provisioning = "thick" });
        await driver.CreateAsync(thin, false, _sink, default);
        await driver.CreateAsync(thick, true, _sink, default);
        await driver.ResizeAsync(thick.Id, 36 * MiB, true, default);
        Assert.Equal([24 * MiB + 12 * MiB, 60 * MiB], (await driver.ListAsync(default)).Select(item => item.Size).Order());
        var (thinPath, thickPath) = (await driver.ActivateAsync(thin.Id, default), await driver.ActivateAsync(thick.Id, default));
        PoolBytes.Write(thinPath, 24);
        PoolBytes.Write(thickPath, 36);
        await HealthyAsync(driver);
        await _disk.FailAsync();
        PoolBytes.Assert(thinPath, 24);
        PoolBytes.Assert(thickPath, 36);
        PoolBytes.Write(thinPath, 48);
        Assert.True((await driver.GetPoolAsync(default)).IsDegraded);
        await _disk.HealAsync();
        await driver.CreatePoolAsync(_sink, default);
        await HealthyAsync(driver);
        PoolBytes.Assert(thinPath, 48);
        PoolBytes.Assert(thickPath, 36);
        foreach (var volume in new[] { thin, thick })
            await driver.DeleteAsync(volume.Id, default);
        await driver.DestroyPoolAsync(_sink, default);
    }

    [Fact(DisplayName = "The monthly comparison finds what differs between disks; it is told and made the same")]
    public async Task Scrub()
    {
        var driver = await MakeAsync("raid1", LabCollection.Disks[0], LabCollection.Disks[2]);
        await HealthyAsync(driver);
        using (var leg = Native.Open($"/dev/mapper/bs--test-bspool_tdata_rimage_1", OpenMode.ReadWrite))
        {
            Native.Write(leg, PoolBytes.Block(7), 5 * MiB, "leg");
            Native.FlushDevice(leg, "leg");
        }
        Assert.Equal("ok", (await driver.GetPoolAsync(default)).Health);
        await RunAsync("sh", "-c", ScrubCommand());
        Assert.True(await Poll.UntilAsync(() => driver.GetPoolAsync(default).Result.IsDegraded, Bound, default));
        Assert.Matches("degraded: [0-9]+ sectors of its data differ", (await driver.GetPoolAsync(default)).Health);
        await driver.CreatePoolAsync(_sink, default);
        await HealthyAsync(driver);
        // What is being repaired is not compared at the same time, and that is no error.
        await RunAsync("sh", "-c", ScrubCommand());
        await IdleAsync();
        await RunAsync("sh", "-c", ScrubCommand());
        await IdleAsync();
        await HealthyAsync(driver);
        await driver.DestroyPoolAsync(_sink, default);
    }

    private static async Task IdleAsync() => Assert.True(await Poll.UntilAsync(
        () => RunAsync("lvs", "--all", "--noheadings", "-o", "raid_sync_action", Group).Result.Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)
            .All(action => action == "idle"), Bound, default));

    [Fact(DisplayName = "Killed while it is put together, a RAID pool is made anew or removed without a trace")]
    [Trait("Takes", "Hours")]
    public async Task Half_made()
    {
        var driver = await MakeAsync("raid1", LabCollection.Disks[0], LabCollection.Disks[2]);
        // As it was before the last rename, and before the two parts became one.
        await RunAsync("lvrename", Group, "bspool", "bspool-new");
        await RunAsync("lvcreate", "--yes", "--size", "16m", "--name", "bspool-newmeta", Group);
        Assert.Empty(await driver.ListAsync(default));
        await driver.CreatePoolAsync(_sink, default);
        await HealthyAsync(driver);
        await RunAsync("lvrename", Group, "bspool", "bspool-new");
        await driver.DestroyPoolAsync(_sink, default);
    }

    private async Task<IVolumeDriver> MakeAsync(string level, params string[] disks)
    {
        var driver = Factory.Open(Factory.Check(Spec(192 * MiB) with { Disks = disks, Raid = level }));
        await driver.CreatePoolAsync(_sink, default);
        return driver;
    }

    // Disks that were apart take a while.
    private static async Task HealthyAsync(IVolumeDriver driver)
    {
        await Poll.UntilAsync(() => driver.GetPoolAsync(default).Result.Health == "ok", Bound, default);
        Assert.Equal("ok", (await driver.GetPoolAsync(default)).Health);
    }

    private static async Task<string[]> TypesAsync(params string[] names)
    {
        var rows = await RunAsync("lvs", ["--all", "--noheadings", "-o", "segtype", .. names.Select(name => $"{Group}/{name}")]);
        return rows.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
    }

    /// <summary>What the unit runs, as systemd reads it.</summary>
    private static string ScrubCommand()
    {
        var line = File.ReadLines(Path.Combine(Repository.Folder, "systemd", "blockstorage-scrub.service")).Single(line => line.StartsWith("ExecStart=", StringComparison.Ordinal));
        var words = line[(line.IndexOf("-c \"", StringComparison.Ordinal) + 4)..^1];
        return words.Replace("\\\"", "\"", StringComparison.Ordinal);
    }
}
