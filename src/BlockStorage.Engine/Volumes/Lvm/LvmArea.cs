using System.Buffers.Binary;
using System.Text;
using BlockStorage.Engine.Host;
using Microsoft.Win32.SafeHandles;

namespace BlockStorage.Engine.Volumes.Lvm;

/// <summary>
/// LVM's label and metadata area on a disk, read only (lvm2: lib/label/label.h, lib/format_text/layout.h). A commit of LVM is one write
/// of the area's header, so that what is read here is one committed state. Anything out of the ordinary is left to LVM itself.
/// </summary>
/// <param name="Disk">Path of the disk.</param>
/// <param name="DiskId">UUID of the physical volume, without hyphens.</param>
/// <param name="Start">Offset of the area on the disk; 0 where the disk has none.</param>
/// <param name="Size">Bytes of the area.</param>
/// <param name="TextOffset">Where the committed text begins in the area.</param>
/// <param name="TextSize">Bytes of the text, its end mark included; 0 where there is none.</param>
/// <param name="Checksum">Of the text.</param>
internal sealed record LvmArea(string Disk, string DiskId, long Start, long Size, long TextOffset, long TextSize, uint Checksum)
{
    private const int Sector = 512;
    private const int LabelSectors = 4;
    private const int HeaderSize = 512;
    private const uint FirstChecksum = 0xf597a6cf;
    private const long MostText = 64 << 20;
    private static readonly byte[] HeaderMagic = [.. " LVM2 x["u8, .. "5A%r0N*>"u8];
    private static readonly uint[] Table = [.. Enumerable.Range(0, 256).Select(value =>
        Enumerable.Range(0, 8).Aggregate((uint)value, (crc, _) => (crc & 1) != 0 ? (crc >> 1) ^ 0xedb88320 : crc >> 1))];

    /// <summary>Bytes that a text may still grow by: old and new must both fit.</summary>
    public long Free
    {
        get
        {
            var (used, room) = ((TextSize + Sector - 1) / Sector * Sector, Size - HeaderSize);
            return 2 * used >= room ? 0 : (room - 2 * used) / 2 / Sector * Sector;
        }
    }

    /// <summary>Reads where the committed text of a disk is.</summary>
    /// <exception cref="FormatException">It is not a physical volume, or an unusual one.</exception>
    /// <exception cref="BlockStorageException">The disk cannot be opened.</exception>
    /// <exception cref="IOException">The disk cannot be read.</exception>
    public static LvmArea Read(string disk)
    {
        using var file = Open(disk);
        Span<byte> start = stackalloc byte[LabelSectors * Sector];
        Fill(file, start, 0);
        for (var sector = 0; sector < LabelSectors; sector++)
        {
            var label = start[(sector * Sector)..((sector + 1) * Sector)];
            if (label[..8].SequenceEqual("LABELONE"u8) && label[24..32].SequenceEqual("LVM2 001"u8))
                return ReadHeader(file, disk, label[BinaryPrimitives.ReadInt32LittleEndian(label[20..])..]);
        }
        throw new FormatException($"'{disk}' has no label of LVM.");
    }

    /// <summary>Reads the text that the header told of.</summary>
    /// <exception cref="FormatException">It has changed meanwhile, or is damaged.</exception>
    public string ReadText()
    {
        if (TextSize is 0 or > MostText)
            throw new FormatException($"'{Disk}' has a metadata text of {TextSize} bytes.");
        var text = new byte[TextSize];
        // The area is a ring behind its header.
        var first = (int)Math.Min(TextSize, Size - TextOffset);
        using var file = Open(Disk);
        Fill(file, text.AsSpan(0, first), Start + TextOffset);
        Fill(file, text.AsSpan(first), Start + HeaderSize);
        if (Sum(text) != Checksum)
            throw new FormatException($"The metadata text of '{Disk}' does not have its checksum.");
        return Encoding.UTF8.GetString(text).TrimEnd('\0');
    }

    // A disk that has gone bad still has what the kernel remembers of it.
    private static SafeFileHandle Open(string disk)
    {
        var file = Native.Open(disk, OpenMode.ReadOnly);
        Native.Forget(file);
        return file;
    }

    private static LvmArea ReadHeader(SafeFileHandle file, string disk, ReadOnlySpan<byte> description)
    {
        var id = Encoding.ASCII.GetString(description[..32]);
        var areas = new List<(long Start, long Size)>();
        // Behind UUID and size: areas of data up to a pair of zeros, then areas of metadata up to another.
        var at = 40;
        for (var lists = 0; lists < 2; at += 16)
        {
            var (start, size) = (BinaryPrimitives.ReadInt64LittleEndian(description[at..]), BinaryPrimitives.ReadInt64LittleEndian(description[(at + 8)..]));
            if (start == 0)
                lists++;
            else if (lists == 1)
                areas.Add((start, size));
        }
        if (areas.Count == 0)
            return new LvmArea(disk, id, 0, 0, 0, 0, 0);
        var header = new byte[HeaderSize];
        Fill(file, header, areas[0].Start);
        var content = header.AsSpan();
        if (areas.Count > 1 || !content[4..20].SequenceEqual(HeaderMagic) || BinaryPrimitives.ReadInt32LittleEndian(content[20..]) != 1
            || Sum(content[4..]) != BinaryPrimitives.ReadUInt32LittleEndian(content) || BinaryPrimitives.ReadInt64LittleEndian(content[24..]) != areas[0].Start)
            throw new FormatException($"The metadata area of '{disk}' is not as expected.");
        var place = content[40..];
        var ignored = (BinaryPrimitives.ReadUInt32LittleEndian(place[20..]) & 1) != 0;
        return new LvmArea(disk, id, areas[0].Start, BinaryPrimitives.ReadInt64LittleEndian(content[32..]), BinaryPrimitives.ReadInt64LittleEndian(place),
            ignored ? 0 : BinaryPrimitives.ReadInt64LittleEndian(place[8..]), BinaryPrimitives.ReadUInt32LittleEndian(place[16..]));
    }

    /// <summary>LVM's checksum: CRC-32 with its own first value and no last step.</summary>
    internal static uint Sum(ReadOnlySpan<byte> bytes)
    {
        var crc = FirstChecksum;
        foreach (var value in bytes)
            crc = (crc >> 8) ^ Table[(byte)(crc ^ value)];
        return crc;
    }

    private static void Fill(SafeFileHandle file, Span<byte> bytes, long offset)
    {
        while (bytes.Length > 0)
        {
            var count = RandomAccess.Read(file, bytes, offset);
            if (count == 0)
                throw new FormatException("The disk ends in the middle of LVM's metadata.");
            bytes = bytes[count..];
            offset += count;
        }
    }
}
