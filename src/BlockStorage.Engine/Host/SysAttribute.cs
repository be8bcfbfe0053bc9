using System.Text;

namespace BlockStorage.Engine.Host;

/// <summary>Attributes of kernel objects in sysfs. The object may go at any moment.</summary>
internal static class SysAttribute
{
    private const int Limit = 4096;

    /// <summary>The text without the line end; empty where there is none or it cannot be told now.</summary>
    public static string Read(string path) => Encoding.UTF8.GetString(ReadBytes(path)).TrimEnd('\n');

    /// <summary>The bytes; none where there are none.</summary>
    public static byte[] ReadBytes(string path)
    {
        // An exception for each that is not there would cost more than all else.
        if (!File.Exists(path))
            return [];
        try
        {
            using var handle = Native.Open(path, OpenMode.ReadOnly);
            var buffer = new byte[Limit];
            return buffer[..Native.Read(handle, buffer, 0, path)];
        }
        catch (BlockStorageException)
        {
            return [];
        }
    }

    /// <summary>Writes; what the kernel says of it comes as an exception.</summary>
    public static void Write(string path, string text)
    {
        using var handle = Native.Open(path, OpenMode.WriteOnly);
        // Some attributes know a word by the line end behind it.
        Native.Write(handle, Encoding.ASCII.GetBytes(text + "\n"), 0, path);
    }
}
