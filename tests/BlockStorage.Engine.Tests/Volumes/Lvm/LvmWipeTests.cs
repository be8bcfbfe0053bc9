using BlockStorage.Engine.Host;
using BlockStorage.Engine.Tests.Lab;
using BlockStorage.Engine.Volumes;
using static BlockStorage.Engine.Tests.Volumes.Lvm.LvmPools;

namespace BlockStorage.Engine.Tests.Volumes.Lvm;

/// <summary>Scenario 11: bytes of a removed thick volume, on a disk that somebody else has filled before.</summary>
[Trait("Needs", "Lab")]
[Collection(LabCollection.Name)]
public sealed class LvmWipeTests : IAsyncLifetime
{
    private const long MiB = 1 << 20;
    private const byte Tenant = 0xAB;
    private readonly PoolSpec _spec = LvmPools.Spec(192 * MiB);
    private readonly RecordingSink _sink = new();
    private IVolumeDriver _driver = null!;

    public async Task InitializeAsync()
    {
        await LvmPools.ClearAsync();
        Fill(LabCollection.Disks[0], 0xEE, 448);
        _driver = LvmPools.Factory.Open(LvmPools.Factory.Check(_spec));
        await _driver.CreatePoolAsync(_sink, default);
    }

    public async Task DisposeAsync()
    {
        await _driver.DestroyPoolAsync(_sink, default);
        await LvmPools.AssertNothingLeftAsync();
    }

    [Fact(DisplayName = "Scenario 11, LP 1191812: removed at once, overwritten by a worker that a kill only delays, never read by the next")]
    public async Task Removed_volumes_are_wiped_whatever_happens_to_the_worker()
    {
        var volume = FilePools.Identity("v", 128 * MiB) with { Provisioning = "thick" };
        var snapshot = FilePools.Identity("s", volume.Size, BackendKind.Snapshot, volume.Id);
        await _driver.CreateAsync(volume, true, _sink, default);
        var path = await _driver.ActivateAsync(volume.Id, default);
        Fill(path, Tenant, 128);
        await _driver.CreateSnapshotAsync(snapshot, _sink, default);
        Fill(path, 0xAC, 128);
        var free = (await _driver.GetPoolAsync(default)).ThickFree;

        ProcessEntry[] first;
        string[] wipes;
        var folder = Path.Combine(LvmPools.Root.RunFolder, "wipe");
        StateRoot.EnsureFolder(folder);
        using (var hold = Native.Open(Path.Combine(folder, "lock"), OpenMode.ReadWrite | OpenMode.Create))
        {
            // Workers wait for the lock, so that each state can be looked at.
            Assert.True(Native.TryLock(hold, "lock"));
            await _driver.DeleteAsync(snapshot.Id, default);
            await _driver.DeleteAsync(volume.Id, default);
            await _driver.DeleteAsync(volume.Id, default);
            var list = await _driver.ListAsync(default);
            Assert.Equal([(snapshot.Id, "wiping"), (volume.Id, "wiping")], list.OrderBy(item => item.Id == volume.Id).Select(item => (item.Id, item.Health)));
            Assert.Null(await _driver.FindAsync(volume.Id, default));
            Assert.True(await Poll.UntilAsync(() => !File.Exists(path), TimeSpan.FromSeconds(10), default));
            var status = await _driver.GetPoolAsync(default);
            Assert.Equal((free, true), (status.ThickFree, status.Wiping > 256 * MiB));
            var error = await FilePools.FailsAsync("InsufficientSpace",
                () => _driver.CreateAsync(FilePools.Identity("big", free!.Value + MiB), true, _sink, default));
            Assert.Contains("being wiped", error.Message, StringComparison.Ordinal);

            first = Workers("wipe-");
            Assert.Equal(2, first.Length);
            await KillAsync("wipe-");
            wipes = [.. (await _driver.ListAsync(default)).OrderBy(item => item.Id == snapshot.Id).Select(item => item.Path)];
            Assert.Equal(2, Workers("wipe-").ExceptBy(first.Select(process => process.Pid), process => process.Pid).Count());
            await RunAsync("dmsetup", ["suspend", .. wipes]);
        }
        // Now in the middle: both wait for the device they write to, one after the other.
        Assert.True(await Poll.UntilAsync(() => Workers("/dev/mapper").Any(process => process.Name == "blkdiscard"), TimeSpan.FromSeconds(30), default));
        foreach (var process in Workers("wipe-"))
            ProcessTable.Signal(process, Signal.Kill);
        await RunAsync("dmsetup", ["resume", .. wipes]);
        Assert.True(await Poll.UntilAsync(() => Workers("wipe-").Length == 0, TimeSpan.FromSeconds(10), default));
        Assert.True(Read(wipes[0], 128)[(int)(64 * MiB)..].AreAll(0xAC));

        // While somebody has them open they are overwritten all the same, and stay.
        var open = wipes.Select(wipe => Native.Open(wipe, OpenMode.ReadOnly)).ToArray();
        Assert.Equal(2, (await _driver.ListAsync(default)).Count);
        Assert.True(await Poll.UntilAsync(() => Workers("wipe-").Length == 0, TimeSpan.FromSeconds(90), default));
        Assert.All(wipes, wipe => Assert.True(Read(wipe, 128).AreAll(0)));
        Assert.Contains("in use", File.ReadAllText(Path.Combine(folder, "errors")), StringComparison.Ordinal);
        Array.ForEach(open, handle => handle.Dispose());
        await WipedAsync(_driver);
        Assert.Empty(await _driver.ListAsync(default));
        Assert.Equal(-1, (await RawAsync(320)).AsSpan().IndexOfAny(Tenant, (byte)0xAC));
    }

    [Fact(DisplayName = "A wipe keeps its pace, shows how far it is, and goes on where a kill has stopped it")]
    public async Task Paced_wipe()
    {
        await _driver.DestroyPoolAsync(_sink, default);
        _driver = LvmPools.Factory.Open(LvmPools.Factory.Check(_spec with { WipeRate = 8 * MiB }));
        await _driver.CreatePoolAsync(_sink, default);
        var volume = FilePools.Identity("v", 64 * MiB) with { Provisioning = "thick" };
        await _driver.CreateAsync(volume, true, _sink, default);
        Fill(await _driver.ActivateAsync(volume.Id, default), Tenant, 64);
        var began = Environment.TickCount64;
        await _driver.DeleteAsync(volume.Id, default);
        var wipe = Assert.Single(await _driver.ListAsync(default)).Path;
        Assert.True(await Poll.UntilAsync(() => Left() <= 48 * MiB, TimeSpan.FromSeconds(30), default));
        Assert.InRange(Environment.TickCount64 - began, 1_900, 30_000);
        await KillAsync("wipe-");
        Assert.True(await Poll.UntilAsync(() => Workers("wipe-").Length == 0, TimeSpan.FromSeconds(10), default));
        Assert.InRange(Left(), 8 * MiB, 48 * MiB);
        // What it has behind it, it does not do again.
        using (var device = Native.Open(wipe, OpenMode.ReadWrite))
        {
            Native.Write(device, PoolBytes.Block(1), 0, wipe);
            Native.FlushDevice(device, wipe);
        }
        // While it is open it stays, so that it can be looked at.
        using (Native.Open(wipe, OpenMode.ReadOnly))
        {
            Assert.Single(await _driver.ListAsync(default));
            Assert.True(await Poll.UntilAsync(() => Left() == 0, TimeSpan.FromSeconds(60), default));
            var bytes = Read(wipe, 64);
            Assert.True(bytes.AsSpan(0, (int)MiB).SequenceEqual(PoolBytes.Block(1)));
            Assert.True(bytes[(int)MiB..].AreAll(0));
        }
        await WipedAsync(_driver);
        Assert.Equal(0, Left());
        Assert.Empty(Directory.GetFiles(Path.Combine(LvmPools.Root.RunFolder, "wipe"), "*wipe-*"));
    }

    private long Left() => _driver.GetPoolAsync(default).Result.Wiping;

    [Fact(DisplayName = "LP 2045431: where a thin volume has holes, its thick copy has zeros and not what was on the disk")]
    public async Task A_thick_copy_of_holes_is_zeros()
    {
        var (thin, thick) = (FilePools.Identity("thin", 32 * MiB), FilePools.Identity("thick", 48 * MiB) with { Provisioning = "thick" });
        await _driver.CreateAsync(thin, false, _sink, default);
        Fill(await _driver.ActivateAsync(thin.Id, default), Tenant, 1);
        await _driver.CreateFromAsync(thick, thin.Id, true, _sink, default);
        var copy = Read(await _driver.ActivateAsync(thick.Id, default), 48);
        Assert.True(copy[..(int)MiB].AreAll(Tenant));
        Assert.True(copy[(int)MiB..].AreAll(0));
        await _driver.DeleteAsync(thin.Id, default);
        await _driver.DeleteAsync(thick.Id, default);
    }

    private static ProcessEntry[] Workers(string argument) =>
        [.. ProcessTable.FindByArgument(argument).Where(process => process.Name is "flock" or "sh" or "blkdiscard" or "sync" or "sleep" or "lvremove" or "ionice")];

    private static async Task KillAsync(string argument)
    {
        foreach (var process in Workers(argument))
            await ProcessTable.KillAsync(process, TimeSpan.Zero, default);
    }
}
