using BlockStorage.Engine.Volumes.Lvm;

namespace BlockStorage.Engine.Tests.Volumes.Lvm;

/// <summary>Figures and words of RAID; lvmraid(7).</summary>
public sealed class RaidTests
{
    private const long GiB = 1 << 30;
    private const long Extent = 1 << 20;

    [Theory]
    [InlineData("raid1", 2, 2, 1, 1, "--type raid1 --mirrors 1", 1, 2)]
    [InlineData("raid1", 3, 2, 1, 1, "--type raid1 --mirrors 1", 3, 2)]
    [InlineData("raid5", 3, 3, 2, 1, "--type raid5 --stripes 2", 2, 3)]
    [InlineData("raid6", 5, 5, 3, 2, "--type raid6 --stripes 3", 3, 5)]
    [InlineData("raid10", 4, 4, 2, 1, "--type raid10 --mirrors 1 --stripes 2", 2, 4)]
    [InlineData("raid10", 5, 4, 2, 1, "--type raid10 --mirrors 1 --stripes 2", 2, 4)]
    public void Each_level_lies_on_its_disks(string level, int disks, int legs, int stripes, int failures, string arguments, int halves, int least)
    {
        var layout = RaidLayout.Of(level, disks)!;
        Assert.Equal((legs, stripes, failures, arguments), (layout.Legs, layout.Stripes, layout.Failures, string.Join(' ', layout.Arguments)));
        Assert.Equal($"--type raid1 --mirrors {failures}", string.Join(' ', layout.MetadataArguments));
        Assert.Equal(least, RaidLayout.LeastDisks(level));
        // On raid1 every two disks hold one disk's worth, however many there are.
        var each = GiB - Extent;
        Assert.Equal(level == "raid1" ? each * disks / 2 / Extent * Extent : each * halves, layout.Usable(Enumerable.Repeat(GiB, disks), Extent));
        Assert.Equal(0, layout.Usable(Enumerable.Repeat(GiB, least - 1), Extent));
        Assert.Equal(0, layout.Usable(Enumerable.Repeat(0L, disks), Extent));
    }

    [Fact]
    public void Room_on_one_disk_alone_is_none()
    {
        Assert.Equal(GiB - Extent, RaidLayout.Of("raid1", 3)!.Usable([5 * GiB, GiB, 0], Extent));
        Assert.Equal(2 * (GiB - Extent), RaidLayout.Of("raid5", 3)!.Usable([5 * GiB, GiB, 2 * GiB], Extent));
        Assert.Equal(2 * (GiB - Extent), RaidLayout.Of("raid10", 5)!.Usable([5 * GiB, GiB, 2 * GiB, 0, GiB], Extent));
        Assert.Null(RaidLayout.Of("", 3));
    }

    [Theory]
    [InlineData("raid1 2 AA 409600/409600 idle 0 0 -", 0, false, false, 1)]
    [InlineData("raid1 2 AD 409600/409600 idle 0 0 -", 1, false, false, 1)]
    [InlineData("raid6_zr 5 A--AA 8/8 frozen 0 0 -", 2, false, false, 1)]
    [InlineData("raid1 2 Aa 100/400 recover 0 0 -", 0, true, false, 0.25)]
    [InlineData("raid5_ls 3 aaa 0/400 resync 0 0 -", 0, true, false, 0)]
    [InlineData("raid1 2 AA 100/400 check 128 0 -", 0, false, false, 0.25)]
    [InlineData("raid1 2 AA 400/400 idle 128 0 -", 0, false, true, 1)]
    public void What_the_kernel_says_is_read(string status, int failed, bool behind, bool differs, double inStep)
    {
        var state = RaidState.Read(status);
        Assert.Equal((failed, behind, differs, inStep), (state.Failed, state.IsCatchingUp, state.Differs, state.InStep));
    }

    [Theory]
    [InlineData("")]
    [InlineData("raid1 2 AA")]
    [InlineData("raid1 2 AA x idle 0 0")]
    [InlineData("raid1 2 AA a/b idle 0 0")]
    public void Nonsense_is_refused(string status) => Assert.Throws<FormatException>(() => RaidState.Read(status));

    [Fact]
    public void Writers_that_would_wait_for_ever_are_refused()
    {
        FullPools.RequireBound("p", 60);
        var error = Assert.Throws<BlockStorageException>(() => FullPools.RequireBound("p", 0));
        Assert.Equal("NotSupported", error.ErrorId);
        Assert.Contains("no_space_timeout", error.NextStep, StringComparison.Ordinal);
    }
}
