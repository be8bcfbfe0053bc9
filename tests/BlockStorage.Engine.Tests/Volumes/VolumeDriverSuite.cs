using BlockStorage.Engine.Host;
using BlockStorage.Engine.Volumes;

namespace BlockStorage.Engine.Tests.Volumes;

/// <summary>What every volume driver must do. A new driver is finished when this is green for it.</summary>
public abstract class VolumeDriverSuite : IAsyncLifetime
{
    private const long MiB = 1 << 20;
    private readonly RecordingSink _sink = new();
    private IVolumeDriver _driver = null!;

    protected TestFolder Folder { get; } = new();

    /// <summary>Whether snapshots in this pool share extents.</summary>
    protected abstract bool Shares { get; }

    public async Task InitializeAsync()
    {
        _driver = (IVolumeDriver)await OpenAsync();
        await _driver.CreatePoolAsync(_sink, default);
    }

    public async Task DisposeAsync()
    {
        foreach (var item in await _driver.ListAsync(default))
            await _driver.DeleteAsync(item.Id, default);
        await _driver.DestroyPoolAsync(_sink, default);
        await _driver.DestroyPoolAsync(_sink, default);
        await CloseAsync();
        Folder.Dispose();
    }

    /// <summary>Gives a driver (IVolumeDriver, which is internal) for a pool of at least 300 MiB that is not made yet.</summary>
    protected abstract Task<object> OpenAsync();

    /// <summary>Takes down what OpenAsync has put up.</summary>
    protected abstract Task CloseAsync();

    /// <summary>A volume stays thin or thick for life, and grows as what it is.</summary>
    protected virtual bool ProvisioningIsFixed => false;

    /// <summary>A snapshot has writes in the order they were made; of a device, whose writes lie in memory first, only flushed ones.</summary>
    protected virtual bool KeepsOrderUnflushed => true;

    /// <summary>Asserts who may write: the owner or nobody.</summary>
    protected virtual void AssertWritable(string path, bool writable) => Assert.Equal(
        writable ? UnixFileMode.UserRead | UnixFileMode.UserWrite : UnixFileMode.UserRead, File.GetUnixFileMode(path));

    [RootFact]
    public void Capabilities_are_true_of_the_file_system()
    {
        Assert.Equal(Shares, _driver.Capabilities.SharesExtents);
        Assert.Equal(Shares, _driver.Capabilities.OnlineSnapshot);
        Assert.True(_driver.Capabilities is { Thin: true, Thick: true, Resize: true, Revert: true });
    }

    [RootFact]
    public async Task A_thin_volume_reads_zeros_keeps_bytes_and_takes_what_is_written()
    {
        var volume = await CreateAsync("thin", 64 * MiB);
        var path = await _driver.ActivateAsync(volume.Id, default);
        Assert.True(Read(path, 0, 64 * MiB).AreAll(0));
        Assert.Equal(0, (await FindAsync(volume.Id)).Used);

        Write(path, 5 * MiB, 0xA5, MiB);
        var found = await FindAsync(volume.Id);
        Assert.Equal((64 * MiB, BackendKind.Volume, "ok", path), (found.Size, found.Kind, found.Health, found.Path));
        Assert.InRange(found.Used!.Value, MiB, 4 * MiB);
        Assert.Equivalent(volume, found.Identity);
        Assert.True(Read(path, 5 * MiB, MiB).AreAll(0xA5));
        AssertWritable(path, writable: true);
    }

    [RootFact]
    public async Task Making_it_again_changes_nothing()
    {
        var volume = await CreateAsync("again", MiB);
        var path = await _driver.ActivateAsync(volume.Id, default);
        Write(path, 0, 0x11, 4096);
        await _driver.CreateAsync(volume, thick: false, _sink, default);
        Assert.True(Read(path, 0, 4096).AreAll(0x11));
        Assert.Single(await _driver.ListAsync(default));
    }

    [RootFact]
    public async Task A_thick_volume_has_its_space_from_the_start_and_reads_zeros()
    {
        var before = (await _driver.GetPoolAsync(default)).Free;
        var volume = await CreateAsync("thick", 64 * MiB, thick: true);
        var found = await FindAsync(volume.Id);
        Assert.InRange(found.Used!.Value, 64 * MiB, 66 * MiB);
        Assert.InRange(before - (await _driver.GetPoolAsync(default)).Free, 64 * MiB, 80 * MiB);
        Assert.True(Read(found.Path, 0, 64 * MiB).AreAll(0));
    }

    [RootFact]
    public async Task A_snapshot_is_one_moment_and_cannot_be_written_by_mistake()
    {
        var volume = await CreateAsync("db", 16 * MiB);
        var path = await _driver.ActivateAsync(volume.Id, default);
        Write(path, 3 * MiB, 0x01, MiB);
        var snapshot = await SnapshotAsync(volume);
        Write(path, 3 * MiB, 0x02, MiB);
        Write(path, 9 * MiB, 0x03, MiB);

        var found = await FindAsync(snapshot.Id);
        Assert.Equal((BackendKind.Snapshot, 16 * MiB, volume.Id), (found.Kind, found.Size, found.Identity!.OriginId));
        Assert.Equal(found.Path, await _driver.ActivateAsync(snapshot.Id, default));
        AssertWritable(found.Path, writable: false);
        Assert.True(Read(found.Path, 3 * MiB, MiB).AreAll(0x01));
        Assert.True(Read(found.Path, 9 * MiB, MiB).AreAll(0));
        Assert.True(Read(path, 3 * MiB, MiB).AreAll(0x02));
        Assert.Equal(Shares ? 0 : Native.Stat(found.Path)!.Value.Allocated, await _driver.GetCopyCostAsync(snapshot.Id, default));
    }

    [RootFact(DisplayName = "Scenario 14: a snapshot or clone under a writer is one moment, where the driver says so")]
    public async Task A_snapshot_under_a_writer_is_never_torn_where_the_driver_says_so()
    {
        if (!_driver.Capabilities.OnlineSnapshot)
        {
            Assert.False(Shares);
            return;
        }
        var volume = await CreateAsync("live", 8 * MiB);
        var path = await _driver.ActivateAsync(volume.Id, default);
        using var stop = new CancellationTokenSource();
        var writer = Task.Run(() =>
        {
            using var handle = Native.Open(path, OpenMode.ReadWrite);
            for (var round = 1; !stop.IsCancellationRequested; round++)
            {
                foreach (var offset in new[] { 0, 7 * MiB })
                {
                    Native.Write(handle, BitConverter.GetBytes(round), offset, path);
                    if (!KeepsOrderUnflushed)
                        Native.Sync(handle, path);
                }
            }
        });
        try
        {
            for (var i = 0; i < 15; i++)
            {
                var clone = Identity($"c{i}", 8 * MiB);
                if (i < 3)
                    await _driver.CreateFromAsync(clone, volume.Id, thick: false, _sink, default);
                var copy = await _driver.ActivateAsync(i < 3 ? clone.Id : (await SnapshotAsync(volume)).Id, default);
                var (first, second) = (BitConverter.ToInt32(Read(copy, 0, 4)), BitConverter.ToInt32(Read(copy, 7 * MiB, 4)));
                Assert.InRange(first - second, 0, 1);
            }
        }
        finally
        {
            await stop.CancelAsync();
            await writer;
        }
    }

    [RootFact(DisplayName = "Scenarios 12 and 13: a clone is independent, may be larger and not smaller, and outlives its source")]
    public async Task A_clone_is_independent_may_be_larger_and_outlives_its_source()
    {
        var volume = await CreateAsync("origin", 16 * MiB);
        var path = await _driver.ActivateAsync(volume.Id, default);
        Write(path, 0, 0x0A, 2 * MiB);
        var snapshot = await SnapshotAsync(volume);
        var fromSnapshot = Identity("c1", 32 * MiB);
        var fromVolume = Identity("c2", 16 * MiB);
        await _driver.CreateFromAsync(fromSnapshot, snapshot.Id, thick: false, _sink, default);
        await _driver.CreateFromAsync(fromVolume, volume.Id, thick: true, _sink, default);
        var (first, second) = (await FindAsync(fromSnapshot.Id), await FindAsync(fromVolume.Id));
        Assert.Equal((32 * MiB, 16 * MiB), (first.Size, second.Size));
        Assert.True(second.Used >= 16 * MiB);

        Write(first.Path, 0, 0x0B, MiB);
        Assert.True(Read(path, 0, 2 * MiB).AreAll(0x0A));
        await _driver.DeleteAsync(snapshot.Id, default);
        await _driver.DeleteAsync(volume.Id, default);
        Assert.True(Read(first.Path, 0, MiB).AreAll(0x0B));
        Assert.True(Read(first.Path, MiB, MiB).AreAll(0x0A));
        Assert.True(Read(first.Path, 2 * MiB, 30 * MiB).AreAll(0));
        Assert.True(Read(second.Path, 0, 2 * MiB).AreAll(0x0A));
        AssertWritable(first.Path, writable: true);

        var smaller = Identity("c3", 8 * MiB);
        await FailsAsync("ShrinkNotAllowed", () => _driver.CreateFromAsync(smaller, fromVolume.Id, false, _sink, default));
        Assert.Null(await _driver.FindAsync(smaller.Id, default));
    }

    [RootFact(DisplayName = "Scenario 18: a revert gives the old bytes and size and keeps the snapshot")]
    public async Task Revert_gives_the_old_bytes_and_size_and_keeps_the_snapshot()
    {
        var volume = await CreateAsync("db", 16 * MiB);
        var path = await _driver.ActivateAsync(volume.Id, default);
        Write(path, MiB, 0x01, MiB);
        var snapshot = await SnapshotAsync(volume);
        Write(path, MiB, 0x02, 3 * MiB);
        await _driver.ResizeAsync(volume.Id, 24 * MiB, thick: false, default);
        await _driver.UpdateIdentityAsync(volume with { Name = "renamed", Size = 24 * MiB }, default);

        for (var i = 0; i < 2; i++)
        {
            await _driver.RevertAsync(volume.Id, snapshot.Id, _sink, default);
            var found = await FindAsync(volume.Id);
            Assert.Equal((path, 16 * MiB, "ok"), (found.Path, found.Size, found.Health));
            Assert.Equal(("renamed", 16 * MiB), (found.Identity!.Name, found.Identity.Size));
            Assert.True(Read(path, MiB, MiB).AreAll(0x01));
            Assert.True(Read(path, 2 * MiB, 14 * MiB).AreAll(0));
            AssertWritable(path, writable: true);
            Write(path, MiB, 0x04, MiB);
        }
        Assert.True(Read(await _driver.ActivateAsync(snapshot.Id, default), MiB, MiB).AreAll(0x01));
        Assert.Equal(2, (await _driver.ListAsync(default)).Count);
    }

    [RootFact]
    public async Task Resize_keeps_data_adds_zeros_and_never_shrinks()
    {
        var volume = await CreateAsync("grow", 8 * MiB);
        var path = await _driver.ActivateAsync(volume.Id, default);
        Write(path, 7 * MiB, 0x77, MiB);
        await _driver.ResizeAsync(volume.Id, 16 * MiB, thick: false, default);
        await _driver.ResizeAsync(volume.Id, 16 * MiB, thick: false, default);
        Assert.True(Read(path, 7 * MiB, MiB).AreAll(0x77));
        Assert.True(Read(path, 8 * MiB, 8 * MiB).AreAll(0));
        if (ProvisioningIsFixed)
        {
            volume = await CreateAsync("grow-thick", 16 * MiB, thick: true);
            path = await _driver.ActivateAsync(volume.Id, default);
            Write(path, 7 * MiB, 0x77, MiB);
        }
        await _driver.ResizeAsync(volume.Id, 24 * MiB, thick: true, default);
        Assert.True(Read(path, 16 * MiB, 8 * MiB).AreAll(0));
        var found = await FindAsync(volume.Id);
        Assert.Equal((24 * MiB, 24 * MiB), (found.Size, found.Identity!.Size));
        Assert.True(found.Used >= 24 * MiB);

        await FailsAsync("ShrinkNotAllowed", () => _driver.ResizeAsync(volume.Id, 8 * MiB, false, default));
        await FailsAsync("InsufficientSpace", () => _driver.ResizeAsync(volume.Id, 1L << 40, true, default));
        found = await FindAsync(volume.Id);
        Assert.Equal(24 * MiB, found.Size);
        Assert.True(Read(path, 7 * MiB, MiB).AreAll(0x77));
    }

    [RootTheory(DisplayName = "Scenario 15: a volume shrinks only where nothing lies behind its new end")]
    [InlineData(false), InlineData(true)]
    public async Task Shrinking_loses_nothing(bool thick)
    {
        var volume = await CreateAsync("less", 24 * MiB, thick);
        var path = await _driver.ActivateAsync(volume.Id, default);
        Write(path, 8 * MiB - 1, 0x77, 1);
        Write(path, 24 * MiB - 1, 0x78, 1);
        await FailsAsync("ShrinkNotAllowed", () => _driver.ShrinkAsync(volume.Id, 8 * MiB, _sink, default));
        Write(path, 24 * MiB - 1, 0, 1);
        await _driver.ShrinkAsync(volume.Id, 8 * MiB, _sink, default);
        await _driver.ShrinkAsync(volume.Id, 8 * MiB, _sink, default);
        Assert.Equal((8 * MiB, "ok"), ((await FindAsync(volume.Id)).Size, (await FindAsync(volume.Id)).Health));
        await _driver.ResizeAsync(volume.Id, 16 * MiB, thick, default);
        Assert.True(Read(path, 8 * MiB - 1, 8 * MiB + 1) is [0x77, .. var more] && more.AreAll(0));
    }

    [RootFact]
    public async Task Delete_succeeds_again_and_again_and_gives_the_space_back()
    {
        var before = (await _driver.GetPoolAsync(default)).Free;
        var volume = await CreateAsync("gone", 64 * MiB, thick: true);
        await _driver.DeleteAsync(volume.Id, default);
        await _driver.DeleteAsync(volume.Id, default);
        await _driver.DeleteAsync(Guid.NewGuid().ToString(), default);
        Assert.True(await Poll.UntilAsync(() => _driver.ListAsync(default).Result.Count == 0, TimeSpan.FromSeconds(60), default));
        Assert.Null(await _driver.FindAsync(volume.Id, default));
        // File systems give space back a moment later.
        Assert.True(await Poll.UntilAsync(
            () => _driver.GetPoolAsync(default).Result.Free >= before - MiB, TimeSpan.FromSeconds(35), default));
        await FailsAsync("VolumeDamaged", () => _driver.ActivateAsync(volume.Id, default));
    }

    [RootFact]
    public async Task The_list_has_everything_and_the_change_number_moves_with_it()
    {
        var empty = (await _driver.GetPoolAsync(default)).ChangeNumber;
        var volume = await CreateAsync("a", MiB);
        var snapshot = await SnapshotAsync(volume);
        var full = (await _driver.GetPoolAsync(default)).ChangeNumber;
        Assert.NotEqual(empty, full);

        var list = await _driver.ListAsync(default);
        Assert.Equal([(volume.Id, BackendKind.Volume, MiB, "ok"), (snapshot.Id, BackendKind.Snapshot, MiB, "ok")],
            list.OrderBy(item => item.Kind).Select(item => (item.Id, item.Kind, item.Size, item.Health)));
        Assert.Equivalent(volume, await _driver.ReadIdentityAsync(volume.Id, default));
        Assert.Equivalent(snapshot, await _driver.ReadIdentityAsync(snapshot.Id, default));
        await FailsAsync("PoolNotEmpty", () => _driver.DestroyPoolAsync(_sink, default));
        Assert.Equal(2, (await _driver.ListAsync(default)).Count);
    }

    [RootFact]
    public async Task Identity_travels_with_the_data()
    {
        var volume = await CreateAsync("old", MiB);
        var changed = volume with { Name = "nеw ☃ \"name\"", Description = "line\nline", Tags = ["x", "y z"], ReadOnly = true };
        await _driver.UpdateIdentityAsync(changed, default);
        Assert.Equivalent(changed, await _driver.ReadIdentityAsync(volume.Id, default));
    }

    [RootFact]
    public async Task What_cannot_fit_is_refused_before_anything_is_written()
    {
        var status = await _driver.GetPoolAsync(default);
        var thick = Identity("huge", status.Total * 2);
        var error = await FailsAsync("InsufficientSpace", () => _driver.CreateAsync(thick, true, _sink, default));
        Assert.Contains(ByteSize.Format(thick.Size), error.Message, StringComparison.Ordinal);
        Assert.Empty(await _driver.ListAsync(default));

        var volume = await CreateAsync("most", (status.ThickFree ?? status.Free) / MiB / 4 * 3 * MiB, thick: true);
        var snapshot = Identity("s", volume.Size, BackendKind.Snapshot, volume.Id);
        if (!Shares)
            await FailsAsync("InsufficientSpace", () => _driver.CreateSnapshotAsync(snapshot, _sink, default));
        await FailsAsync("InsufficientSpace", () => _driver.CreateFromAsync(thick, volume.Id, true, _sink, default));
        Assert.Single(await _driver.ListAsync(default));
    }

    [RootFact]
    public async Task A_stopped_copy_leaves_nothing()
    {
        var volume = await CreateAsync("big", 96 * MiB);
        Write(await _driver.ActivateAsync(volume.Id, default), 0, 0x5A, 64 * MiB);
        using var stop = new CancellationTokenSource();
        _sink.OnProgress = _ => stop.Cancel();
        var copy = Identity("copy", 96 * MiB);
        try
        {
            await _driver.CreateFromAsync(copy, volume.Id, thick: false, _sink, stop.Token);
            Assert.True(Shares);
        }
        catch (OperationCanceledException)
        {
            Assert.False(Shares);
            Assert.Equal([volume.Id], (await _driver.ListAsync(default)).Select(item => item.Id));
        }
        _sink.OnProgress = null;
        await _driver.CreateFromAsync(copy, volume.Id, thick: false, _sink, default);
        Assert.True(Read(await _driver.ActivateAsync(copy.Id, default), 0, 64 * MiB).AreAll(0x5A));
        if (!Shares)
            Assert.Equal((100, 64 * MiB), (_sink.ProgressReports[^1].Percent, _sink.ProgressReports[^1].BytesDone));
    }

    [RootFact]
    public async Task Copies_keep_holes()
    {
        var volume = await CreateAsync("holes", 128 * MiB);
        Write(await _driver.ActivateAsync(volume.Id, default), 100 * MiB, 0x01, MiB);
        var clone = Identity("clone", 128 * MiB);
        await _driver.CreateFromAsync(clone, volume.Id, thick: false, _sink, default);
        var found = await FindAsync(clone.Id);
        Assert.InRange(found.Used!.Value, MiB, 4 * MiB);
        Assert.True(Read(found.Path, 100 * MiB, MiB).AreAll(0x01));
    }

    private protected async Task<ObjectIdentity> CreateAsync(string name, long size, bool thick = false)
    {
        var identity = Identity(name, size) with { Provisioning = thick ? "thick" : "thin" };
        await _driver.CreateAsync(identity, thick, _sink, default);
        return identity;
    }

    private async Task<ObjectIdentity> SnapshotAsync(ObjectIdentity volume)
    {
        var identity = Identity("snap", volume.Size, BackendKind.Snapshot, volume.Id);
        await _driver.CreateSnapshotAsync(identity, _sink, default);
        return identity;
    }

    private async Task<BackendObject> FindAsync(string id)
    {
        var found = await _driver.FindAsync(id, default);
        Assert.NotNull(found);
        return found;
    }

    private static ObjectIdentity Identity(string name, long size, BackendKind kind = BackendKind.Volume, string origin = "") =>
        FilePools.Identity(name, size, kind, origin);

    private static Task<BlockStorageException> FailsAsync(string id, Func<Task> work) => FilePools.FailsAsync(id, work);

    private static void Write(string path, long offset, byte value, long count)
    {
        using var handle = Native.Open(path, OpenMode.ReadWrite);
        Native.Write(handle, Enumerable.Repeat(value, (int)count).ToArray(), offset, path);
        Native.Sync(handle, path);
    }

    private static byte[] Read(string path, long offset, long count)
    {
        using var handle = Native.Open(path, OpenMode.ReadOnly);
        var buffer = new byte[count];
        Assert.Equal(count, Native.Read(handle, buffer, offset, path));
        return buffer;
    }
}
