using Microsoft.Win32.SafeHandles;

namespace BlockStorage.Engine.Host;

/// <summary>SCSI devices.</summary>
internal static unsafe partial class Native
{
    private const uint SetReadOnlyFlag = 0x125D;
    private const uint ScsiReset = 0x2284;

    /// <summary>Makes the kernel refuse writes to a block device.</summary>
    public static void SetReadOnly(SafeFileHandle device, string path)
    {
        var on = 1;
        Check(ioctl(device, SetReadOnlyFlag, (nint)(&on)), "Making read-only", path);
    }

    /// <summary>Wakes everyone who waits for the host of a generic SCSI device: a reset of nothing does only that.</summary>
    public static void WakeScsiHost(SafeFileHandle generic, string path)
    {
        var nothing = 0;
        Check(ioctl(generic, ScsiReset, (nint)(&nothing)), "Waking the host of", path);
    }
}
