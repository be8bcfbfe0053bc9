using BlockStorage.Engine.Host;
using BlockStorage.Engine.Tests.Lab;
using BlockStorage.Engine.Volumes;
using BlockStorage.Engine.Volumes.Lvm;

namespace BlockStorage.Engine.Tests.Volumes.Lvm;

/// <summary>Disks that fail, go and come back, and an area of LVM's metadata that is full.</summary>
[Trait("Needs", "Lab")]
[Collection(LabCollection.Name)]
public sealed class LvmPoolFaultTests : IAsyncLifetime
{
    private const long MiB = 1 << 20;
    private readonly RecordingSink _sink = new();
    private readonly FaultyDisk _disk = new(LabCollection.Disks[1]);

    public async Task InitializeAsync()
    {
        await LvmPools.ClearAsync();
        await _disk.CreateAsync();
    }

    public async Task DisposeAsync()
    {
        await _disk.RemoveAsync();
        await LvmPools.AssertNothingLeftAsync();
    }

    [Theory(DisplayName = "Disks that fail are told and lose nothing that was flushed; the pool is started again when they are back, or says what repairs it")]
    [InlineData("error")]
    [InlineData("flakey")]
    public async Task Failing_disks(string kind)
    {
        var driver = LvmPools.Factory.Open(LvmPools.Factory.Check(LvmPools.Spec(128 * MiB) with { Disks = [_disk.Path] }));
        await driver.CreatePoolAsync(_sink, default);
        var volume = FilePools.Identity("v", 64 * MiB);
        await driver.CreateAsync(volume, false, _sink, default);
        var path = await driver.ActivateAsync(volume.Id, default);
        PoolBytes.Write(path, 8);

        await (kind == "error" ? _disk.FailAsync() : _disk.FailWritesAsync());
        using (var handle = Native.Open(path, OpenMode.ReadWrite))
        {
            await FilePools.FailsAsync("IoFailed", async () =>
            {
                await Task.Yield();
                Native.Write(handle, PoolBytes.Block(16), 16 * MiB, path);
                Native.Sync(handle, path);
            });
            if (kind == "error")
            {
                var status = await driver.GetPoolAsync(default);
                Assert.False(status.Usable, status.Health);
                Assert.Matches("disks .* cannot be read", status.Health);
            }
            await Assert.ThrowsAsync<BlockStorageException>(() => driver.CreateAsync(FilePools.Identity("w", MiB), false, _sink, default));
            await _disk.HealAsync();
            // The kernel gives a pool up only where it could not write its metadata.
            if (ThinPool.Find(LvmPools.Group) is not { Works: true })
            {
                // Somebody has a volume open.
                var held = await FilePools.FailsAsync("PoolUnavailable", () => driver.OpenPoolAsync(_sink, default));
                Assert.Contains("in use", held.Message, StringComparison.Ordinal);
                Assert.Contains("Repair-BlockStorage", held.NextStep, StringComparison.Ordinal);
            }
        }
        if (kind == "flakey")
        {
            // What could not be written of its metadata is for LVM's repair; until then it can be read.
            var broken = await FilePools.FailsAsync("PoolUnavailable", () => driver.OpenPoolAsync(_sink, default));
            Assert.Contains("lvconvert --repair", broken.Message, StringComparison.Ordinal);
            PoolBytes.Assert(path, 8);
            return;
        }
        await driver.OpenPoolAsync(_sink, default);
        Assert.Equal("ok", (await driver.GetPoolAsync(default)).Health);
        PoolBytes.Assert(path, 8);
        PoolBytes.Write(path, 24);
        PoolBytes.Assert(path, 24);
        Assert.Equal("ok", await driver.CheckPoolAsync(_sink, default));
        Assert.Equal(volume.Id, Assert.Single(await driver.ListAsync(default)).Id);
        await driver.DeleteAsync(volume.Id, default);
        await driver.DestroyPoolAsync(_sink, default);
    }

    [Fact(DisplayName = "A pool that misses a disk says so, refuses clearly, and works again when the disk is back")]
    public async Task Missing_disk()
    {
        var driver = LvmPools.Factory.Open(LvmPools.Factory.Check(LvmPools.Spec() with { Disks = [LabCollection.Disks[0], _disk.Path] }));
        await driver.CreatePoolAsync(_sink, default);
        var volume = FilePools.Identity("v", 64 * MiB);
        await driver.CreateAsync(volume, false, _sink, default);
        PoolBytes.Write(await driver.ActivateAsync(volume.Id, default), 8);
        await LvmPools.RunAsync("vgchange", "--activate", "n", LvmPools.Group);
        await _disk.TakeAwayAsync();

        var status = await driver.GetPoolAsync(default);
        Assert.Equal((false, "1 of its disks is missing"), (status.Usable, status.Health));
        foreach (var work in new Func<Task>[]
        {
            () => driver.OpenPoolAsync(_sink, default),
            () => driver.CreateAsync(FilePools.Identity("w", MiB), false, _sink, default),
        })
        {
            var error = await FilePools.FailsAsync("PoolUnavailable", work);
            Assert.Contains("missing", error.Message, StringComparison.Ordinal);
        }
        Assert.Equal(volume.Id, Assert.Single(await driver.ListAsync(default)).Id);

        await _disk.CreateAsync();
        await driver.OpenPoolAsync(_sink, default);
        Assert.Equal("ok", (await driver.GetPoolAsync(default)).Health);
        PoolBytes.Assert(await driver.ActivateAsync(volume.Id, default), 8);
        await driver.DeleteAsync(volume.Id, default);
        await driver.DestroyPoolAsync(_sink, default);
    }

    [Fact(DisplayName = "A volume group with little room for LVM's metadata is adopted with a warning and refuses volumes before it is full")]
    public async Task Small_metadata_area()
    {
        var disk = LabCollection.Disks[2];
        await LvmPools.RunAsync("pvcreate", "--metadatasize", "32k", "--dataalignment", "64k", disk);
        await LvmPools.RunAsync("vgcreate", LvmPools.Group, disk);
        var driver = LvmPools.Factory.Open(LvmPools.Factory.Check(LvmPools.Spec(128 * MiB, disks: 0)));
        await driver.CreatePoolAsync(_sink, default);
        Assert.Matches("room for about [0-9]{2} more volumes", Assert.Single(_sink.Lines, line => line.Contains("LVM's metadata", StringComparison.Ordinal)));
        var volume = FilePools.Identity("v", 4 * MiB);
        await driver.CreateAsync(volume, false, _sink, default);
        await LvmPools.RunAsync("vgchange", [.. LvmTags.Add(Enumerable.Range(0, 25).Select(i => $"{i}-{new string('x', 900)}")), LvmPools.Group]);
        Assert.Contains("no more volumes", (await driver.GetPoolAsync(default)).Health, StringComparison.Ordinal);
        await FilePools.FailsAsync("InsufficientSpace", () => driver.CreateAsync(FilePools.Identity("w", MiB), false, _sink, default));
        await FilePools.FailsAsync("InsufficientSpace", () => driver.CreateSnapshotAsync(
            FilePools.Identity("s", volume.Size, BackendKind.Snapshot, volume.Id), _sink, default));
        Assert.Equal(volume.Id, Assert.Single(await driver.ListAsync(default)).Id);
        // What frees room still works.
        await driver.DeleteAsync(volume.Id, default);
        await driver.DestroyPoolAsync(_sink, default);
        await LvmPools.RunAsync("vgremove", LvmPools.Group);
        await LvmPools.RunAsync("pvremove", disk);
    }
}
