using System.Buffers.Binary;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace BlockStorage.Engine.Host;

/// <summary>A device of the device mapper as the kernel has it now.</summary>
/// <param name="Type">Kind of its first target, such as thin.</param>
/// <param name="Text">Status or table of its first target.</param>
/// <param name="Size">Bytes.</param>
/// <param name="OpenCount">How many have it open, devices on top counted.</param>
/// <param name="ReadOnly">Writes are refused.</param>
/// <param name="Suspended">I/O waits until somebody resumes it.</param>
/// <param name="Number">Device number.</param>
internal sealed record MappedDevice(
    string Type, string Text, long Size, int OpenCount, bool ReadOnly, bool Suspended, DeviceNumber Number);

/// <summary>The device mapper, asked without a process.</summary>
internal static unsafe partial class Native
{
    private const string MapperControl = "/dev/mapper/control";
    private const uint MapperTableStatus = 0xC138FD0C;
    private const int MapperHeader = 312;
    private const int MapperTarget = 40;

    /// <summary>The device of that name; null where there is none or no device mapper.</summary>
    /// <param name="name">Name in /dev/mapper.</param>
    /// <param name="table">Gives the table in place of the status.</param>
    public static MappedDevice? FindMapped(string name, bool table = false)
    {
        const uint wantsTable = 16, noFlush = 2048;
        using var control = OpenMapper();
        if (control is null)
            return null;
        var buffer = new byte[16 << 10];
        Number(buffer, 0, 4);
        Number(buffer, 12, (uint)buffer.Length);
        Number(buffer, 16, MapperHeader);
        Number(buffer, 28, noFlush | (table ? wantsTable : 0));
        Encoding.ASCII.GetBytes(name, buffer.AsSpan(48, 127));
        fixed (byte* start = buffer)
        {
            if (ioctl(control, MapperTableStatus, (nint)start) < 0)
                return LastError is Errno.NoDevice ? null : throw Errno.Failure(LastError, "Asking the device mapper for", name);
        }
        return ReadMapped(buffer);
    }

    // A node without a device mapper behind it is left by tools that make it on any kernel.
    private static SafeFileHandle? OpenMapper()
    {
        try
        {
            return Open(MapperControl, OpenMode.ReadWrite);
        }
        catch (BlockStorageException error) when (Errno.NumberOf(error) is Errno.NoEntry or Errno.NoDevice or Errno.NoSuchDevice)
        {
            return null;
        }
    }

    private static MappedDevice ReadMapped(byte[] buffer)
    {
        var flags = Number(buffer, 28);
        var device = BinaryPrimitives.ReadUInt64LittleEndian(buffer.AsSpan(40));
        long sectors = 0;
        var (type, text) = ("", "");
        var at = MapperHeader;
        for (var i = 0; i < Number(buffer, 20) && at + MapperTarget <= buffer.Length; i++)
        {
            sectors += BinaryPrimitives.ReadInt64LittleEndian(buffer.AsSpan(at + 8));
            if (i == 0)
                (type, text) = (Text(buffer, at + 24), Text(buffer, at + MapperTarget));
            at = MapperHeader + (int)Number(buffer, at + 20);
        }
        return new MappedDevice(type, text.Trim(), sectors * 512, (int)Number(buffer, 24), (flags & 1) != 0, (flags & 2) != 0,
            new DeviceNumber((uint)(device >> 8) & 0xFFF, (uint)(device & 0xFF) | ((uint)(device >> 12) & 0xFFF00)));
    }

    private static uint Number(byte[] buffer, int at) => BinaryPrimitives.ReadUInt32LittleEndian(buffer.AsSpan(at));

    private static void Number(byte[] buffer, int at, uint value) => BinaryPrimitives.WriteUInt32LittleEndian(buffer.AsSpan(at), value);

    private static string Text(byte[] buffer, int at)
    {
        var rest = buffer.AsSpan(at);
        var end = rest.IndexOf((byte)0);
        return Encoding.ASCII.GetString(end < 0 ? rest : rest[..end]);
    }
}
