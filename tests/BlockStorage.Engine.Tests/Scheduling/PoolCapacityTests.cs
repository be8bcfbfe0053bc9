using BlockStorage.Engine.Scheduling;
using BlockStorage.Engine.Tests.Catalog;
using BlockStorage.Engine.Volumes;

namespace BlockStorage.Engine.Tests.Scheduling;

public sealed class PoolCapacityTests
{
    private const long Max = long.MaxValue;

    [Theory]
    // total free ratio reserved% provisioned pending | free limit thin thick
    [InlineData(1000, 1000, 1, 0, 0, 0, 1000, 1000, 1000, 1000)]
    [InlineData(1000, 400, 1, 0, 600, 0, 400, 1000, 400, 400)]
    [InlineData(1000, 900, 1, 0, 600, 0, 900, 1000, 400, 400)]
    [InlineData(1000, 100, 2.5, 0, 600, 0, 100, 2500, 1900, 100)]
    [InlineData(1000, 500, 20, 0, 0, 200, 300, 20_000, 20_000, 300)]
    [InlineData(1000, 500, 2.5, 10, 0, 0, 400, 2250, 2250, 400)]
    [InlineData(1000, 50, 2.5, 10, 0, 0, 0, 2250, 2250, 0)]
    [InlineData(1000, 1000, 1, 100, 0, 0, 0, 0, 0, 0)]
    [InlineData(1000, 1000, 1, 0, 5000, 0, 1000, 1000, 0, 0)]
    [InlineData(1000, 100, 1, 0, 0, 500, 0, 1000, 1000, 0)]
    [InlineData(0, 0, 20, 0, 0, 0, 0, 0, 0, 0)]
    [InlineData(Max, Max, 20, 0, 0, 0, Max, Max, Max, Max)]
    [InlineData(Max / 2, Max / 2, 2.5, 0, Max - 5, 0, Max / 2, Max, 5, 5)]
    [InlineData(1000, 100, 20, 50, 0, Max, 0, 10_000, 10_000, 0)]
    public void The_figures_are_right(
        long total, long free, double ratio, int reserved, long provisioned, long pending,
        long expectedFree, long expectedLimit, long thin, long thick)
    {
        var capacity = Of(total, free, ratio, reserved, [provisioned], pending);
        Assert.Equal((total, expectedFree, provisioned, expectedLimit), (capacity.Total, capacity.Free, capacity.Provisioned, capacity.Limit));
        Assert.Equal((thin, thick), (capacity.ThinAvailable, capacity.ThickAvailable));
    }

    [Fact]
    public void Sums_stop_at_the_largest_number()
    {
        var capacity = Of(1000, 1000, 20, 0, [Max, Max, 1], Max);
        Assert.Equal((Max, 0L, 0L), (capacity.Provisioned, capacity.ThinAvailable, capacity.Free));
    }

    [Fact]
    public void Pending_of_volumes_and_snapshots_counts()
    {
        var capacity = PoolCapacity.Of(Sample.Pool() with { OversubscriptionRatio = 1, ReservedPercent = 0 }, Status(1000, 1000),
            [Sample.Volume() with { Size = 100, Pending = 30 }], [Sample.Snapshot() with { Size = 9999, Pending = 50 }]);
        Assert.Equal((920L, 100L, 900L), (capacity.Free, capacity.Provisioned, capacity.ThinAvailable));
    }

    [Theory]
    [InlineData(400, 400, true)]
    [InlineData(400, 0, true)]
    [InlineData(401, 0, false)]
    [InlineData(0, 300, true)]
    [InlineData(0, 901, false)]
    [InlineData(Max, 0, false)]
    [InlineData(0, Max, false)]
    public void What_does_not_fit_is_refused_with_figures(long size, long physical, bool fits)
    {
        var capacity = Of(1000, 900, 1, 0, [600], 0);
        if (fits)
        {
            capacity.Require(size, physical, "p1");
            return;
        }
        var error = Assert.Throws<BlockStorageException>(() => capacity.Require(size, physical, "p1"));
        Assert.Equal((BlockErrors.InsufficientSpace.Id, "p1"), (error.ErrorId, error.Subject));
        Assert.Contains(ByteSize.Format(size > 0 ? size : physical), error.Message, StringComparison.Ordinal);
        Assert.Contains("p1", error.NextStep, StringComparison.Ordinal);
    }

    private static PoolCapacity Of(long total, long free, double ratio, int reserved, long[] sizes, long pending) => PoolCapacity.Of(
        Sample.Pool() with { OversubscriptionRatio = ratio, ReservedPercent = reserved }, Status(total, free),
        sizes.Select((size, index) => Sample.Volume() with { Size = size, Pending = index == 0 ? pending : 0 }), []);

    private static PoolStatus Status(long total, long free) => new(true, "ok", total, free, false, "");
}
