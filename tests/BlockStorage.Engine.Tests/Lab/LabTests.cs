using BlockStorage.Engine.Host;

namespace BlockStorage.Engine.Tests.Lab;

/// <summary>The kernel of the lab does what the drivers and their tests build upon.</summary>
[Trait("Needs", "Lab")]
[Collection(LabCollection.Name)]
public sealed class LabTests
{
    private const string Map = "lab-tests";

    [Fact]
    public void Six_scratch_disks_are_blank_of_holders_and_of_4_GiB()
    {
        Assert.Equal(6, LabCollection.Disks.Distinct().Count());
        Assert.All(LabCollection.Disks, disk =>
        {
            using var handle = Native.Open(disk, OpenMode.ReadOnly);
            Assert.Equal(4L << 30, Native.DeviceSize(handle, disk));
            Assert.Empty(Directory.GetFileSystemEntries($"/sys/class/block/{Path.GetFileName(disk)}/holders"));
        });
    }

    [Theory]
    [InlineData("thin-pool")]
    [InlineData("thin")]
    [InlineData("snapshot")]
    [InlineData("snapshot-merge")]
    [InlineData("raid")]
    [InlineData("flakey")]
    [InlineData("error")]
    [InlineData("crypt")]
    [InlineData("multipath")]
    public async Task Device_mapper_has_target(string target)
    {
        var targets = await RunAsync("dmsetup", "targets");
        Assert.Contains(targets.Split('\n'), line => line.Split(' ')[0] == target);
    }

    [Fact]
    public async Task An_error_target_fails_its_sectors_and_no_others()
    {
        var disk = LabCollection.Disks[0];
        var buffer = new byte[4096];
        await using var map = await MapAsync($"0 8 linear {disk} 0\n8 8 error\n16 8 linear {disk} 16");
        using var handle = File.OpenHandle(map.Path);
        Assert.Equal(4096, RandomAccess.Read(handle, buffer, 0));
        Assert.Throws<IOException>(() => RandomAccess.Read(handle, buffer, 4096));
        Assert.Equal(4096, RandomAccess.Read(handle, buffer, 8192));
    }

    [Fact]
    public async Task A_flakey_target_drops_writes_while_it_says_they_are_done()
    {
        var disk = LabCollection.Disks[0];
        using (var handle = Native.Open(disk, OpenMode.ReadWrite))
        {
            RandomAccess.Write(handle, "before"u8, 0);
            Native.FlushDevice(handle, disk);
        }
        await using (var map = await MapAsync($"0 8 flakey {disk} 0 0 60 1 drop_writes"))
        using (var handle = Native.Open(map.Path, OpenMode.ReadWrite))
        {
            RandomAccess.Write(handle, "after!"u8, 0);
            Native.FlushDevice(handle, map.Path);
        }
        var read = new byte[6];
        using (var handle = Native.Open(disk, OpenMode.ReadOnly))
            RandomAccess.Read(handle, read, 0);
        Assert.Equal("before"u8, read);
    }

    [Fact]
    public void A_target_is_made_and_removed_in_configfs()
    {
        const string fabric = "/sys/kernel/config/target/iscsi";
        const string target = fabric + "/iqn.2024-01.org.example:lab-tests";
        Directory.CreateDirectory(fabric);
        Directory.CreateDirectory(target + "/tpgt_1/lun/lun_0");
        Assert.Equal("0", File.ReadAllText(target + "/tpgt_1/enable").Trim());
        Assert.True(File.Exists(target + "/tpgt_1/attrib/generate_node_acls"));
        Directory.Delete(target + "/tpgt_1/lun/lun_0");
        Directory.Delete(target + "/tpgt_1");
        Directory.Delete(target);
        Assert.False(Directory.Exists(target));
    }

    [Fact]
    public void The_initiator_has_its_transport_daemon_and_name()
    {
        Assert.True(Directory.Exists("/sys/class/iscsi_transport/tcp"));
        Assert.NotEmpty(ProcessesNamed("iscsid"));
        Assert.StartsWith("InitiatorName=iqn.", File.ReadAllText("/etc/iscsi/initiatorname.iscsi"));
    }

    private static IEnumerable<string> ProcessesNamed(string name) => Directory.GetDirectories("/proc")
        .Where(process => File.Exists(process + "/comm") && File.ReadAllText(process + "/comm").Trim() == name);

    private static async Task<MappedDevice> MapAsync(string table)
    {
        await RunAsync("dmsetup", "create", Map, "--table", table);
        return new MappedDevice($"/dev/mapper/{Map}");
    }

    private static Task<string> RunAsync(string program, params string[] arguments) => new CommandRunner().RunCheckedAsync(
        new Command(program, arguments, TimeSpan.FromSeconds(60)), SilentSink.Instance, CancellationToken.None);

    private sealed record MappedDevice(string Path) : IAsyncDisposable
    {
        public async ValueTask DisposeAsync() => await RunAsync("dmsetup", "remove", "--retry", Map);
    }
}
