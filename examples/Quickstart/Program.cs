using System.Globalization;
using BlockStorage;
using BlockStorage.Engine;
using BlockStorage.Quickstart;
using BlockStorage.Services;
using static BlockStorage.Quickstart.Machine;

// The story of examples/quickstart.ps1, told against the engine for machines without PowerShell.
var sandbox = $"/tmp/bsdemo-{Environment.ProcessId}";
Environment.SetEnvironmentVariable("BLOCKSTORAGE_HOME", $"{sandbox}/state");
var machine = new Machine(sandbox);
var cancel = CancellationToken.None;
await using var service = BlockStorageService.Open();

async Task<T> Run<T>(Task<BlockPlan<T>> plan) => await (await plan).RunAsync(machine, cancel);

async Task DisconnectAll()
{
    foreach (var connection in await service.GetConnectionsAsync(new ConnectionQuery(), cancel))
        await Run(service.DisconnectAsync(connection.Id, force: false, cancel));
}

async Task RemoveAll()
{
    foreach (var volume in await service.GetVolumesAsync(new VolumeQuery(), cancel))
        await Run(service.RemoveVolumeAsync(volume.Id, cascade: true, force: true, cancel));
    foreach (var pool in await service.GetPoolsAsync(new ObjectQuery(), cancel))
        await Run(service.RemovePoolAsync(pool.Id, cancel));
}

try
{
    await machine.StepAsync("Pool of 8 GiB on XFS with shared extents", async () =>
    {
        var pool = await Run(service.NewPoolAsync(new NewPoolRequest("demo", "File", $"{sandbox}/pool", 8L << 30), cancel));
        Assert(pool.SnapshotMethod == "reflink", "snapshots share extents");
    });
    var volume = await machine.StepAsync("Volume of 2 GiB", () => Run(service.NewVolumeAsync(new NewVolumeRequest("db1", 2L << 30, Pool: "demo"), cancel)));
    var connection = await machine.StepAsync("Connected as a local block device", () => Run(service.ConnectAsync(new ConnectRequest(volume.Id), cancel)));
    await machine.StepAsync($"ext4 on {connection.DevicePath}, files with a known hash", async () =>
    {
        await ToolAsync("mkfs.ext4", "-q", connection.DevicePath);
        await ToolAsync("mount", connection.DevicePath, machine.Mount);
        await machine.WriteFilesAsync(1);
    });
    var old = machine.HashFiles();

    var snapshot = await machine.StepAsync("Snapshot while something writes", async () =>
    {
        using var writer = machine.StartWriter(1_000_000);
        await machine.WaitForNoiseAsync();
        var taken = await Run(service.NewSnapshotAsync(new NewSnapshotRequest(volume.Id, "{Volume}-before"), cancel));
        Assert(!writer.HasExited, "the writer was never stopped");
        writer.Kill();
        await writer.WaitForExitAsync();
        return taken;
    });
    await machine.StepAsync("Files changed", () => machine.WriteFilesAsync(100));
    var now = machine.HashFiles();
    Assert(old != now, "the files differ");
    await machine.StepAsync("Unmounted and disconnected", async () =>
    {
        await ToolAsync("umount", machine.Mount);
        await DisconnectAll();
    });

    var right = new ChapCredential("demo", "Right-secret-01");
    var target = await machine.StepAsync("Snapshot published read-only over iSCSI with CHAP", () =>
        Run(service.PublishAsync(new PublishRequest(SnapshotId: snapshot.Id, Credential: right, ReadOnly: true), cancel)));
    await machine.StepAsync("Wrong CHAP secret refused", async () =>
    {
        try
        {
            await Run(service.ConnectAsync(new ConnectRequest(Iqn: target.Iqn, Credential: new ChapCredential("demo", "Wrong-secret-01")), cancel));
            Assert(false, "a wrong secret is refused");
        }
        catch (BlockStorageException error)
        {
            Assert(error.ErrorId == "ChapRejected", $"ChapRejected, not {error.ErrorId}: {error.Message}");
        }
        Assert((await service.GetConnectionsAsync(new ConnectionQuery(), cancel)).Count == 0, "nothing is connected");
    });
    connection = await machine.StepAsync("Snapshot connected over iSCSI", async () =>
    {
        var portal = target.Portal[0].Split(':');
        var found = await service.FindTargetsAsync(new DiscoveryRequest(portal[0], int.Parse(portal[1], CultureInfo.InvariantCulture), right), cancel);
        return await Run(service.ConnectAsync(new ConnectRequest(Iqn: found[0].Iqn, Address: found[0].Address, Port: found[0].Port), cancel));
    });
    await machine.StepAsync("Old bytes in the snapshot", async () =>
    {
        await ToolAsync("mount", "-o", "ro,noload", connection.DevicePath, machine.Mount);
        Assert(machine.HashFiles() == old, "the snapshot has the old files");
        await ToolAsync("umount", machine.Mount);
        await DisconnectAll();
    });

    connection = await machine.StepAsync("Volume published and connected over iSCSI", async () =>
    {
        await Run(service.PublishAsync(new PublishRequest(volume.Id), cancel));
        return await Run(service.ConnectAsync(new ConnectRequest(volume.Id), cancel));
    });
    await machine.StepAsync("New bytes in the volume", async () =>
    {
        await ToolAsync("mount", connection.DevicePath, machine.Mount);
        Assert(machine.HashFiles() == now, "the volume has the new files");
    });
    await machine.StepAsync("Resized online to 3 GiB, under a writer that sees no error", async () =>
    {
        using var writer = machine.StartWriter(300);
        await Run(service.ResizeVolumeAsync(volume.Id, new ResizeVolumeRequest(3L << 30), cancel));
        Assert(!writer.HasExited, "the writer wrote all the time");
        await writer.WaitForExitAsync();
        Assert(writer.ExitCode == 0, "the writer ended without an error");
        var size = await ToolAsync("blockdev", "--getsize64", connection.DevicePath);
        Assert(size == (3L << 30).ToString(CultureInfo.InvariantCulture), "the device has 3 GiB");
        Assert(machine.HashFiles() == now, "the files are as before");
    });
    await machine.StepAsync("Cloned", async () =>
    {
        var clone = await Run(service.NewVolumeAsync(new NewVolumeRequest("db2", FromVolume: "db1"), cancel));
        Assert(clone.Size == 3L << 30, "the clone has 3 GiB");
    });
    await machine.StepAsync("Unmounted, disconnected, unpublished", async () =>
    {
        await ToolAsync("umount", machine.Mount);
        await DisconnectAll();
        foreach (var published in await service.GetTargetsAsync(new TargetQuery(), cancel))
            await Run(service.UnpublishAsync(published.Id, force: false, cancel));
    });
    await machine.StepAsync("Reverted to the snapshot", async () =>
    {
        await Run(service.RestoreSnapshotAsync(snapshot.Id, cancel));
        connection = await Run(service.ConnectAsync(new ConnectRequest(volume.Id), cancel));
        await ToolAsync("mount", connection.DevicePath, machine.Mount);
        Assert(machine.HashFiles() == old, "the volume has the old files again");
        await ToolAsync("umount", machine.Mount);
        await DisconnectAll();
    });
    await machine.StepAsync("Everything removed", RemoveAll);
    await machine.StepAsync("Listed what is left: no process, mount, loop device, target or file of ours", () =>
    {
        var left = machine.Leftovers();
        Assert(left.Count == 0, $"nothing is left, but: {string.Join("; ", left)}");
        return Task.CompletedTask;
    });
    machine.End();
}
finally
{
    if (File.ReadLines("/proc/mounts").Any(line => line.Contains($" {machine.Mount} ", StringComparison.Ordinal)))
        await ToolAsync("umount", "-l", machine.Mount);
    await RemoveAll();
    Directory.Delete(sandbox, recursive: true);
}
