using BlockStorage.Engine.Host;
using BlockStorage.Engine.Tests.Lab;
using BlockStorage.Engine.Volumes;
using BlockStorage.Engine.Volumes.Lvm;

namespace BlockStorage.Engine.Tests.Volumes.Lvm;

/// <summary>Pools of disks and of volume groups that there are; nothing foreign is touched.</summary>
[Trait("Needs", "Lab")]
[Collection(LabCollection.Name)]
public sealed class LvmPoolTests : IAsyncLifetime
{
    private const long MiB = 1 << 20;
    private readonly RecordingSink _sink = new();
    private readonly TestFolder _folder = new();

    private static string Disk => LabCollection.Disks[0];

    public Task InitializeAsync() => LvmPools.ClearAsync();

    public async Task DisposeAsync()
    {
        _folder.Dispose();
        await LvmPools.AssertNothingLeftAsync();
    }

    [Fact]
    public async Task The_machine_of_the_lab_can_and_says_so()
    {
        var probe = await LvmPools.Factory.ProbeAsync(default);
        Assert.Equal((true, ""), (probe.Usable, probe.Reason));
        Assert.StartsWith("2.", probe.Version);
        Assert.All(probe.Checks, check => Assert.Equal("ok", check.State));
        Assert.Equal("bs-" + Guid.Empty.ToString("N")[..12], LvmPools.Factory.Check(LvmPools.Spec(path: "") with { Id = Guid.Empty.ToString() }).Path);
        foreach (var path in new[] { "", "-x", "a/b", "../x", "a b", "a;b" })
            await FilePools.FailsAsync("InvalidPath", () => Task.FromResult(LvmPools.Factory.Check(LvmPools.Spec(path: path, disks: 0))));
        await FilePools.FailsAsync("InvalidPath", () => Task.FromResult(LvmPools.Factory.Check(LvmPools.Spec(disks: 0))));
    }

    [Fact]
    public async Task A_pool_of_two_disks_is_found_again_by_its_tags_and_goes_without_a_trace()
    {
        var spec = LvmPools.Factory.Check(LvmPools.Spec(disks: 2) with { Description = "naïve ☃", Name = "p.1" });
        var driver = LvmPools.Factory.Open(spec);
        await driver.CreatePoolAsync(_sink, default);
        await driver.CreatePoolAsync(_sink, default);
        var status = await driver.GetPoolAsync(default);
        Assert.Equal((true, "ok", true), (status.Usable, status.Health, status.SharesExtents));
        // 4 GiB disks, 64 MiB of each for LVM's metadata; a good tenth stays for growth and thick volumes.
        Assert.InRange(status.Total, 8040 * MiB, 8064 * MiB);
        Assert.InRange(status.ThickFree!.Value, status.Total / 10, status.Total / 6);
        Assert.InRange(status.Free, status.Total * 9 / 10, status.Total);
        Assert.Equivalent(spec with { Disks = [] }, LvmPools.Factory.Identify(LvmPools.Group));
        Assert.Null(LvmPools.Factory.Identify("/srv/pool"));

        await driver.UpdatePoolAsync(spec with { Name = "renamed" }, default);
        Assert.Equal(("renamed", spec.Id), (LvmPools.Factory.Identify(LvmPools.Group)!.Name, LvmPools.Factory.Identify(LvmPools.Group)!.Id));
        Assert.Equal("error", (await LvmPools.RunAsync("lvs", "--noheadings", "-o", "lv_when_full", $"{LvmPools.Group}/bspool")).Trim());
        await driver.UpdatePoolAsync(spec with { Queues = true }, default);
        Assert.Equal("queue", (await LvmPools.RunAsync("lvs", "--noheadings", "-o", "lv_when_full", $"{LvmPools.Group}/bspool")).Trim());
        Assert.True(LvmPools.Factory.Identify(LvmPools.Group)!.Queues);
        await driver.UpdatePoolAsync(spec with { Name = "renamed" }, default);
        await FilePools.FailsAsync("InvalidPath", () => Task.FromResult(LvmPools.Factory.Check(LvmPools.Spec(disks: 0))));

        await LvmPools.RunAsync("vgchange", "--activate", "n", LvmPools.Group);
        Assert.Equal((false, "its thin pool is not active"), ((await driver.GetPoolAsync(default)).Usable, (await driver.GetPoolAsync(default)).Health));
        await driver.OpenPoolAsync(_sink, default);
        Assert.True((await driver.GetPoolAsync(default)).Usable);
        // As after a kill between the group and its disks.
        await LvmPools.RunAsync("vgremove", "--force", "--yes", LvmPools.Group);
        await driver.DestroyPoolAsync(_sink, default);
        status = await driver.GetPoolAsync(default);
        Assert.False(status.Usable);
        Assert.Contains("no volume group 'bs-test'", status.Health, StringComparison.Ordinal);
        await FilePools.FailsAsync("PoolUnavailable", () => driver.OpenPoolAsync(_sink, default));
        await FilePools.FailsAsync("PoolUnavailable", () => driver.ListAsync(default));
        await FilePools.FailsAsync("PoolUnavailable", () => driver.CreateAsync(FilePools.Identity("v", MiB), false, _sink, default));
    }

    [Fact]
    public async Task Disks_that_are_not_empty_or_not_free_are_refused_untouched()
    {
        await LvmPools.RunAsync("mkfs.ext4", "-q", "-F", Disk);
        var error = await FilePools.FailsAsync("InvalidArgument", () => Task.FromResult(LvmPools.Factory.Check(LvmPools.Spec())));
        Assert.Contains("ext4", error.Message, StringComparison.Ordinal);
        await FilePools.FailsAsync("ToolFailed", () => LvmPools.Factory.Open(LvmPools.Spec()).CreatePoolAsync(_sink, default));
        var mounted = Directory.CreateDirectory(_folder.File("m")).FullName;
        Mounts.Mount(Disk, mounted, "ext4");
        error = await FilePools.FailsAsync("DeviceInUse", () => Task.FromResult(LvmPools.Factory.Check(LvmPools.Spec())));
        Assert.Contains(mounted, error.Message, StringComparison.Ordinal);
        Mounts.Unmount(mounted);
        await LvmPools.RunAsync("wipefs", "--all", Disk);
        await FilePools.FailsAsync("InvalidArgument", () => Task.FromResult(LvmPools.Factory.Check(LvmPools.Spec() with { Disks = ["/dev/null"] })));
        await FilePools.FailsAsync("InvalidArgument", () => Task.FromResult(LvmPools.Factory.Check(LvmPools.Spec() with { Disks = [Disk, Disk] })));
    }

    [Fact]
    public async Task In_a_group_of_others_only_what_is_ours_comes_and_goes()
    {
        await LvmPools.RunAsync("vgcreate", LvmPools.Group, Disk);
        await LvmPools.RunAsync("lvcreate", "--yes", "--size", "512m", "--name", "theirs", "--addtag", "keep", LvmPools.Group);
        await LvmPools.RunAsync("vgchange", "--addtag", "theirs", LvmPools.Group);
        await LvmPools.RunAsync("lvcreate", "--yes", "--size", "4m", "--name", LvmNames.Pool, LvmPools.Group);
        await FilePools.FailsAsync("InvalidPath", () => Task.FromResult(LvmPools.Factory.Check(LvmPools.Spec(disks: 0))));
        await FilePools.FailsAsync("InvalidPath", () => LvmPools.Factory.Open(LvmPools.Spec(disks: 0)).CreatePoolAsync(_sink, default));
        await LvmPools.RunAsync("lvremove", "--yes", $"{LvmPools.Group}/{LvmNames.Pool}");
        var driver = LvmPools.Factory.Open(LvmPools.Factory.Check(LvmPools.Spec(1L << 30, disks: 0)));
        await driver.CreatePoolAsync(_sink, default);
        var status = await driver.GetPoolAsync(default);
        Assert.InRange(status.Free, status.Total - 700 * MiB, status.Total - 512 * MiB);
        var volume = FilePools.Identity("v", 4 * MiB);
        await driver.CreateAsync(volume, false, _sink, default);
        var list = await driver.ListAsync(default);
        Assert.Equal([("theirs", BackendKind.Foreign), (volume.Id, BackendKind.Volume)], list.Select(item => (item.Id, item.Kind)).OrderBy(item => item.Kind == BackendKind.Volume));
        await driver.DeleteAsync(volume.Id, default);
        await FilePools.FailsAsync("InvalidArgument", () => driver.DeleteAsync("theirs", default));
        await driver.DestroyPoolAsync(_sink, default);
        Assert.Equal("theirs|keep|theirs", (await LvmPools.RunAsync("lvs", "--noheadings", "--separator", "|", "-o", "lv_name,lv_tags,vg_tags")).Trim());
        await LvmPools.RunAsync("vgremove", "--force", "--yes", LvmPools.Group);
        await LvmPools.RunAsync("pvremove", Disk);
    }
}
