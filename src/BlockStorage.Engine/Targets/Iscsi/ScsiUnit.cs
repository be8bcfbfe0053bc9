using System.Buffers.Binary;
using System.Text;

namespace BlockStorage.Engine.Targets.Iscsi;

/// <summary>What a logical unit says of itself.</summary>
/// <param name="Lun">Number.</param>
/// <param name="Serial">VPD page 0x80 without padding, or empty.</param>
/// <param name="Size">Bytes.</param>
/// <param name="ReadOnly">It is write protected.</param>
internal sealed record ScsiUnit(int Lun, string Serial, long Size, bool ReadOnly)
{
    /// <summary>Portal group that the login went to.</summary>
    public int PortalGroup { get; init; } = 1;

    /// <summary>Numbers of all disks of the target, where they were asked for.</summary>
    public IReadOnlyList<int> Disks { get; init; } = [];
}

/// <summary>Reads what a logical unit is (SPC-4, SBC-3).</summary>
internal static class ScsiReader
{
    private const byte Good = 0;
    private const byte CheckCondition = 2;
    private const byte UnitAttention = 6;
    private const int Attempts = 6;

    /// <summary>Numbers of the disks of a target, smallest first.</summary>
    public static async Task<IReadOnlyList<int>> DisksAsync(IscsiSession session, string subject)
    {
        var answer = await ReadAsync(session, subject, 0, [0xa0, 0, 0, 0, 0, 0, 0, 0, 0x20, 0, 0, 0], 8192).ConfigureAwait(false);
        var end = answer.Length < 8 ? 0 : (int)Math.Min(8 + (long)BinaryPrimitives.ReadUInt32BigEndian(answer), answer.Length);
        List<int> disks = [];
        for (var at = 8; at + 8 <= end; at += 8)
        {
            // Only flat and peripheral addressing on bus 0 exist on disk targets.
            var lun = ((answer[at] & 0x3f) << 8) | answer[at + 1];
            var inquiry = await ReadAsync(session, subject, lun, [0x12, 0, 0, 0, 36, 0], 36).ConfigureAwait(false);
            if (inquiry.Length > 0 && inquiry[0] == 0)
                disks.Add(lun);
        }
        disks.Sort();
        return disks;
    }

    /// <summary>Serial number, size and write protection of a disk.</summary>
    public static async Task<ScsiUnit> UnitAsync(IscsiSession session, string subject, int lun)
    {
        var inquiry = await ReadAsync(session, subject, lun, [0x12, 0, 0, 0, 36, 0], 36).ConfigureAwait(false);
        if (inquiry.Length == 0 || inquiry[0] != 0)
            throw new BlockStorageException(BlockErrors.WrongDevice, $"'{subject}' has no disk with number {lun}.", subject);
        var page = await TryReadAsync(session, lun, [0x12, 1, 0x80, 0, 252, 0], 252).ConfigureAwait(false);
        var serial = page is { Length: >= 4 } && page[1] == 0x80
            ? Encoding.ASCII.GetString(page, 4, Math.Min(page[3], page.Length - 4)).Trim(' ', '\0') : "";
        var capacity = await ReadAsync(session, subject, lun, [0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0], 32).ConfigureAwait(false);
        var size = capacity.Length < 12 ? -1 : Bytes(BinaryPrimitives.ReadUInt64BigEndian(capacity), BinaryPrimitives.ReadUInt32BigEndian(capacity.AsSpan(8)));
        if (size < 0)
            throw new BlockStorageException(BlockErrors.WrongDevice, $"'{subject}' gives no size that can be for disk {lun}.", subject);
        // The device-specific parameter of the mode parameter header: bit 7 is write protect.
        var mode = await TryReadAsync(session, lun, [0x1a, 0x08, 0x3f, 0, 192, 0], 192).ConfigureAwait(false);
        return new ScsiUnit(lun, serial, size, mode is { Length: >= 3 } && (mode[2] & 0x80) != 0);
    }

    private static long Bytes(ulong lastBlock, uint blockLength) =>
        blockLength is < 512 or > 65536 || lastBlock >= (ulong)(long.MaxValue / blockLength) ? -1 : (long)(lastBlock + 1) * blockLength;

    private static async Task<byte[]> ReadAsync(IscsiSession session, string subject, int lun, byte[] command, int length) =>
        await TryReadAsync(session, lun, command, length).ConfigureAwait(false)
        ?? throw new BlockStorageException(BlockErrors.WrongDevice,
            $"Disk {lun} of '{subject}' does not answer SCSI command {command[0]:x2}.", subject);

    private static async Task<byte[]?> TryReadAsync(IscsiSession session, int lun, byte[] command, int length)
    {
        for (var attempt = 0; attempt < Attempts; attempt++)
        {
            var (status, data, sense) = await session.ReadCommandAsync(lun, command, length).ConfigureAwait(false);
            if (status == Good)
                return data;
            // A unit attention tells of a past event once; the next command runs.
            if (status != CheckCondition || !IsUnitAttention(sense))
                return null;
        }
        return null;
    }

    private static bool IsUnitAttention(byte[] sense) =>
        sense.Length > 2 && ((sense[0] & 0x7f) is 0x72 or 0x73 ? sense[1] : sense[2]) is var key && (key & 0x0f) == UnitAttention;
}
