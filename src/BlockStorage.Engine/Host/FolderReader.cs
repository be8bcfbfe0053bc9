using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace BlockStorage.Engine.Host;

/// <summary>Reads the names in a folder, and asks about each, without a string for a name: pools have tens of thousands.</summary>
/// <param name="path">Folder.</param>
/// <param name="buffer">Bytes to take at once.</param>
internal sealed class FolderReader(string path, int buffer = 64 << 10) : IDisposable
{
    // struct linux_dirent64 of getdents64(2): inode, offset, record length, type, name, NUL.
    private const int LengthAt = 16;
    private const int TypeAt = 18;
    private const int NameAt = 19;
    private const int NameLimit = 256;

    private readonly SafeFileHandle _folder = Native.Open(path, OpenMode.ReadOnly);
    private readonly byte[] _entries = GC.AllocateUninitializedArray<byte>(buffer);
    private readonly char[] _name = new char[NameLimit];
    private int _filled;
    private int _next;
    private int _nameAt;
    private int _nameLength;

    /// <summary>The name found last; valid until the next one.</summary>
    public ReadOnlySpan<char> Name => _name.AsSpan(0, _nameLength);

    /// <summary>Goes to the next name; the folder itself and its parent are left out.</summary>
    // Optimized at once: a command lists once or twice, and the runtime would see that it is hot only after several.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public bool Next()
    {
        do
        {
            if (_next == _filled)
            {
                _next = 0;
                _filled = Native.ReadFolder(_folder, _entries, path);
                if (_filled == 0)
                    return false;
            }
            var entry = _entries.AsSpan(_next, BinaryPrimitives.ReadUInt16LittleEndian(_entries.AsSpan(_next + LengthAt)));
            _nameAt = _next + NameAt;
            _next += entry.Length;
            var name = entry[NameAt..];
            _nameLength = Encoding.UTF8.GetChars(name[..name.IndexOf((byte)0)], _name);
        }
        while (Name is "." or "..");
        return true;
    }

    /// <summary>Whether the name found last is a folder, where the file system tells with the name.</summary>
    public bool IsFolder => _entries[_nameAt - NameAt + TypeAt] == 4;

    /// <summary>Whether the name found last is a link, where the file system tells with the name.</summary>
    public bool IsLink => _entries[_nameAt - NameAt + TypeAt] == 10;

    /// <summary>What the kernel knows of the name found last, not following links; null when it has gone meanwhile.</summary>
    public FileStatus? Stat() => Native.Stat(_folder, _entries, _nameAt, path);

    /// <inheritdoc/>
    public void Dispose() => _folder.Dispose();
}
