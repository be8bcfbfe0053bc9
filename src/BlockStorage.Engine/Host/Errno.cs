using System.Runtime.InteropServices;

namespace BlockStorage.Engine.Host;

/// <summary>Error numbers of the kernel (the same on every architecture that .NET runs on) and what they mean to a user.</summary>
internal static class Errno
{
    public const int NotPermitted = 1;
    public const int NoEntry = 2;
    public const int NoProcess = 3;
    public const int Io = 5;
    public const int NoDevice = 6;
    public const int BadDescriptor = 9;
    public const int NoChild = 10;
    public const int Again = 11;
    public const int AccessDenied = 13;
    public const int Busy = 16;
    public const int Exists = 17;
    public const int CrossDevice = 18;
    public const int NoSuchDevice = 19;
    public const int NotFolder = 20;
    public const int IsFolder = 21;
    public const int Invalid = 22;
    public const int NotTty = 25;
    public const int TooLarge = 27;
    public const int NoSpace = 28;
    public const int ReadOnly = 30;
    public const int NameTooLong = 36;
    public const int NoSystemCall = 38;
    public const int NotEmpty = 39;
    public const int Loop = 40;
    public const int NotSupported = 95;
    public const int AddressInUse = 98;
    public const int Quota = 122;

    /// <summary>The exception for a failed call: the one place where error numbers become errors of the catalogue.</summary>
    /// <param name="number">Error number.</param>
    /// <param name="action">What failed, such as "Making the file".</param>
    /// <param name="path">On what.</param>
    public static BlockStorageException Failure(int number, string action, string path)
    {
        var cause = new ErrnoException(number);
        var message = $"{action} '{path}' failed: {cause.Message}.";
        var root = Environment.IsPrivilegedProcess;
        return number switch
        {
            NoSpace or Quota => new(BlockErrors.InsufficientSpace, message, path,
                "Get-BlockPool | Format-List Name, AvailableSize, Health", cause),
            NotPermitted or AccessDenied when !root => new(BlockErrors.PrivilegeRequired, message, path, cause: cause),
            ReadOnly or NameTooLong or NotFolder or Loop => new(BlockErrors.InvalidPath, message, path, cause: cause),
            TooLarge => new(BlockErrors.InvalidSize, $"{action} '{path}' failed: the file system cannot hold a file of that size.",
                path, "Get-BlockVolumeSupportedSize", cause),
            Busy => new(BlockErrors.DeviceInUse, message, path, cause: cause),
            NotSupported or NoSystemCall or NotTty => new(BlockErrors.NotSupported, message, path, cause: cause),
            _ => new(BlockErrors.IoFailed, message, path, cause: cause),
        };
    }

    /// <summary>The error number that led to an exception, or 0.</summary>
    public static int NumberOf(Exception error) => (error.InnerException as ErrnoException)?.Number ?? 0;
}

/// <summary>What the kernel said.</summary>
internal sealed class ErrnoException(int number) : Exception($"{Marshal.GetPInvokeErrorMessage(number)} (error {number})")
{
    /// <summary>Error number.</summary>
    public int Number => number;
}
