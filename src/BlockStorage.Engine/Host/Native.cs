using System.Runtime.InteropServices;

namespace BlockStorage.Engine.Host;

/// <summary>System calls that .NET does not offer. Every failure leaves as a BlockStorageException with the path and the cause.</summary>
internal static unsafe partial class Native
{
    private const string Libc = "libc";
    private const int Interrupted = 4;

    private static int LastError => Marshal.GetLastPInvokeError();

    /// <summary>Does a call again while a signal interrupts it.</summary>
    private static long Retry(Func<long> call)
    {
        long result;
        do
            result = call();
        while (result < 0 && LastError == Interrupted);
        return result;
    }

    private static long Check(long result, string action, string path) =>
        result >= 0 ? result : throw Errno.Failure(LastError, action, path);
}
