using BlockStorage.Engine.Host;
using BlockStorage.Engine.Tests.Lab;
using BlockStorage.Engine.Volumes;
using BlockStorage.Engine.Volumes.Lvm;

namespace BlockStorage.Engine.Tests.Volumes.Lvm;

/// <summary>Short forms for tests of pools on the lab's disks.</summary>
internal static class LvmPools
{
    public const string Group = "bs-test";
    private const long MiB = 1 << 20;
    private const string Profiles = "/etc/lvm/profile";

    /// <summary>Where workers of the drivers keep their locks.</summary>
    public static StateRoot Root { get; } = new("/tmp/bs-lvm");

    public static LvmVolumeDriverFactory Factory { get; } = new(Root, new CommandRunner());

    public static PoolSpec Spec(long? size = null, int disks = 1, string path = Group) =>
        new(Guid.NewGuid().ToString(), "p1", "Lvm", path, size, "", new DateTime(2026, 11, 25, 1, 2, 3, DateTimeKind.Utc))
        {
            Disks = [.. LabCollection.Disks.Take(disks)],
        };

    /// <summary>Runs a tool that must succeed.</summary>
    public static Task<string> RunAsync(string program, params string[] arguments) => new CommandRunner().RunCheckedAsync(
        new Command(program, arguments, TimeSpan.FromSeconds(120)), SilentSink.Instance, CancellationToken.None);

    /// <summary>Waits until nothing is being wiped any more.</summary>
    public static async Task WipedAsync(IVolumeDriver driver) => Assert.True(await Poll.UntilAsync(
        () => !driver.ListAsync(default).Result.Any(item => item.Health == BackendObject.Wiping), TimeSpan.FromSeconds(60), default));

    /// <summary>What lies on the extents that the next volume gets.</summary>
    public static async Task<byte[]> RawAsync(int size)
    {
        await RunAsync("lvcreate", "--yes", "--zero", "n", "--wipesignatures", "n", "--size", $"{size}m", "--name", "raw", Group);
        var read = Read($"/dev/{Group}/raw", size);
        await RunAsync("lvremove", "--yes", $"{Group}/raw");
        return read;
    }

    /// <summary>Writes MiBs of one byte.</summary>
    public static void Fill(string path, byte value, int count)
    {
        using var handle = Native.Open(path, OpenMode.ReadWrite);
        var block = Enumerable.Repeat(value, (int)MiB).ToArray();
        for (var i = 0; i < count; i++)
            Native.Write(handle, block, i * MiB, path);
        Native.FlushDevice(handle, path);
    }

    /// <summary>Reads MiBs past every cache.</summary>
    public static byte[] Read(string path, int count)
    {
        using var handle = Native.Open(path, OpenMode.ReadOnly);
        Native.FlushDevice(handle, path);
        var buffer = new byte[count * MiB];
        Assert.Equal(buffer.Length, Native.Read(handle, buffer, 0, path));
        return buffer;
    }

    /// <summary>Takes away what a failed test has left, so that it is the only one to fail.</summary>
    public static async Task ClearAsync()
    {
        if ((await RunAsync("vgs", "--noheadings", "-o", "vg_name")).Contains(Group, StringComparison.Ordinal))
            await RunAsync("vgremove", "--force", "--force", "--yes", Group);
        await RunAsync("wipefs", ["--all", .. LabCollection.Disks]);
        ClearProfiles();
    }

    /// <summary>What removing a group by hand leaves of its pool.</summary>
    public static void ClearProfiles()
    {
        foreach (var profile in OurProfiles())
            File.Delete(profile);
    }

    /// <summary>Nothing is left on the disks and in the device mapper.</summary>
    public static async Task AssertNothingLeftAsync()
    {
        Assert.Equal("", (await RunAsync("wipefs", ["--no-act", .. LabCollection.Disks])).Trim());
        Assert.DoesNotContain("bs--test", await RunAsync("dmsetup", "ls"), StringComparison.Ordinal);
        Assert.Equal("", (await RunAsync("vgs", "--noheadings", "-o", "vg_name")).Trim());
        Assert.Empty(OurProfiles());
        if (Directory.Exists(Root.Home))
            Directory.Delete(Root.Home, recursive: true);
    }

    private static string[] OurProfiles() => Directory.GetFiles(Profiles, "blockstorage-*");
}

/// <summary>A volume group with a thin pool on a part of it.</summary>
[Trait("Needs", "Lab")]
[Collection(LabCollection.Name)]
public sealed class LvmVolumeDriverTests : VolumeDriverSuite
{
    protected override bool Shares => true;

    protected override bool ProvisioningIsFixed => true;

    protected override bool KeepsOrderUnflushed => false;

    protected override async Task<object> OpenAsync()
    {
        await LvmPools.ClearAsync();
        return LvmPools.Factory.Open(LvmPools.Factory.Check(LvmPools.Spec(1L << 30)));
    }

    protected override Task CloseAsync() => LvmPools.AssertNothingLeftAsync();

    // The node in /dev belongs to udev; the kernel says whether the device takes writes.
    protected override void AssertWritable(string path, bool writable) => Assert.Equal(writable ? "0" : "1",
        File.ReadAllText($"/sys/class/block/{Path.GetFileName(File.ResolveLinkTarget(path, true)!.FullName)}/ro").Trim());
}
