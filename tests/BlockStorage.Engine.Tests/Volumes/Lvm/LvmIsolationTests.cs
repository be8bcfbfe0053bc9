using BlockStorage.Engine.Host;
using BlockStorage.Engine.Tests.Lab;
using BlockStorage.Engine.Volumes;
using BlockStorage.Engine.Volumes.Lvm;
using static BlockStorage.Engine.Tests.Volumes.Lvm.LvmPools;

namespace BlockStorage.Engine.Tests.Volumes.Lvm;

/// <summary>A guest's volume group of the very name of ours, inside a volume that is connected here, while udev activates what it sees.</summary>
[Trait("Needs", "Lab")]
[Collection(LabCollection.Name)]
public sealed class LvmIsolationTests : IAsyncLifetime
{
    private const long MiB = 1 << 20;
    private const string Local = "/etc/lvm/lvmlocal.conf";
    private readonly PoolSpec _spec = Spec(192 * MiB);
    private readonly RecordingSink _sink = new();
    private readonly string _settings = File.ReadAllText(Local);
    private IVolumeDriver _driver = null!;
    private string _loop = "";

    public async Task InitializeAsync()
    {
        await ClearAsync();
        Directory.CreateDirectory("/run/guest");
        _driver = Factory.Open(Factory.Check(_spec));
        await _driver.CreatePoolAsync(_sink, default);
        await File.WriteAllTextAsync(Local, _settings.Replace("event_activation = 0", "event_activation = 1", StringComparison.Ordinal));
        Assert.Contains("event_activation=1", await RunAsync("lvmconfig", "global/event_activation"), StringComparison.Ordinal);
    }

    public async Task DisposeAsync()
    {
        await File.WriteAllTextAsync(Local, _settings);
        await UnplugAsync();
        foreach (var item in await _driver.ListAsync(default))
            await _driver.DeleteAsync(item.Id, default);
        await _driver.DestroyPoolAsync(_sink, default);
        Directory.Delete("/run/guest", recursive: true);
        await AssertNothingLeftAsync();
    }

    [Fact]
    public async Task A_guest_cannot_reach_us_by_what_it_writes()
    {
        var volume = FilePools.Identity("guest", 96 * MiB);
        await _driver.CreateAsync(volume, false, _sink, default);
        await PlugAsync(volume);
        await GuestAsync("pvcreate", "--yes", _loop);
        await GuestAsync("vgcreate", Group, _loop);
        await GuestAsync("lvcreate", "--yes", "--size", "8m", "--name", "theirs", "--activate", "n", Group);

        // On a host as it is: LVM sees the guest's group, and we do not.
        await UnplugAsync();
        await PlugAsync(volume);
        await RunAsync("udevadm", "settle");
        Assert.Equal(2, (await RunAsync("vgs", "--noheadings", "-o", "vg_name")).Split('\n').Count(line => line.Trim() == Group));
        await WorksAsync();
        var check = Assert.Single(await Factory.AdviseAsync([_loop], default));
        Assert.Equal("warning", check.State);
        Assert.Contains($"a|^{LabCollection.Disks[0]}$|", check.Fix, StringComparison.Ordinal);
        Assert.DoesNotContain("loop", check.Fix, StringComparison.Ordinal);

        // With the line that we offer neither does.
        await UnplugAsync();
        await RunAsync("sh", "-c", check.Fix);
        await PlugAsync(volume);
        await RunAsync("udevadm", "settle");
        Assert.Single((await RunAsync("vgs", "--noheadings", "-o", "vg_name")).Split('\n'), line => line.Trim() == Group);
        Assert.DoesNotContain("theirs", await RunAsync("dmsetup", "ls"), StringComparison.Ordinal);
        Assert.Equal("ok", Assert.Single(await Factory.AdviseAsync([_loop], default)).State);
        await WorksAsync();
    }

    [Fact]
    public async Task Another_group_of_our_name_on_other_disks_is_not_touched()
    {
        var disk = LabCollection.Disks[3];
        await RunAsync("vgcreate", "--config", Elsewhere(disk), Group, disk);
        try
        {
            await WorksAsync();
            // Also for a process that has not found its disks yet.
            new LvmTool(Group, _spec.Id, new CommandRunner()).Forget();
            await WorksAsync();
        }
        finally
        {
            await RunAsync("vgremove", "--config", Elsewhere(disk), Group);
            await RunAsync("wipefs", "--all", disk);
        }
    }

    private async Task WorksAsync()
    {
        var before = (await _driver.ListAsync(default)).Count;
        var (thin, thick) = (FilePools.Identity("a", 8 * MiB), FilePools.Identity("b", 8 * MiB));
        await _driver.CreateAsync(thin, false, _sink, default);
        await _driver.CreateAsync(thick, true, _sink, default);
        await _driver.ResizeAsync(thin.Id, 16 * MiB, false, default);
        Assert.Equal(before + 2, (await _driver.ListAsync(default)).Count);
        Assert.Equal("ok", (await _driver.GetPoolAsync(default)).Health);
        await _driver.DeleteAsync(thin.Id, default);
        await _driver.DeleteAsync(thick.Id, default);
        await WipedAsync(_driver);
        Assert.Equal(before, (await _driver.ListAsync(default)).Count);
    }

    private async Task PlugAsync(ObjectIdentity volume) =>
        _loop = (await RunAsync("losetup", "--find", "--show", await _driver.ActivateAsync(volume.Id, default))).Trim();

    private async Task UnplugAsync()
    {
        if (_loop.Length == 0)
            return;
        await RunAsync("udevadm", "settle");
        // What the host's LVM has activated of the guest, by device and not by a name that means two.
        if ((await RunAsync("dmsetup", "info", "-c", "--noheadings", "-o", "name")).Contains("theirs", StringComparison.Ordinal))
            await RunAsync("dmsetup", "remove", $"{Group.Replace("-", "--", StringComparison.Ordinal)}-theirs");
        await RunAsync("losetup", "--detach", _loop);
        _loop = "";
    }

    private static Task<string> GuestAsync(string program, params string[] arguments) =>
        RunAsync(program, ["--config", Elsewhere("/dev/loop[0-9]+"), .. arguments]);

    // As on a machine of its own, which has no folder of our group in /dev.
    private static string Elsewhere(string disk) => $"devices{{dir=\"/run/guest\" filter=[\"a|^{disk}$|\",\"r|.*|\"]}}";
}
