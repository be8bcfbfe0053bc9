using System.Buffers.Binary;

namespace BlockStorage.Engine.Targets.Iscsi;

/// <summary>Operation codes that discovery and proving need (RFC 7143, 11.2.1.2).</summary>
internal static class IscsiOpcode
{
    public const byte NopOut = 0x00;
    public const byte ScsiCommand = 0x01;
    public const byte LoginRequest = 0x03;
    public const byte TextRequest = 0x04;
    public const byte LogoutRequest = 0x06;
    public const byte NopIn = 0x20;
    public const byte ScsiResponse = 0x21;
    public const byte LoginResponse = 0x23;
    public const byte TextResponse = 0x24;
    public const byte ScsiDataIn = 0x25;
    public const byte LogoutResponse = 0x26;
    public const byte Reject = 0x3f;
}

/// <summary>One protocol data unit: a basic header segment of 48 bytes and a data segment.</summary>
internal sealed class IscsiPdu
{
    private const int HeaderLength = 48;

    /// <summary>More than any data segment that we ask for; a longer one is not iSCSI.</summary>
    public const int DataLimit = 1 << 20;

    private readonly byte[] _header = new byte[HeaderLength];

    /// <summary>Makes a request.</summary>
    public IscsiPdu(byte opcode, byte flags, uint taskTag)
    {
        _header[0] = opcode;
        _header[1] = flags;
        SetUInt32(16, taskTag);
    }

    private IscsiPdu(byte[] header, byte[] data) => (_header, Data) = (header, data);

    /// <summary>Data segment without padding.</summary>
    public byte[] Data { get; init; } = [];

    /// <summary>Operation code without the immediate bit.</summary>
    public byte Opcode => (byte)(_header[0] & 0x3f);

    /// <summary>Second byte: the flags of the operation.</summary>
    public byte Flags => _header[1];

    /// <summary>Initiator task tag.</summary>
    public uint TaskTag => UInt32(16);

    /// <summary>A byte of the header.</summary>
    public byte this[int offset]
    {
        get => _header[offset];
        set => _header[offset] = value;
    }

    /// <summary>A part of the header to fill.</summary>
    public Span<byte> Span(int offset, int length) => _header.AsSpan(offset, length);

    /// <summary>A field of four bytes.</summary>
    public uint UInt32(int offset) => BinaryPrimitives.ReadUInt32BigEndian(_header.AsSpan(offset));

    /// <summary>Sets a field of four bytes.</summary>
    public void SetUInt32(int offset, uint value) => BinaryPrimitives.WriteUInt32BigEndian(_header.AsSpan(offset), value);

    /// <summary>Sends it in one write.</summary>
    public async Task WriteAsync(Stream stream, CancellationToken cancel)
    {
        var bytes = new byte[HeaderLength + Padded(Data.Length)];
        _header.CopyTo(bytes, 0);
        bytes[5] = (byte)(Data.Length >> 16);
        bytes[6] = (byte)(Data.Length >> 8);
        bytes[7] = (byte)Data.Length;
        Data.CopyTo(bytes, HeaderLength);
        await stream.WriteAsync(bytes, cancel).ConfigureAwait(false);
    }

    /// <summary>Reads one from a peer that may send anything.</summary>
    /// <exception cref="InvalidDataException">Not a PDU that a peer may send.</exception>
    /// <exception cref="EndOfStreamException">The peer closed.</exception>
    public static async Task<IscsiPdu> ReadAsync(Stream stream, CancellationToken cancel)
    {
        var header = new byte[HeaderLength];
        await stream.ReadExactlyAsync(header, cancel).ConfigureAwait(false);
        var length = (header[5] << 16) | (header[6] << 8) | header[7];
        if ((header[0] & 0x3f) < IscsiOpcode.NopIn || length > DataLimit)
            throw new InvalidDataException("The peer does not speak iSCSI.");
        // Additional header segments carry nothing that we ask for, but must be read past.
        var rest = new byte[(header[4] * 4) + Padded(length)];
        await stream.ReadExactlyAsync(rest, cancel).ConfigureAwait(false);
        return new IscsiPdu(header, rest.AsSpan(header[4] * 4, length).ToArray());
    }

    private static int Padded(int length) => (length + 3) & ~3;
}
