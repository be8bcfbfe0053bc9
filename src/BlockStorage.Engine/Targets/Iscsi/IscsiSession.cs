using System.Globalization;
using System.Net.Sockets;
using System.Security.Cryptography;

namespace BlockStorage.Engine.Targets.Iscsi;

/// <summary>
/// A session over one connection, for asking and proving, not for data. Everything over it together is bounded by the
/// timeout of the login, and a peer that sends garbage gets an error, never a hang.
/// </summary>
internal sealed class IscsiSession : IAsyncDisposable
{
    private const byte Immediate = 0x40;
    private const byte Final = 0x80;
    private const byte Continues = 0x40;
    private const byte ReadsData = 0x40;
    private const int LoginRounds = 16;
    private const uint NoTag = 0xffffffff;
    private readonly IscsiLogin _login;
    private readonly CancellationTokenSource _limit;
    private readonly CancellationToken _cancel;
    private readonly TcpClient _client;
    private Stream _stream = Stream.Null;
    private uint _taskTag = 1;
    private uint _commandNumber = 1;
    private uint _statusNumber;
    private bool _loggedIn;

    private IscsiSession(IscsiLogin login, CancellationToken cancel)
    {
        _login = login;
        _cancel = cancel;
        _limit = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        _limit.CancelAfter(login.Timeout);
        _client = new TcpClient { NoDelay = true };
    }

    /// <summary>Portal group tag that the target told (RFC 7143, 13.9).</summary>
    public int PortalGroup { get; private set; } = 1;

    /// <summary>Connects and logs in.</summary>
    /// <exception cref="BlockStorageException">PortalUnreachable, ChapRejected, CredentialRequired, AccessDenied.</exception>
    public static async Task<IscsiSession> OpenAsync(IscsiLogin login, CancellationToken cancel)
    {
        if (login.MutualChap is not null && login.Chap is null)
            throw new BlockStorageException(BlockErrors.InvalidCredential,
                "The target can only be made to prove its secret where the initiator proves one too.", login.Subject);
        var session = new IscsiSession(login, cancel);
        try
        {
            await session.GuardAsync(session.LogInAsync).ConfigureAwait(false);
            return session;
        }
        catch
        {
            await session.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Asks with text and gives the whole answer.</summary>
    public async Task<IReadOnlyList<(string Key, string Value)>> TextAsync(string key, string value)
    {
        IReadOnlyList<(string, string)> answer = [];
        await GuardAsync(async () =>
        {
            using var whole = new MemoryStream();
            var request = Request(IscsiOpcode.TextRequest, Final, IscsiText.Format([(key, value)]), NoTag);
            while (true)
            {
                var reply = await ExchangeAsync(request, IscsiOpcode.TextResponse).ConfigureAwait(false);
                Append(whole, reply.Data);
                var transferTag = reply.UInt32(20);
                if ((reply.Flags & Final) != 0 || transferTag == NoTag)
                    break;
                request = Request(IscsiOpcode.TextRequest, Final, [], transferTag);
            }
            answer = IscsiText.Parse(whole.ToArray());
        }).ConfigureAwait(false);
        return answer;
    }

    /// <summary>Runs a SCSI command that only reads.</summary>
    /// <param name="lun">Logical unit number.</param>
    /// <param name="command">Command descriptor block, up to 16 bytes.</param>
    /// <param name="length">Most bytes to take.</param>
    /// <returns>SCSI status, what was read, and sense data.</returns>
    public async Task<(byte Status, byte[] Data, byte[] Sense)> ReadCommandAsync(int lun, ReadOnlyMemory<byte> command, int length)
    {
        (byte, byte[], byte[]) result = default;
        await GuardAsync(async () =>
        {
            var request = new IscsiPdu(IscsiOpcode.ScsiCommand, Final | ReadsData, _taskTag++);
            // Flat or peripheral addressing (SAM-5, 4.7): both are the bare number below 256.
            request[8] = (byte)(lun < 256 ? 0 : 0x40 | (lun >> 8));
            request[9] = (byte)lun;
            request.SetUInt32(20, (uint)length);
            request.SetUInt32(24, _commandNumber++);
            request.SetUInt32(28, _statusNumber);
            command.Span.CopyTo(request.Span(32, 16));
            await request.WriteAsync(_stream, _limit.Token).ConfigureAwait(false);
            result = await CollectAsync(request.TaskTag, length).ConfigureAwait(false);
        }).ConfigureAwait(false);
        return result;
    }

    /// <summary>Logs out where possible and closes.</summary>
    public async ValueTask DisposeAsync()
    {
        if (_loggedIn)
        {
            try
            {
                await ExchangeAsync(Request(IscsiOpcode.LogoutRequest, Final, []), IscsiOpcode.LogoutResponse).ConfigureAwait(false);
            }
            catch (Exception error) when (error is IOException or SocketException or InvalidDataException
                or OperationCanceledException or BlockStorageException)
            {
                // The session ends with its connection anyway.
            }
        }
        _client.Dispose();
        _limit.Dispose();
    }

    private async Task LogInAsync()
    {
        await _client.ConnectAsync(_login.Portal.Address, _login.Portal.Port, _limit.Token).ConfigureAwait(false);
        _stream = _client.GetStream();
        // A random identifier (type 10b) never takes over another session of the same initiator.
        var identifier = RandomNumberGenerator.GetBytes(6);
        identifier[0] = 0x80;
        var negotiation = new IscsiNegotiation(_login);
        (byte Flags, IReadOnlyList<(string, string)> Pairs)? step = negotiation.First();
        for (var round = 0; step is { } send; round++)
        {
            if (round == LoginRounds)
                throw new InvalidDataException("The login does not come to an end.");
            var request = new IscsiPdu(IscsiOpcode.LoginRequest | Immediate, send.Flags, _taskTag) { Data = IscsiText.Format(send.Pairs) };
            identifier.CopyTo(request.Span(8, 6));
            request.SetUInt32(24, _commandNumber);
            request.SetUInt32(28, _statusNumber);
            var (flags, answer) = await LoginAnswerAsync(request).ConfigureAwait(false);
            if (ushort.TryParse(answer.Find("TargetPortalGroupTag"), NumberStyles.None, CultureInfo.InvariantCulture, out var group))
                PortalGroup = group;
            step = negotiation.Next(flags, answer);
        }
        _loggedIn = true;
    }

    private async Task<(byte Flags, IReadOnlyList<(string Key, string Value)> Answer)> LoginAnswerAsync(IscsiPdu request)
    {
        using var whole = new MemoryStream();
        while (true)
        {
            var reply = await ExchangeAsync(request, IscsiOpcode.LoginResponse).ConfigureAwait(false);
            if (reply[36] != 0)
                throw IscsiStatus.Error(_login, reply[36], reply[37], IscsiText.Parse(reply.Data));
            Append(whole, reply.Data);
            if ((reply.Flags & Continues) == 0)
                return (reply.Flags, IscsiText.Parse(whole.ToArray()));
        }
    }

    private IscsiPdu Request(byte opcode, byte flags, byte[] data, uint transferTag = 0)
    {
        var request = new IscsiPdu((byte)(opcode | Immediate), flags, _taskTag++) { Data = data };
        request.SetUInt32(20, transferTag);
        request.SetUInt32(24, _commandNumber);
        request.SetUInt32(28, _statusNumber);
        return request;
    }

    private async Task<IscsiPdu> ExchangeAsync(IscsiPdu request, byte expected)
    {
        await request.WriteAsync(_stream, _limit.Token).ConfigureAwait(false);
        var reply = await ReadAsync().ConfigureAwait(false);
        return reply.Opcode == expected && reply.TaskTag == request.TaskTag ? reply
            : throw new InvalidDataException("The peer gives an answer that was not asked for.");
    }

    private async Task<(byte Status, byte[] Data, byte[] Sense)> CollectAsync(uint tag, int length)
    {
        var data = new byte[length];
        var count = 0;
        while (true)
        {
            var reply = await ReadAsync().ConfigureAwait(false);
            if (reply.TaskTag != tag || reply.Opcode is not (IscsiOpcode.ScsiDataIn or IscsiOpcode.ScsiResponse))
                throw new InvalidDataException("The peer gives an answer that was not asked for.");
            if (reply.Opcode == IscsiOpcode.ScsiResponse)
            {
                if (reply[2] != 0)
                    throw new InvalidDataException("The target failed to run a command.");
                return (reply[3], data[..count], reply.Data.Length > 2 ? reply.Data[2..] : []);
            }
            var offset = (int)Math.Min(reply.UInt32(40), int.MaxValue);
            if (offset > length || reply.Data.Length > length - offset)
                throw new InvalidDataException("The peer sends more than was asked for.");
            reply.Data.CopyTo(data, offset);
            count = Math.Max(count, offset + reply.Data.Length);
            if ((reply.Flags & 1) != 0)
                return (reply[3], data[..count], []);
        }
    }

    private async Task<IscsiPdu> ReadAsync()
    {
        while (true)
        {
            var reply = await IscsiPdu.ReadAsync(_stream, _limit.Token).ConfigureAwait(false);
            if (reply.Opcode == IscsiOpcode.Reject)
                throw new InvalidDataException($"The peer rejects the request (reason {reply[2]}).");
            if (reply.Opcode != IscsiOpcode.NopIn)
            {
                _statusNumber = reply.UInt32(24) + 1;
                return reply;
            }
            // A ping of the target wants its tag back.
            if (reply.UInt32(20) != NoTag)
            {
                var pong = new IscsiPdu(IscsiOpcode.NopOut | Immediate, Final, NoTag);
                pong.SetUInt32(20, reply.UInt32(20));
                pong.SetUInt32(24, _commandNumber);
                pong.SetUInt32(28, _statusNumber);
                await pong.WriteAsync(_stream, _limit.Token).ConfigureAwait(false);
            }
        }
    }

    private static void Append(MemoryStream whole, byte[] data)
    {
        if (whole.Length + data.Length > IscsiText.Limit)
            throw new InvalidDataException("The answer is too long.");
        whole.Write(data);
    }

    private async Task GuardAsync(Func<Task> work)
    {
        try
        {
            await work().ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!_cancel.IsCancellationRequested)
        {
            throw IscsiStatus.Unreachable(_login, $"did not answer within {_login.Timeout.TotalSeconds:0.#} s");
        }
        catch (EndOfStreamException error)
        {
            throw IscsiStatus.Unreachable(_login, "closed the connection", error);
        }
        catch (Exception error) when (error is IOException or SocketException)
        {
            throw IscsiStatus.Unreachable(_login, $"cannot be reached: {error.Message}", error);
        }
        catch (InvalidDataException error)
        {
            throw IscsiStatus.Unreachable(_login, $"does not answer as an iSCSI target: {error.Message}", error);
        }
    }
}
