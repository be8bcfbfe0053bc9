using BlockStorage.Engine.Connectors;
using BlockStorage.Engine.Connectors.OpenIscsi;
using BlockStorage.Engine.Host;
using BlockStorage.Engine.Targets;
using BlockStorage.Engine.Targets.Lio;
using BlockStorage.Engine.Tests.Lab;
using BlockStorage.Engine.Volumes;
using BlockStorage.Engine.Volumes.Lvm;
using BlockStorage.Services;

namespace BlockStorage.Engine.Tests.Volumes.Lvm;

/// <summary>Thin pools that fill up: watched, grown, refused in time, and nothing lost when they are full all the same.</summary>
[Trait("Needs", "Lab")]
[Collection(LabCollection.Name)]
public sealed class LvmPoolSafetyTests : IAsyncLifetime
{
    private const long MiB = 1 << 20;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private readonly RecordingSink _sink = new();
    private readonly TestFolder _folder = new();

    private static string Disk => LabCollection.Disks[0];

    public Task InitializeAsync() => LvmPools.ClearAsync();

    public async Task DisposeAsync()
    {
        _folder.Dispose();
        await LvmPools.AssertNothingLeftAsync();
        // It has nothing to watch any more, so it goes when it is told to.
        foreach (var pid in Watchers())
            await LvmPools.RunAsync("kill", "-TERM", $"{pid}");
        Assert.True(await Poll.UntilAsync(() => Watchers().Count == 0, Patience, default));
    }

    [Fact(DisplayName = "With no command of ours a pool grows under a writer, and dmeventd has nothing of us (scenario 25: the pool extends)")]
    public async Task It_grows_by_itself()
    {
        var spec = LvmPools.Factory.Check(LvmPools.Spec(128 * MiB));
        var driver = LvmPools.Factory.Open(spec);
        OperationScope.CurrentId = "an-operation";
        await driver.CreatePoolAsync(_sink, default);
        OperationScope.CurrentId = "";
        var watcher = Assert.Single(Watchers());
        Assert.DoesNotContain("BLOCKSTORAGE_OP", await File.ReadAllTextAsync($"/proc/{watcher}/environ"), StringComparison.Ordinal);
        Assert.All(Directory.EnumerateFileSystemEntries($"/proc/{watcher}/fd").Select(fd => new FileInfo(fd).LinkTarget!),
            target => Assert.True(target == "/dev/null" || target == "/dev/mapper/control" || target.StartsWith("/run/dmeventd", StringComparison.Ordinal), target));
        var status = await driver.GetPoolAsync(default);
        Assert.Equal(("ok", false, 0.0), (status.Health, status.IsDegraded, status.DataPercent));
        Assert.InRange(status.MetadataPercent!.Value, 0.01, 15);

        var volume = FilePools.Identity("v", 512 * MiB);
        await driver.CreateAsync(volume, false, _sink, default);
        var path = await driver.ActivateAsync(volume.Id, default);
        using (var handle = Native.Open(path, OpenMode.ReadWrite))
        {
            for (var i = 0; i < 260; i++)
            {
                // A writer that is slower than dmeventd, as one is on a pool that is not tiny.
                Assert.True(await Poll.UntilAsync(() => ThinPool.Find(LvmPools.Group)!.DataUsed < 0.9, Patience, default), $"it does not grow, {i} MiB");
                Native.Write(handle, PoolBytes.Block((byte)i), i * MiB, path);
                Native.Sync(handle, path);
            }
        }
        Assert.InRange(ThinPool.Find(LvmPools.Group)!.Size, 288 * MiB, 1024 * MiB);
        PoolBytes.Assert(path, 260);

        // dmeventd dies and its profile is lost: told, and put right by the next command.
        await LvmPools.RunAsync("kill", "-KILL", $"{watcher}");
        Assert.True(await Poll.UntilAsync(() => Watchers().Count == 0, Patience, default));
        status = await driver.GetPoolAsync(default);
        Assert.Empty(Watchers());
        Assert.True(status is { IsDegraded: true, Usable: true });
        Assert.Contains("lvm2-monitor", status.Health, StringComparison.Ordinal);
        File.Delete(Assert.Single(Directory.EnumerateFiles("/etc/lvm/profile", "blockstorage-*")));
        await driver.OpenPoolAsync(_sink, default);
        Assert.Equal("ok", (await driver.GetPoolAsync(default)).Health);
        Assert.Equal("ok", await driver.CheckPoolAsync(_sink, default));
        await driver.DeleteAsync(volume.Id, default);
        await driver.DestroyPoolAsync(_sink, default);
    }

    [Fact(DisplayName = "A pool that a writer fills through LIO loses nothing, names whose files to check, and works again when it has grown (scenario 25)")]
    public async Task Full_through_LIO()
    {
        var driver = LvmPools.Factory.Open(LvmPools.Factory.Check(LvmPools.Spec(128 * MiB)));
        await driver.CreatePoolAsync(_sink, default);
        await FillGroupAsync();
        var (volume, other) = (FilePools.Identity("victim", 256 * MiB), FilePools.Identity("bystander", 64 * MiB));
        await driver.CreateAsync(volume, false, _sink, default);
        await driver.CreateAsync(other, false, _sink, default);
        var (path, second) = (await driver.ActivateAsync(volume.Id, default), await driver.ActivateAsync(other.Id, default));
        PoolBytes.Write(second, 8);

        var root = new StateRoot(_folder.Path);
        ITargetDriver targets = new LioTargetDriver(root, new CommandRunner());
        IConnector connector = new OpenIscsiConnector(root, new CommandRunner());
        const string host = "iqn.2026-01.org.example:host1", iqn = "iqn.2026-01.org.example:full";
        var chap = new ChapCredential("user1", "canary-sEcret-5");
        var portal = await targets.ChoosePortalAsync("127.0.0.1", 3262, default);
        var export = new ExportSpec(volume.Id, iqn, [portal], new LunSpec(1, path, false, LvmNames.Hex(volume.Id)), [new GrantSpec(host, chap)], null);
        await targets.PublishAsync(export, _sink, default);
        var device = await connector.ConnectAsync(new ConnectionInfo(volume.Id, "iscsi", portal, iqn, 1, host, chap, null, export.Lun!.Serial,
            volume.Size, false, "", TimeSpan.FromSeconds(30)), _sink, default);
        var flushed = 0;
        try
        {
            using (var handle = Native.Open(device.DevicePath, OpenMode.ReadWrite))
            {
                var error = await Assert.ThrowsAsync<BlockStorageException>(async () =>
                {
                    await Task.Yield();
                    for (; flushed < 256; flushed++)
                    {
                        Native.Write(handle, PoolBytes.Block((byte)flushed), flushed * MiB, device.DevicePath);
                        Native.Sync(handle, device.DevicePath);
                    }
                });
                Assert.Contains(Errno.NumberOf(error), new[] { Errno.Io, Errno.NoSpace });
            }
            Assert.InRange(flushed, 100, 120);
            PoolBytes.Assert(device.DevicePath, flushed);
            PoolBytes.Assert(path, flushed);
            // What has its blocks can still be written.
            PoolBytes.Write(second, 8);
            PoolBytes.Assert(second, 8);
            var full = await driver.GetPoolAsync(default);
            Assert.Contains("full", full.Health, StringComparison.Ordinal);
            Assert.Contains("bystander, victim", full.Health, StringComparison.Ordinal);
            Assert.True(full.Usable);
            Assert.InRange(full.DataPercent!.Value, 99, 100);
            foreach (var work in new Func<Task>[]
            {
                () => driver.CreateAsync(FilePools.Identity("w", MiB), false, _sink, default),
                () => driver.CreateFromAsync(FilePools.Identity("w", other.Size), other.Id, false, _sink, default),
                () => driver.CreateSnapshotAsync(FilePools.Identity("s", other.Size, BackendKind.Snapshot, other.Id), _sink, default),
                () => driver.ResizeAsync(other.Id, 128 * MiB, false, default),
            })
            {
                var refused = await FilePools.FailsAsync("InsufficientSpace", work);
                Assert.Contains("vgextend", refused.NextStep, StringComparison.Ordinal);
            }
            Assert.Equal(2, (await driver.ListAsync(default)).Count(item => item.Kind == BackendKind.Volume));

            await LvmPools.RunAsync("lvremove", "--yes", $"{LvmPools.Group}/filler");
            var told = new RecordingSink();
            var isFull = ThinPool.Find(LvmPools.Group)!.IsFull;
            // Four fifths of what it has now, so that it needs no second growth.
            for (var i = 0; i < 3; i++)
                await driver.OpenPoolAsync(told, default);
            // dmeventd may have been first.
            Assert.Equal(isFull, told.Lines.Any(line => line.Contains("check their file systems: bystander, victim", StringComparison.Ordinal)));
            using (var handle = Native.Open(device.DevicePath, OpenMode.ReadWrite))
            {
                for (var i = flushed; i < flushed + 20; i++)
                {
                    Native.Write(handle, PoolBytes.Block((byte)i), i * MiB, device.DevicePath);
                    Native.Sync(handle, device.DevicePath);
                }
            }
            PoolBytes.Assert(device.DevicePath, flushed + 20);
            Assert.Equal("ok", await driver.CheckPoolAsync(_sink, default));
        }
        finally
        {
            await connector.DisconnectAsync(volume.Id, true, default);
            await targets.UnpublishAsync(iqn, true, default);
        }
        PoolBytes.Assert(path, flushed + 20);
        await DestroyAsync(driver);
    }

    [Fact(DisplayName = "Metadata grows by itself; where it cannot, snapshots stop before it is exhausted and thin_check finds nothing (scenario 26)")]
    public async Task Metadata_is_guarded()
    {
        var spec = LvmPools.Spec();
        await LvmPools.RunAsync("vgcreate", ["--physicalextentsize", "1m", "--metadatasize", "64m",
            .. LvmTags.Add([LvmTags.MadeGroup, .. LvmTags.Of(spec)]), LvmPools.Group, Disk]);
        await LvmPools.RunAsync("lvcreate", "--yes", "--thin", "--size", "1g", "--chunksize", "64k", "--poolmetadatasize", "2m", "--errorwhenfull", "y",
            "--thinpool", LvmNames.Pool, LvmPools.Group);
        var driver = LvmPools.Factory.Open(spec);
        await driver.CreatePoolAsync(_sink, default);
        Assert.Equal("ok", (await driver.GetPoolAsync(default)).Health);
        var volume = FilePools.Identity("v", 512 * MiB);
        await driver.CreateAsync(volume, false, _sink, default);
        var path = await driver.ActivateAsync(volume.Id, default);
        PoolBytes.Write(path, 512);
        // Each snapshot makes the next write to a leaf of the map copy that leaf.
        var snapshots = new List<ObjectIdentity>();
        async Task TakeAsync()
        {
            var snapshot = FilePools.Identity($"s{snapshots.Count}", volume.Size, BackendKind.Snapshot, volume.Id);
            await driver.CreateSnapshotAsync(snapshot, _sink, default);
            snapshots.Add(snapshot);
            using var handle = Native.Open(path, OpenMode.ReadWrite);
            for (var i = 0; i < 512; i += 4)
                Native.Write(handle, PoolBytes.Block((byte)i).AsSpan(0, 4096), i * MiB, path);
            Native.Sync(handle, path);
        }
        long MetadataSize() => Native.FindMapped(LvmNames.Mapped(LvmPools.Group, LvmNames.PoolMetadata))!.Size;
        while (ThinPool.Find(LvmPools.Group)!.MetadataUsed < 0.72 && snapshots.Count < 20)
            await TakeAsync();
        Assert.True(await Poll.UntilAsync(() => MetadataSize() > 2 * MiB, Patience, default), "its metadata does not grow by itself");

        await FillGroupAsync();
        BlockStorageException? refused = null;
        while (refused is null && snapshots.Count < 60)
        {
            try
            {
                await TakeAsync();
            }
            catch (BlockStorageException error)
            {
                refused = error;
            }
        }
        Assert.Equal(BlockErrors.InsufficientSpace, refused!.Error);
        Assert.Contains("metadata", refused.Message, StringComparison.Ordinal);
        var thin = ThinPool.Find(LvmPools.Group)!;
        Assert.Equal("", thin.Trouble);
        Assert.InRange(thin.MetadataUsed, 0.75, 0.98);
        // As after a kill in the middle of an earlier check.
        await LvmPools.RunAsync("dmsetup", "message", ThinPool.Device(LvmPools.Group), "0", "reserve_metadata_snap");
        Assert.Equal("ok", await driver.CheckPoolAsync(_sink, default));
        Assert.False(ThinPool.Find(LvmPools.Group)!.HasSnapshot);
        PoolBytes.Write(path, 4);
        PoolBytes.Assert(path, 512);

        await LvmPools.RunAsync("lvremove", "--yes", $"{LvmPools.Group}/filler");
        await driver.OpenPoolAsync(_sink, default);
        Assert.InRange(ThinPool.Find(LvmPools.Group)!.MetadataUsed, 0.01, 0.5);
        await TakeAsync();
        Assert.Equal(snapshots.Count + 1, (await driver.ListAsync(default)).Count);
        // Whole, while it is not active; then also as after a kill in the middle of that.
        await LvmPools.RunAsync("vgchange", "--activate", "n", LvmPools.Group);
        Assert.Equal("ok", await driver.CheckPoolAsync(_sink, default));
        await LvmPools.RunAsync("lvchange", "--yes", "--activate", "y", $"{LvmPools.Group}/{LvmNames.PoolMetadata}");
        await driver.OpenPoolAsync(_sink, default);
        Assert.Equal("ok", (await driver.GetPoolAsync(default)).Health);
        await DestroyAsync(driver);
        await LvmPools.RunAsync("pvremove", Disk);
    }

    private static List<int> Watchers() =>
        [.. ProcessTable.Ids().Where(pid => ProcessTable.Get(pid)?.Name == "dmeventd")];

    /// <summary>Leaves the group no room to grow the pool.</summary>
    private static Task FillGroupAsync() => LvmPools.RunAsync("lvcreate", "--yes", "--extents", "100%FREE", "--name", "filler", LvmPools.Group);

    private async Task DestroyAsync(IVolumeDriver driver)
    {
        foreach (var item in (await driver.ListAsync(default)).OrderBy(item => item.Kind == BackendKind.Volume))
            await driver.DeleteAsync(item.Id, default);
        await driver.DestroyPoolAsync(_sink, default);
    }
}
