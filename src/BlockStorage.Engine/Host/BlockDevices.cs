using System.Globalization;

namespace BlockStorage.Engine.Host;

/// <summary>Block devices of any kind, as sysfs has them.</summary>
internal static class BlockDevices
{
    /// <summary>What the kernel calls a block device: names by device-mapper or udev are links, and sysfs knows only what they lead to.</summary>
    public static string KernelName(string device) =>
        new FileInfo(device) is { LinkTarget: not null } link ? link.ResolveLinkTarget(returnFinalTarget: true)!.FullName : device;

    /// <summary>Bytes of a block device, from sysfs: never waits for the device.</summary>
    public static long Size(string device) => Number(device, "size") * 512;

    /// <summary>Whether a block device refuses writes.</summary>
    public static bool IsReadOnly(string device) => Number(device, "ro") != 0;

    /// <summary>What sysfs says of a block device; null where it does not.</summary>
    public static string? Attribute(string device, string attribute)
    {
        var path = $"/sys/block/{Path.GetFileName(KernelName(device))}/{attribute}";
        // Most loop devices are not bound; an exception for each would cost more than all else.
        if (!File.Exists(path))
            return null;
        try
        {
            return File.ReadAllText(path).TrimEnd('\n');
        }
        catch (IOException)
        {
            // The attribute goes with the binding, before or while we read.
            return null;
        }
    }

    private static long Number(string device, string attribute) => long.Parse(
        Attribute(device, attribute) ?? throw Errno.Failure(Errno.NoEntry, "Looking at", device), CultureInfo.InvariantCulture);
}
