using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using BlockStorage.Engine.Targets;
using BlockStorage.Engine.Targets.Iscsi;
using BlockStorage.Services;

namespace BlockStorage.Engine.Tests.Targets.Iscsi;

public class IscsiDiscoveryTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromMilliseconds(700);

    [Fact]
    public void Targets_are_read_with_and_without_addresses()
    {
        var found = IscsiDiscovery.ParseTargets(
            [("TargetName", "iqn.a:1"), ("TargetAddress", "10.0.0.1:3261,2"), ("TargetAddress", "[fd00::1]:3260,1"), ("TargetAddress", "store.example,7"),
             ("TargetName", "iqn.a:2"), ("TargetName", "iqn.a:3"), ("TargetAddress", "0.0.0.0:3260,1")], new Portal("10.9.9.9", 99));
        Assert.Equal(
            [new("iqn.a:1", "10.0.0.1", 3261, 2), new("iqn.a:1", "fd00::1", 3260, 1), new("iqn.a:1", "store.example", 3260, 7),
             new("iqn.a:2", "10.9.9.9", 99, 1), new DiscoveredTarget("iqn.a:3", "10.9.9.9", 3260, 1)], found);
    }

    [Theory]
    [InlineData("TargetAddress", "10.0.0.1:3260,1")]
    [InlineData("TargetName", "not a name")]
    [InlineData("TargetName", "iqn.a\u001b[2J")]
    [InlineData("TargetName", "iqn.with blank")]
    [InlineData("TargetName", "")]
    public void What_is_no_target_is_left_out(string key, string value) =>
        Assert.Empty(IscsiDiscovery.ParseTargets([(key, value), ("TargetAddress", "10.0.0.1:3260,1")], new Portal("h", 1)));

    [Theory]
    [InlineData("10.0.0.1:99999,1")]
    [InlineData("10.0.0.1:x,1")]
    [InlineData("10.0.0.1:3260,y")]
    [InlineData(";rm -rf,1")]
    [InlineData("")]
    public void What_is_no_address_is_left_out(string address) =>
        Assert.Empty(IscsiDiscovery.ParseTargets([("TargetName", "iqn.a:1"), ("TargetAddress", address)], new Portal("h", 1)));

    [Theory]
    [InlineData("0x0102ff", new byte[] { 1, 2, 255 })]
    [InlineData("0X123", new byte[] { 1, 0x23 })]
    [InlineData("0bAQL/", new byte[] { 1, 2, 255 })]
    [InlineData("0xzz", null)]
    [InlineData("0b!!", null)]
    [InlineData("12", null)]
    [InlineData("", null)]
    public void Chap_bytes(string text, byte[]? bytes) => Assert.Equal(bytes, Chap.Decode(text));

    // RFC 1994: MD5 over identifier, secret, challenge.
    [Fact]
    public void Chap_response() => Assert.Equal(
        "0x" + Convert.ToHexStringLower(MD5.HashData([7, .. "secret"u8, 1, 2, 3])), Chap.Response(7, "secret", [1, 2, 3]));

    [Fact]
    public async Task A_closed_port_is_unreachable()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var port = ((IPEndPoint)listener.LocalEndpoint).Port;
        listener.Stop();
        await AssertUnreachableAsync(port);
    }

    [Fact]
    public async Task A_host_name_that_does_not_exist_is_unreachable()
    {
        var error = await Assert.ThrowsAsync<BlockStorageException>(
            () => IscsiDiscovery.DiscoverAsync(new Portal("no-such-host.invalid", 3260), "iqn.a:h", null, TimeSpan.FromSeconds(20), default));
        Assert.Equal(BlockErrors.PortalUnreachable, error.Error);
    }

    public static TheoryData<string, byte[]> Garbage => new()
    {
        { "silence", [] },
        { "text", "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n<html>this is no iSCSI target at all</html>"u8.ToArray() },
        { "zeros", new byte[4096] },
        { "ones", Enumerable.Repeat((byte)255, 4096).ToArray() },
        { "half a header", [0x23, 0x87, 0, 0] },
        { "long segment", Header(0x23, 0x87, 0xffffff, []) },
        { "another answer", Header(0x26, 0x80, 0, []) },
        { "wrong tag", Header(0x23, 0x87, 0, [], tag: 99) },
        { "stage that does not exist", Header(0x23, 0x82, 0, []) },
        { "endless continuation", Enumerable.Repeat(Header(0x23, 0x40, 16, new byte[16]), 2000).SelectMany(part => part).ToArray() },
        { "pings only", Enumerable.Repeat(Header(0x20, 0x80, 0, [], tag: 0xffffffff), 500).SelectMany(part => part).ToArray() },
        { "reject", Header(0x3f, 0x80, 0, []) },
        { "challenge nobody asked for", Text("CHAP_A=5\0CHAP_I=1\0CHAP_C=0x00\0") },
    };

    [Theory]
    [MemberData(nameof(Garbage))]
    public async Task Garbage_is_an_error_and_no_hang(string what, byte[] answer)
    {
        using var peer = new FakePeer(answer);
        var started = DateTime.UtcNow;
        await AssertUnreachableAsync(peer.Port);
        Assert.True(DateTime.UtcNow - started < TimeSpan.FromSeconds(5), what);
    }

    [Fact]
    public async Task A_target_that_sends_our_challenge_back_is_refused()
    {
        using var peer = new FakePeer(
            Text("AuthMethod=CHAP\0"),
            [.. Text("CHAP_A=5\0CHAP_I=1\0CHAP_C=0x0011\0", tag: 1)],
            [.. Text("CHAP_N=t\0CHAP_R=0x00\0", tag: 1, flags: 0x81)]);
        var error = await Assert.ThrowsAsync<BlockStorageException>(() => IscsiDiscovery.ProveLoginAsync(new IscsiLogin(
            new Portal("127.0.0.1", peer.Port), "iqn.a:1", "iqn.a:h", new ChapCredential("u", "secretsecret"),
            new ChapCredential("t", "othersecret1"), TimeSpan.FromSeconds(5)), default));
        Assert.Equal(BlockErrors.ChapRejected, error.Error);
    }

    [Fact]
    public async Task A_target_that_skips_its_proof_is_refused()
    {
        using var peer = new FakePeer(Text("AuthMethod=None\0", flags: 0x81));
        var error = await Assert.ThrowsAsync<BlockStorageException>(() => IscsiDiscovery.ProveLoginAsync(new IscsiLogin(
            new Portal("127.0.0.1", peer.Port), "iqn.a:1", "iqn.a:h", new ChapCredential("u", "secretsecret"),
            new ChapCredential("t", "othersecret1"), TimeSpan.FromSeconds(5)), default));
        Assert.Equal(BlockErrors.ChapRejected, error.Error);
    }

    [Fact]
    public async Task Canceling_ends_the_waiting()
    {
        using var peer = new FakePeer([]);
        using var cancel = new CancellationTokenSource(TimeSpan.FromMilliseconds(100));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => IscsiDiscovery.DiscoverAsync(
            new Portal("127.0.0.1", peer.Port), "iqn.a:h", null, TimeSpan.FromSeconds(30), cancel.Token));
    }

    private static async Task AssertUnreachableAsync(int port)
    {
        var error = await Assert.ThrowsAsync<BlockStorageException>(
            () => IscsiDiscovery.DiscoverAsync(new Portal("127.0.0.1", port), "iqn.a:h", null, Limit, default));
        Assert.Equal(BlockErrors.PortalUnreachable, error.Error);
    }

    private static byte[] Text(string pairs, uint tag = 1, byte flags = 0) => Header(0x23, flags, pairs.Length, Encoding.ASCII.GetBytes(pairs), tag);

    private static byte[] Header(byte opcode, byte flags, int length, byte[] data, uint tag = 1)
    {
        var bytes = new byte[48 + ((data.Length + 3) & ~3)];
        (bytes[0], bytes[1], bytes[5], bytes[6], bytes[7]) = (opcode, flags, (byte)(length >> 16), (byte)(length >> 8), (byte)length);
        (bytes[16], bytes[17], bytes[18], bytes[19]) = ((byte)(tag >> 24), (byte)(tag >> 16), (byte)(tag >> 8), (byte)tag);
        data.CopyTo(bytes, 48);
        return bytes;
    }

    /// <summary>Answers the requests of one connection with prepared bytes, then says nothing more.</summary>
    private sealed class FakePeer : IDisposable
    {
        private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
        private TcpClient? _client;

        public FakePeer(params byte[][] answers)
        {
            _listener.Start();
            Port = ((IPEndPoint)_listener.LocalEndpoint).Port;
            _ = ServeAsync(answers);
        }

        public int Port { get; }

        public void Dispose()
        {
            _client?.Dispose();
            _listener.Dispose();
        }

        private async Task ServeAsync(byte[][] answers)
        {
            try
            {
                _client = await _listener.AcceptTcpClientAsync();
                foreach (var answer in answers)
                {
                    await _client.GetStream().ReadAtLeastAsync(new byte[8192], 1);
                    await _client.GetStream().WriteAsync(answer);
                }
            }
            catch (Exception error) when (error is IOException or SocketException or ObjectDisposedException)
            {
                // The other side has seen enough.
            }
        }
    }
}
