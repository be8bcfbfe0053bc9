using BlockStorage.Engine.Targets;

namespace BlockStorage.Engine.Tests.Targets;

public sealed class PortalTests
{
    /// <summary>6.4: IPv6 brackets and case in portals.</summary>
    [Theory]
    [InlineData("192.0.2.1", "192.0.2.1", 0)]
    [InlineData(" 192.0.2.1:3261 ", "192.0.2.1", 3261)]
    [InlineData("2001:DB8:0:0::1", "2001:db8::1", 0)]
    [InlineData("[2001:DB8::1]", "2001:db8::1", 0)]
    [InlineData("[2001:db8::1]:3260", "2001:db8::1", 3260)]
    [InlineData("::ffff:192.0.2.1", "192.0.2.1", 0)]
    [InlineData("0.0.0.0:65535", "0.0.0.0", 65535)]
    public void What_people_write_is_read(string text, string address, int port)
    {
        var portal = Portal.Read(text);
        Assert.Equal(new Portal(address, port), portal);
        Assert.Equal(portal, Portal.Parse(portal.ToString()));
    }

    [Theory]
    [InlineData("")]
    [InlineData("store1")]
    [InlineData("127.1")]
    [InlineData("1")]
    [InlineData("0x7f000001")]
    [InlineData("192.0.2.256")]
    [InlineData("192.0.2.1:")]
    [InlineData("192.0.2.1:0")]
    [InlineData("192.0.2.1:65536")]
    [InlineData("192.0.2.1:-1")]
    [InlineData("192.0.2.1:+1")]
    [InlineData("192.0.2.1,1")]
    [InlineData("[192.0.2.1]:3260")]
    [InlineData("[2001:db8::1")]
    [InlineData("[2001:db8::1]3260")]
    [InlineData("[]:3260")]
    [InlineData("fe80::1%eth0")]
    public void Other_texts_are_refused(string text)
    {
        var error = Assert.Throws<BlockStorageException>(() => Portal.Read(text));
        Assert.Equal((BlockErrors.InvalidArgument, text), (error.Error, error.Subject));
    }

    [Theory]
    [InlineData("192.0.2.1:3260", "192.0.2.1:3260", true)]
    [InlineData("192.0.2.1:3260", "192.0.2.1:3261", false)]
    [InlineData("192.0.2.1:3260", "192.0.2.2:3260", false)]
    [InlineData("0.0.0.0:3260", "192.0.2.2:3260", true)]
    [InlineData("192.0.2.2:3260", "[::]:3260", true)]
    [InlineData("[0:0::1]:3260", "[::1]:3260", true)]
    public void Two_meet_where_nothing_could_listen_at_both(string one, string other, bool meet) =>
        Assert.Equal((meet, meet), (Portal.Parse(one).Meets(Portal.Parse(other)), Portal.Parse(other).Meets(Portal.Parse(one))));
}
