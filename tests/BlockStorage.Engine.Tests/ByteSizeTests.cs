namespace BlockStorage.Engine.Tests;

public class ByteSizeTests
{
    [Theory]
    [InlineData("1", 1)]
    [InlineData("10GB", 10L << 30)]
    [InlineData("10GiB", 10L << 30)]
    [InlineData("10g", 10L << 30)]
    [InlineData(" 1.5 TB ", 1536L << 30)]
    [InlineData("512KiB", 512L << 10)]
    [InlineData("7EB", 7L << 60)]
    public void Parse_reads_what_people_type(string text, long bytes) => Assert.Equal(bytes, ByteSize.Parse(text));

    [Theory]
    [InlineData("")]
    [InlineData("0")]
    [InlineData("-1GB")]
    [InlineData("1.5")]
    [InlineData("abc")]
    [InlineData("9EB")]
    [InlineData("10XB")]
    [InlineData("10%")]
    [InlineData("1e400")]
    [InlineData("99999999999999999999999999999999EB")]
    [InlineData("GB")]
    [InlineData("1..5GB")]
    public void Parse_refuses_what_is_no_size(string text)
    {
        var error = Assert.Throws<BlockStorageException>(() => ByteSize.Parse(text));
        Assert.Equal("InvalidSize", error.ErrorId);
        Assert.NotEmpty(error.NextStep);
    }

    [Theory]
    [InlineData(0, "0 B")]
    [InlineData(1023, "1023 B")]
    [InlineData(1024, "1 KiB")]
    [InlineData(10L << 30, "10 GiB")]
    [InlineData(1536L << 30, "1.5 TiB")]
    [InlineData(long.MaxValue, "8 EiB")]
    public void Format_uses_the_largest_unit(long bytes, string text) => Assert.Equal(text, ByteSize.Format(bytes));

    [Fact]
    public void Every_error_has_a_category_and_a_next_step()
    {
        Assert.True(BlockErrors.All.Count > 40);
        Assert.Equal(BlockErrors.All.Count, BlockErrors.All.Select(error => error.Id).Distinct().Count());
        Assert.All(BlockErrors.All, error =>
        {
            Assert.NotEqual("NotSpecified", error.Category);
            Assert.NotEmpty(error.NextStep);
            Assert.NotEmpty(error.Summary);
        });
    }
}
