using System.Net.Sockets;
using System.Text;
using BlockStorage.Engine.Host;

namespace BlockStorage.Engine.Targets.Tgt;

/// <summary>What a request is about (enum tgtadm_mode).</summary>
internal enum TgtMode
{
    System,
    Target,
    LogicalUnit,
    Portal,
    Driver,
    Session,
    Connection,
    Account,
}

/// <summary>What to do (enum tgtadm_op).</summary>
internal enum TgtOperation
{
    New,
    Delete,
    Show,
    Bind,
    Unbind,
    Update,
    Statistics,
}

/// <summary>A request to tgtd.</summary>
/// <param name="Mode">What it is about.</param>
/// <param name="Operation">What to do.</param>
/// <param name="Tid">Target; -1 for all.</param>
/// <param name="Lun">Logical unit.</param>
/// <param name="Parameters">Text of key=value pairs. May hold a secret: never shown.</param>
internal sealed record TgtRequest(TgtMode Mode, TgtOperation Operation, int Tid = -1, int Lun = 0, string Parameters = "")
{
    private const int HeaderLength = 120;
    private const int ParameterLimit = 8 << 10;

    /// <summary>Session and connection, to end one.</summary>
    public (ulong Session, uint Connection) Nexus { get; init; }

    /// <summary>The account is the one the target proves itself with.</summary>
    public bool Outgoing { get; init; }

    /// <summary>Also while initiators are logged in.</summary>
    public bool Force { get; init; }

    /// <summary>Without the parameters, which may hold a secret.</summary>
    public override string ToString() => $"{Operation} {Mode} {Tid}".ToLowerInvariant();

    /// <summary>struct tgtadm_req and the parameters with their NUL.</summary>
    public byte[] ToBytes()
    {
        var text = Parameters.Length > 0 ? Encoding.UTF8.GetBytes(Parameters + "\0") : [];
        if (text.Length > ParameterLimit)
            throw new BlockStorageException(BlockErrors.InvalidArgument, $"A request to tgtd is longer than {ParameterLimit} bytes.", ToString());
        var bytes = new byte[HeaderLength + text.Length];
        Write32(0, (uint)Mode);
        Write32(4, (uint)Operation);
        "iscsi"u8.CopyTo(bytes.AsSpan(8));
        Write32(72, (uint)bytes.Length);
        Write32(76, (uint)Tid);
        BitConverter.TryWriteBytes(bytes.AsSpan(80), Nexus.Session);
        BitConverter.TryWriteBytes(bytes.AsSpan(88), (ulong)Lun);
        Write32(96, Nexus.Connection);
        Write32(108, Outgoing ? 1u : 0u);
        Write32(116, Force ? 1u : 0u);
        text.CopyTo(bytes, HeaderLength);
        return bytes;

        // The struct crosses a socket inside one machine: its integers are the machine's own.
        void Write32(int offset, uint value) => BitConverter.TryWriteBytes(bytes.AsSpan(offset), value);
    }
}

/// <summary>Error numbers of tgtd that somebody acts on (enum tgtadm_errno).</summary>
internal enum TgtError
{
    Success = 0,
    NoTarget = 4,
    NoLun = 5,
    NoSession = 6,
    NoConnection = 7,
    TargetExists = 9,
    AclExists = 12,
    AclAbsent = 13,
    UserExists = 14,
    NoUser = 15,
    InvalidRequest = 17,
    TargetActive = 19,
    LunActive = 20,
}

/// <summary>
/// Speaks with tgtd over its management socket, one request a connection. tgtadm is no way: it takes secrets as
/// arguments, which every user of the machine can read.
/// </summary>
internal sealed class TgtClient(string socketPath, TimeSpan timeout)
{
    private const int ReplyHeader = 8;
    private const int ReplyLimit = 256 << 20;
    private const int SocketLevel = 1;
    private const int PeerCredentials = 17;

    private static readonly Dictionary<int, string> Texts = new()
    {
        [1] = "unknown error",
        [2] = "out of memory",
        [3] = "the iSCSI driver is not there",
        [4] = "no such target",
        [5] = "no such logical unit",
        [6] = "no such session",
        [7] = "no such connection",
        [9] = "the target exists",
        [10] = "the logical unit exists",
        [12] = "the access rule exists",
        [13] = "no such access rule",
        [14] = "the account exists",
        [15] = "no such account",
        [16] = "too many accounts",
        [17] = "invalid request",
        [18] = "the target has an outgoing account",
        [19] = "the target is in use",
        [20] = "the logical unit is in use",
        [21] = "the iSCSI driver is busy",
        [22] = "not supported",
        [23] = "unknown parameter",
        [24] = "removal is prevented by an initiator",
    };

    /// <summary>Runs a request that must succeed.</summary>
    /// <exception cref="BlockStorageException">TargetUnavailable, or ToolFailed with what tgtd says.</exception>
    public async Task<string> RunAsync(TgtRequest request, string subject, CancellationToken cancel)
    {
        var (error, text) = await SendAsync(request, cancel).ConfigureAwait(false);
        return error == TgtError.Success ? text : throw Failure(error, request, subject);
    }

    /// <summary>Runs a request that may also end with one of these errors.</summary>
    /// <returns>How it ended.</returns>
    public async Task<TgtError> TryAsync(
        TgtRequest request, string subject, CancellationToken cancel, params TgtError[] accepted)
    {
        var (error, _) = await SendAsync(request, cancel).ConfigureAwait(false);
        return error == TgtError.Success || accepted.Contains(error) ? error : throw Failure(error, request, subject);
    }

    /// <summary>Process that listens on the socket, or null when none does.</summary>
    public ProcessEntry? FindDaemon()
    {
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            socket.Connect(new UnixDomainSocketEndPoint(socketPath));
        }
        catch (SocketException error) when (IsAbsent(error))
        {
            return null;
        }
        var credentials = new byte[12];
        socket.GetRawSocketOption(SocketLevel, PeerCredentials, credentials);
        // A killed one keeps its socket until its last thread has ended.
        return ProcessTable.Get(BitConverter.ToInt32(credentials));
    }

    /// <summary>Runs a request.</summary>
    /// <exception cref="BlockStorageException">TargetUnavailable.</exception>
    private async Task<(TgtError Error, string Text)> SendAsync(TgtRequest request, CancellationToken cancel)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        limit.CancelAfter(timeout);
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(socketPath), limit.Token).ConfigureAwait(false);
            using var stream = new NetworkStream(socket);
            await stream.WriteAsync(request.ToBytes(), limit.Token).ConfigureAwait(false);
            var header = new byte[ReplyHeader];
            await stream.ReadExactlyAsync(header, limit.Token).ConfigureAwait(false);
            var error = (TgtError)BitConverter.ToInt32(header);
            var length = BitConverter.ToUInt32(header, 4) - (long)ReplyHeader;
            if (error != TgtError.Success)
                return (error, "");
            if (length is < 0 or > ReplyLimit)
                throw Unavailable("gives an answer of a length that cannot be");
            var text = new byte[length];
            await stream.ReadExactlyAsync(text, limit.Token).ConfigureAwait(false);
            return (error, Encoding.UTF8.GetString(text).TrimEnd('\0'));
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
            throw Unavailable($"does not answer within {timeout.TotalSeconds:0.#} s");
        }
        catch (Exception error) when (error is SocketException or IOException)
        {
            throw Unavailable("does not run or does not take the request", error);
        }
    }

    private static bool IsAbsent(SocketException error) =>
        error.SocketErrorCode is SocketError.ConnectionRefused or SocketError.AddressNotAvailable;

    private static BlockStorageException Unavailable(string what, Exception? cause = null) =>
        new(BlockErrors.TargetUnavailable, $"The target daemon tgtd {what}.", "tgtd", cause: cause);

    private static BlockStorageException Failure(TgtError error, TgtRequest request, string subject)
    {
        var said = Texts.GetValueOrDefault((int)error, $"error {(int)error}");
        return error switch
        {
            TgtError.NoTarget => new(BlockErrors.TargetNotFound, $"tgtd has no target '{subject}'.", subject),
            TgtError.TargetActive => new(BlockErrors.TargetHasSessions, $"Initiators are logged in to '{subject}'.", subject),
            TgtError.LunActive => new(BlockErrors.DeviceInUse, $"The logical unit of '{subject}' does not come to rest.", subject,
                "Get-BlockConnection | Disconnect-BlockVolume"),
            _ => new(BlockErrors.ToolFailed, $"tgtd refuses '{request}' for '{subject}': {said}.", subject),
        };
    }
}
