using BlockStorage.Engine.Host;

namespace BlockStorage.Engine.Tests.Volumes.Lvm;

/// <summary>Bytes that tell where they belong, a MiB each.</summary>
internal static class PoolBytes
{
    private const long MiB = 1 << 20;

    public static byte[] Block(byte value)
    {
        var block = new byte[MiB];
        Array.Fill(block, (byte)(value ^ 0xC3));
        return block;
    }

    public static void Write(string path, int count)
    {
        using var handle = Native.Open(path, OpenMode.ReadWrite);
        for (var i = 0; i < count; i++)
            Native.Write(handle, Block((byte)i), i * MiB, path);
        Native.FlushDevice(handle, path);
    }

    /// <summary>Reads them from the device, not from the cache.</summary>
    public static void Assert(string path, int count)
    {
        using var handle = Native.Open(path, OpenMode.ReadOnly);
        Native.FlushDevice(handle, path);
        var read = new byte[MiB];
        for (var i = 0; i < count; i++)
        {
            Xunit.Assert.Equal((int)MiB, Native.Read(handle, read, i * MiB, path));
            Xunit.Assert.True(read.AsSpan().SequenceEqual(Block((byte)i)), $"{path} at {i} MiB");
        }
    }
}
