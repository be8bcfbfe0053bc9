using BlockStorage.Engine.Scheduling;
using BlockStorage.Engine.Tests.Catalog;

namespace BlockStorage.Engine.Tests.Scheduling;

public sealed class PoolSchedulerTests
{
    [Fact]
    public void The_one_with_most_free_space_is_chosen() =>
        Assert.Equal("b", Choose([Pool("a", free: 500), Pool("b", free: 900), Pool("c", free: 700)], 100));

    [Fact]
    public void Equal_ones_are_chosen_by_name_whatever_their_order()
    {
        Assert.Equal("A", Choose([Pool("b"), Pool("C"), Pool("A")], 100));
        Assert.Equal("A", Choose([Pool("A"), Pool("b"), Pool("C")], 100));
    }

    [Theory]
    [InlineData("thin", 2000, "small-free")]
    [InlineData("thick", 2000, null)]
    [InlineData("thick", 300, "both")]
    [InlineData("thin", 301, "both")]
    [InlineData("thin", 20_001, null)]
    public void Thin_is_measured_by_the_limit_and_thick_by_what_is_free(string provisioning, long size, string? expected)
    {
        PoolScheduler.Candidate[] pools = [Pool("small-free", free: 100, limit: 20_000), Pool("both", free: 300, limit: 1000)];
        Assert.Equal(expected, ChooseOrNull(pools, size, provisioning));
    }

    [Fact]
    public void The_default_of_each_pool_counts_where_nothing_is_asked_for()
    {
        PoolScheduler.Candidate[] pools =
        [
            Pool("thick-by-default", free: 900) with { Pool = Sample.Pool("thick-by-default") with { Provisioning = "thick" } },
            Pool("thin-by-default", free: 100, limit: 2000),
        ];
        Assert.Equal("thin-by-default", Choose(pools, 1000, null));
        Assert.Equal("thick-by-default", Choose(pools, 800, null));
    }

    [Fact]
    public void The_reason_for_each_pool_is_told()
    {
        PoolScheduler.Candidate[] pools =
        [
            Pool("disabled") with { Pool = Sample.Pool("disabled") with { State = BlockStates.Disabled } },
            Pool("offline") with { Usable = false },
            Pool("only-thin") with { Thick = false },
            Pool("too-small", free: 3 << 20, limit: 5 << 20),
        ];
        var error = Assert.Throws<BlockStorageException>(() => PoolScheduler.Choose(pools, 8 << 20, "thick"));
        Assert.Equal(BlockErrors.NoValidPool.Id, error.ErrorId);
        Assert.NotEmpty(error.NextStep);
        Assert.Contains("8 MiB", error.Message, StringComparison.Ordinal);
        foreach (var reason in new[] { "disabled: is disabled", "offline: cannot be used now", "only-thin: makes no thick volumes", "too-small: has 3 MiB for thick volumes" })
            Assert.Contains(reason, error.Message, StringComparison.Ordinal);
        pools[2] = pools[2] with { Pool = Sample.Pool("only-thick"), Thin = false, Thick = true };
        error = Assert.Throws<BlockStorageException>(() => PoolScheduler.Choose(pools, 8 << 20, "thin"));
        Assert.Contains("only-thick: makes no thin volumes", error.Message, StringComparison.Ordinal);
        Assert.Contains("too-small: has 5 MiB left to provision", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Without_any_pool_it_says_so()
    {
        var error = Assert.Throws<BlockStorageException>(() => PoolScheduler.Choose([], 1, null));
        Assert.Equal(BlockErrors.NoValidPool.Id, error.ErrorId);
    }

    private static PoolScheduler.Candidate Pool(string name, long free = 1000, long limit = 1000) =>
        new(Sample.Pool(name) with { Provisioning = "thin" }, true, new PoolCapacity(limit, free, 0, limit), true, true);

    private static string Choose(PoolScheduler.Candidate[] pools, long size, string? provisioning = "thin") =>
        PoolScheduler.Choose(pools, size, provisioning).Name;

    private static string? ChooseOrNull(PoolScheduler.Candidate[] pools, long size, string provisioning)
    {
        try
        {
            return Choose(pools, size, provisioning);
        }
        catch (BlockStorageException error) when (error.Error == BlockErrors.NoValidPool)
        {
            return null;
        }
    }
}
