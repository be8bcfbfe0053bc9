using System.Diagnostics;
using BlockStorage.Engine.Host;
using BlockStorage.Engine.Tests.Lab;
using BlockStorage.Engine.Volumes;
using BlockStorage.Engine.Volumes.Lvm;
using BlockStorage.Services;
using static BlockStorage.Engine.Tests.Volumes.Lvm.LvmPools;

namespace BlockStorage.Engine.Tests.Volumes.Lvm;

/// <summary>What only LVM has: thick volumes beside thin ones on disks that others have written to, and kills between its steps.</summary>
[Trait("Needs", "Lab")]
[Collection(LabCollection.Name)]
public sealed class LvmVolumeTests : IAsyncLifetime
{
    private const long MiB = 1 << 20;
    private const byte Old = 0xEE;
    private readonly PoolSpec _spec = LvmPools.Spec(192 * MiB);
    private readonly RecordingSink _sink = new();
    private IVolumeDriver _driver = null!;

    public async Task InitializeAsync()
    {
        await LvmPools.ClearAsync();
        _driver = LvmPools.Factory.Open(LvmPools.Factory.Check(_spec));
        await _driver.CreatePoolAsync(_sink, default);
    }

    public async Task DisposeAsync()
    {
        foreach (var kind in new[] { BackendKind.Snapshot, BackendKind.Partial, BackendKind.Volume })
        {
            foreach (var item in (await _driver.ListAsync(default)).Where(item => item.Kind == kind))
                await _driver.DeleteAsync(item.Id, default);
        }
        await _driver.DestroyPoolAsync(_sink, default);
        await LvmPools.AssertNothingLeftAsync();
    }

    [Fact]
    public async Task Nobody_reads_what_was_on_the_disk_before_and_nothing_stays_behind()
    {
        // Everything that is to be seen of the disk was somebody else's.
        await _driver.DestroyPoolAsync(_sink, default);
        Fill(LabCollection.Disks[0], Old, 512);
        await _driver.CreatePoolAsync(_sink, default);
        Assert.True((await RawAsync(64)).Has(Old));
        var thick = await CreateAsync("thick", 64 * MiB, thick: true);
        var path = await _driver.ActivateAsync(thick.Id, default);
        Assert.True(Read(path, 64).AreAll(0));
        await _driver.ResizeAsync(thick.Id, 128 * MiB, true, default);
        Assert.True(Read(path, 128).AreAll(0));
        Fill(path, 0xAB, 128);
        await _driver.DeleteAsync(thick.Id, default);
        await LvmPools.WipedAsync(_driver);
        Assert.False((await RawAsync(160)).Has(0xAB));

        var thin = await CreateAsync("thin", 16 * MiB);
        path = await _driver.ActivateAsync(thin.Id, default);
        using (var handle = Native.Open(path, OpenMode.ReadWrite))
        {
            for (var i = 0; i < 16; i++)
                Native.Write(handle, new byte[] { 1 }, i * MiB + 5000, path);
            Native.Sync(handle, path);
        }
        Assert.Equal(16, (16 * MiB) - Read(path, 16).CountOf(0));
    }

    [Fact(DisplayName = "Scenario 17: a snapshot of a thick volume outlives a full rewrite, gives it back, and keeps it from growing")]
    public async Task A_snapshot_of_a_thick_volume_outlives_a_full_rewrite_and_gives_it_back()
    {
        var volume = await CreateAsync("db", 48 * MiB, thick: true);
        var path = await _driver.ActivateAsync(volume.Id, default);
        Fill(path, 1, 48);
        var snapshot = FilePools.Identity("s", volume.Size, BackendKind.Snapshot, volume.Id);
        await _driver.CreateSnapshotAsync(snapshot, _sink, default);
        await _driver.CreateSnapshotAsync(snapshot, _sink, default);
        Fill(path, 2, 48);
        var before = await _driver.ActivateAsync(snapshot.Id, default);
        Assert.True(Read(before, 48).AreAll(1));
        Assert.Equal("ok", (await _driver.FindAsync(snapshot.Id, default))!.Health);
        Assert.Equal(48 * MiB, await _driver.GetCopyCostAsync(snapshot.Id, default));
        await FilePools.FailsAsync("SnapshotDependency", () => _driver.ResizeAsync(volume.Id, 64 * MiB, true, default));
        await FilePools.FailsAsync("SnapshotDependency", () => _driver.DeleteAsync(volume.Id, default));

        var (thick, thin) = (FilePools.Identity("c1", 64 * MiB), FilePools.Identity("c2", 48 * MiB));
        await _driver.CreateFromAsync(thick, volume.Id, true, _sink, default);
        await _driver.CreateFromAsync(thin, snapshot.Id, false, _sink, default);
        Assert.True(Read(await _driver.ActivateAsync(thick.Id, default), 48).AreAll(2));
        Assert.True(Read(await _driver.ActivateAsync(thick.Id, default), 64)[(int)(48 * MiB)..].AreAll(0));
        Assert.True(Read(await _driver.ActivateAsync(thin.Id, default), 48).AreAll(1));

        for (var i = 0; i < 2; i++)
        {
            await _driver.RevertAsync(volume.Id, snapshot.Id, _sink, default);
            Assert.True(Read(path, 48).AreAll(1));
            Fill(path, 3, 48);
        }
        Assert.True(Read(await _driver.ActivateAsync(snapshot.Id, default), 48).AreAll(1));
        Assert.Equivalent(snapshot, await _driver.ReadIdentityAsync(snapshot.Id, default));
        Assert.Equal(4, (await _driver.ListAsync(default)).Count);
    }

    [Fact]
    public async Task A_revert_is_refused_while_something_has_the_device_open()
    {
        var (volume, snapshot) = await WithSnapshotAsync();
        using (Native.Open(await _driver.ActivateAsync(volume.Id, default), OpenMode.ReadOnly))
        {
            await FilePools.FailsAsync("DeviceInUse", () => _driver.RevertAsync(volume.Id, snapshot.Id, _sink, default));
            await FilePools.FailsAsync("DeviceInUse", () => _driver.DeleteAsync(volume.Id, default));
        }
        Assert.Equal(2, (await _driver.ListAsync(default)).Count);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    public async Task A_revert_that_was_killed_is_finished_or_undone(int step)
    {
        var (volume, snapshot) = await WithSnapshotAsync();
        var path = await _driver.ActivateAsync(volume.Id, default);
        var (own, keep) = ($"{LvmPools.Group}/{LvmNames.Snapshot(snapshot.Id)}", LvmNames.Keep(snapshot.Id));
        await LvmPools.RunAsync("lvcreate", ["--snapshot", "--permission", "r", "--name", keep, .. LvmTags.Add(LvmTags.Of(snapshot)), own]);
        if (step == 1)
            await LvmPools.RunAsync("lvconvert", "--yes", "--merge", own);
        if (step == 2)
        {
            // An opener: LVM says it is done and has not begun.
            using var opener = Native.Open(path, OpenMode.ReadOnly);
            await LvmPools.RunAsync("lvconvert", "--yes", "--merge", own);
            Assert.True(Read(path, 8).AreAll(2));
        }
        Assert.Equal(2, (await _driver.ListAsync(default)).DistinctBy(item => item.Id).Count());
        await _driver.CleanAsync(volume.Id, default);
        Assert.True(Read(await _driver.ActivateAsync(volume.Id, default), 8).AreAll((byte)(step == 0 ? 2 : 1)));
        Assert.True(Read(await _driver.ActivateAsync(snapshot.Id, default), 8).AreAll(1));
        var list = await _driver.ListAsync(default);
        Assert.Equal([BackendKind.Volume, BackendKind.Snapshot], list.Select(item => item.Kind).Order());
        await _driver.RevertAsync(volume.Id, snapshot.Id, _sink, default);
        Assert.True(Read(await _driver.ActivateAsync(volume.Id, default), 8).AreAll(1));
        Assert.Equivalent(snapshot, await _driver.ReadIdentityAsync(snapshot.Id, default));
    }

    [Theory(DisplayName = "Scenario 19: a thick revert that was killed is all old or all new, and the snapshot stays")]
    [InlineData("kept")]
    [InlineData("written down")]
    [InlineData("killed")]
    [InlineData("merged")]
    public async Task A_thick_revert_that_was_killed_is_finished_or_undone(string step)
    {
        var volume = await CreateAsync("db", 16 * MiB, thick: true);
        var path = await _driver.ActivateAsync(volume.Id, default);
        Fill(path, 1, 16);
        var snapshot = FilePools.Identity("s", volume.Size, BackendKind.Snapshot, volume.Id);
        await _driver.CreateSnapshotAsync(snapshot, _sink, default);
        Fill(path, 2, 16);
        var own = $"{Group}/{LvmNames.Snapshot(snapshot.Id)}";
        await RunAsync("lvcreate", ["--type", "thin", "--virtualsize", "1m", "--name", LvmNames.Keep(snapshot.Id), .. LvmTags.Add(LvmTags.Of(snapshot)),
            "--thinpool", LvmNames.Pool, Group]);
        if (step == "written down")
        {
            // An opener: LVM has written the merge down and the kernel has not begun; then nothing goes on any more.
            using (Native.Open(path, OpenMode.ReadOnly))
                await RunAsync("lvconvert", "--yes", "--merge", own);
            await RunAsync("dmsetup", "suspend", path);
        }
        if (step == "killed")
        {
            var killer = new Killer { Delay = 900 };
            await AttemptAsync(() => killer.RunAsync(new Command("lvconvert", ["--yes", "--merge", "--background", own], TimeSpan.FromMinutes(1)), _sink, default));
        }
        if (step == "merged")
            await RunAsync("lvconvert", "--yes", "--merge", own);
        await _driver.CleanAsync(volume.Id, default);
        var now = Read(await _driver.ActivateAsync(volume.Id, default), 16);
        Assert.True(now.AreAll(now[0]));
        Assert.Contains(now[0], step switch { "kept" => [2], "killed" => [1, 2], _ => new byte[] { 1 } });
        Assert.True(Read(await _driver.ActivateAsync(snapshot.Id, default), 16).AreAll(1));
        Assert.Equal([(BackendKind.Volume, "ok"), (BackendKind.Snapshot, "ok")],
            (await _driver.ListAsync(default)).OrderBy(item => item.Kind).Select(item => (item.Kind, item.Health)));
        Assert.Equivalent(snapshot, await _driver.ReadIdentityAsync(snapshot.Id, default));
    }

    [Fact]
    public async Task What_a_crash_left_suspended_is_resumed()
    {
        var (volume, snapshot) = await WithSnapshotAsync();
        var thick = await CreateAsync("thick", 8 * MiB, thick: true);
        await _driver.CreateSnapshotAsync(FilePools.Identity("ts", thick.Size, BackendKind.Snapshot, thick.Id), _sink, default);
        await _driver.ActivateAsync(snapshot.Id, default);
        string Mapped(string name) => LvmNames.Mapped(Group, name);
        var (thin, origin) = (Mapped(LvmNames.Volume(volume.Id)), Mapped(LvmNames.Volume(thick.Id)));
        foreach (var left in new[] { [thin], [origin], [origin, $"{origin}-real"], new[] { thin, $"{Mapped(LvmNames.Pool)}-tpool" } })
        {
            foreach (var device in left)
                await RunAsync("dmsetup", "suspend", "--noflush", "--nolockfs", device);
            await _driver.CleanAsync(volume.Id, default);
            Assert.All(left, device => Assert.False(Native.FindMapped(device)!.Suspended));
            Assert.True(Read($"/dev/mapper/{thin}", 8).AreAll(2));
        }
        await RunAsync("dmsetup", "suspend", thin);
        Assert.StartsWith("suspended", (await _driver.FindAsync(volume.Id, default))!.Health, StringComparison.Ordinal);
        Assert.True(Read(await _driver.ActivateAsync(volume.Id, default), 8).AreAll(2));
        await RunAsync("dmsetup", "suspend", thin);
        await _driver.DeleteAsync(volume.Id, default);
        Assert.Null(await _driver.FindAsync(volume.Id, default));
    }

    [Fact(DisplayName = "LP 1270192: an opener of a moment does not stop a removal, one that stays is named and nothing is half removed")]
    public async Task Removing_waits_for_openers_and_names_those_that_stay()
    {
        var volume = await CreateAsync("v", 8 * MiB);
        var path = await _driver.ActivateAsync(volume.Id, default);
        Fill(path, 7, 8);
        // It comes between our own look and LVM's.
        var opener = new Opener(path, TimeSpan.FromSeconds(60));
        var error = await FilePools.FailsAsync("DeviceInUse", () => new LvmVolumeDriverFactory(LvmPools.Root, opener).Open(_spec).DeleteAsync(volume.Id, default));
        Assert.Contains($"process {opener.Pid} (sleep)", error.Message, StringComparison.Ordinal);
        opener.Dispose();
        var found = (await _driver.FindAsync(volume.Id, default))!;
        Assert.Equal(("ok", volume.Name), (found.Health, found.Identity!.Name));
        Assert.True(Read(path, 8).AreAll(7));
        using (opener = new Opener(path, TimeSpan.FromSeconds(2)))
            await new LvmVolumeDriverFactory(LvmPools.Root, opener).Open(_spec).DeleteAsync(volume.Id, default);
        Assert.Empty(await _driver.ListAsync(default));
    }

    [Fact(DisplayName = "Scenario 12 and the skip flag of thin snapshots: after a start of the machine origin, clone and snapshot are there")]
    public async Task A_start_of_the_machine_activates_what_is_in_use()
    {
        var (volume, snapshot) = await WithSnapshotAsync();
        var clone = FilePools.Identity("c", 8 * MiB);
        await _driver.CreateFromAsync(clone, snapshot.Id, false, _sink, default);
        await RunAsync("vgchange", "--activate", "n", Group);
        await RunAsync("vgchange", "--activate", "ay", Group);
        Assert.Null(Native.FindMapped(LvmNames.Mapped(Group, LvmNames.Snapshot(snapshot.Id))));
        Assert.NotNull(Native.FindMapped(LvmNames.Mapped(Group, LvmNames.Volume(clone.Id))));
        Fill(await _driver.ActivateAsync(clone.Id, default), 3, 4);
        Assert.True(Read(await _driver.ActivateAsync(volume.Id, default), 8).AreAll(2));
        Assert.True(Read(await _driver.ActivateAsync(snapshot.Id, default), 8).AreAll(1));
        Assert.Equal([3, 1], new[] { 0, 7 }.Select(at => (int)Read(PathOf(clone), 8)[at * MiB]));
    }

    [Fact]
    public async Task Killed_at_any_moment_it_is_done_again_or_removed()
    {
        var killer = new Killer();
        var driver = LvmPools.Factory.Open(_spec);
        var victim = new LvmVolumeDriverFactory(LvmPools.Root, killer).Open(_spec);
        for (var round = 0; round < 5; round++)
        {
            killer.Delay = 60 + 210 * round;
            var (volume, copy) = (FilePools.Identity("v", 8 * MiB), FilePools.Identity("c", 16 * MiB));
            await AttemptAsync(() => victim.CreateAsync(volume, round % 2 == 1, _sink, default));
            await driver.CreateAsync(volume, round % 2 == 1, _sink, default);
            Assert.True(Read(await driver.ActivateAsync(volume.Id, default), 8).AreAll(0));
            await AttemptAsync(() => victim.CreateFromAsync(copy, volume.Id, false, _sink, default));
            await driver.CreateFromAsync(copy, volume.Id, false, _sink, default);
            Assert.Equal(16 * MiB, (await driver.FindAsync(copy.Id, default))!.Size);
            Assert.True(Read(await driver.ActivateAsync(copy.Id, default), 16).AreAll(0));
            foreach (var id in new[] { copy.Id, volume.Id })
            {
                await AttemptAsync(() => victim.DeleteAsync(id, default));
                await driver.DeleteAsync(id, default);
            }
            await LvmPools.WipedAsync(driver);
            Assert.Empty(await driver.ListAsync(default));
        }
        Assert.InRange(killer.Kills, 6, 20);
    }

    private static string PathOf(ObjectIdentity volume) => $"/dev/mapper/{LvmNames.Mapped(Group, LvmNames.Volume(volume.Id))}";

    private static async Task AttemptAsync(Func<Task> work)
    {
        try
        {
            await work();
        }
        catch (BlockStorageException)
        {
            // It was killed.
        }
    }

    private async Task<(ObjectIdentity Volume, ObjectIdentity Snapshot)> WithSnapshotAsync()
    {
        var volume = await CreateAsync("db", 8 * MiB);
        var path = await _driver.ActivateAsync(volume.Id, default);
        Fill(path, 1, 8);
        var snapshot = FilePools.Identity("s", volume.Size, BackendKind.Snapshot, volume.Id);
        await _driver.CreateSnapshotAsync(snapshot, _sink, default);
        Fill(path, 2, 8);
        return (volume, snapshot);
    }

    private async Task<ObjectIdentity> CreateAsync(string name, long size, bool thick = false)
    {
        var identity = FilePools.Identity(name, size) with { Provisioning = thick ? "thick" : "thin" };
        await _driver.CreateAsync(identity, thick, _sink, default);
        return identity;
    }

    /// <summary>Another process has the device open while LVM removes it.</summary>
    private sealed class Opener(string path, TimeSpan time) : ICommandRunner, IDisposable
    {
        private readonly CommandRunner _inner = new();
        private Process? _process;

        public int Pid => _process!.Id;

        public string? Find(string program) => _inner.Find(program);

        public Task<CommandResult> RunAsync(Command command, IWorkSink sink, CancellationToken cancel)
        {
            if (command.Program == "lvremove")
            {
                // bash opens it and becomes sleep.
                _process = Process.Start("/bin/bash", ["-c", $"exec sleep {time.TotalSeconds} <'{path}'"]);
                Assert.True(Poll.UntilAsync(() => ProcessTable.Get(Pid)?.Name == "sleep", TimeSpan.FromSeconds(10), default).Result);
            }
            return _inner.RunAsync(command, sink, cancel);
        }

        public void Dispose()
        {
            _process!.Kill();
            _process.WaitForExit();
            _process.Dispose();
        }
    }

    /// <summary>Kills each changing command after a while, as a power cut would.</summary>
    private sealed class Killer : ICommandRunner
    {
        private readonly CommandRunner _inner = new();

        public int Delay { get; set; }

        public int Kills { get; private set; }

        public string? Find(string program) => _inner.Find(program);

        public async Task<CommandResult> RunAsync(Command command, IWorkSink sink, CancellationToken cancel)
        {
            if (!command.Mutates)
                return await _inner.RunAsync(command, sink, cancel);
            using var process = Process.Start(new ProcessStartInfo(Find(command.Program)!, command.Arguments) { RedirectStandardError = true, RedirectStandardOutput = true })!;
            using var limit = new CancellationTokenSource(Delay);
            try
            {
                await process.WaitForExitAsync(limit.Token);
            }
            catch (OperationCanceledException)
            {
                process.Kill();
                await process.WaitForExitAsync(default);
                Kills++;
                throw new BlockStorageException(BlockErrors.ToolTimeout, "Killed.", command.Program);
            }
            return new CommandResult(process.ExitCode, await process.StandardOutput.ReadToEndAsync(default), await process.StandardError.ReadToEndAsync(default));
        }
    }
}
