using BlockStorage.Engine.Scheduling;
using BlockStorage.Engine.Tests.Catalog;
using BlockStorage.Engine.Volumes;

namespace BlockStorage.Engine.Tests.Scheduling;

public sealed class PoolWarningTests
{
    [Theory]
    // used data metadata | warning from | words
    [InlineData(79, null, null, 80, null)]
    [InlineData(80, null, null, 80, "80 % used, warning from 80 %")]
    [InlineData(10, 79.9, 59.9, 80, null)]
    [InlineData(10, 80.0, 10.0, 80, "data 80 % used, warning from 80 %; soon")]
    [InlineData(10, 10.0, 60.0, 80, "metadata 60 % used, warning from 60 %; soon")]
    [InlineData(95, 97.25, 70.0, 90, "data 97.3 % used, warning from 90 %; metadata 70 % used, warning from 60 %; 95 % used, warning from 90 %; soon")]
    [InlineData(10, 30.0, 10.0, 30, "data 30 % used, warning from 30 %; soon")]
    public void It_names_what_fills_up(int used, double? data, double? metadata, int from, string? words)
    {
        var status = new PoolStatus(true, "ok", 1000, 1000 - used * 10, true, "")
        {
            DataPercent = data,
            MetadataPercent = metadata,
            Outlook = data is null ? "" : "soon",
        };
        Assert.Equal(words, PoolWarning.Of(Sample.Pool() with { WarningPercent = from }, status));
    }
}
