using System.Globalization;
using System.Text;
using BlockStorage.Engine.Host;

namespace BlockStorage.Engine.Connectors.OpenIscsi;

/// <summary>A SCSI disk of the kernel.</summary>
/// <param name="Name">Such as sdb.</param>
/// <param name="Hctl">host:channel:target:lun.</param>
/// <param name="Lun">Logical unit number as the kernel writes it.</param>
internal sealed record ScsiDisk(string Name, string Hctl, int Lun)
{
    private const int FlatAddressing = 0x4000;
    private static readonly TimeSpan ScanLimit = TimeSpan.FromSeconds(15);
    private static readonly TimeSpan GoneLimit = TimeSpan.FromSeconds(10);

    /// <summary>Its device node.</summary>
    public string Device => $"/dev/{Name}";

    /// <summary>What sysfs says of it.</summary>
    public string Folder => $"/sys/bus/scsi/devices/{Hctl}";

    /// <summary>It is still there.</summary>
    public bool Exists => Directory.Exists($"{Folder}/block/{Name}");

    /// <summary>running, blocked, offline, transport-offline.</summary>
    public string State => SysAttribute.Read($"{Folder}/state");

    /// <summary>Bytes.</summary>
    public long Size =>
        long.TryParse(SysAttribute.Read($"{Folder}/block/{Name}/size"), NumberStyles.None, CultureInfo.InvariantCulture, out var sectors) ? sectors * 512 : 0;

    /// <summary>The kernel refuses writes.</summary>
    public bool ReadOnly => SysAttribute.Read($"{Folder}/block/{Name}/ro") == "1";

    /// <summary>VPD page 0x80 without padding, or empty.</summary>
    public string Serial => SysAttribute.ReadBytes($"{Folder}/vpd_pg80") is { Length: >= 4 } page && page[1] == 0x80
        ? Encoding.ASCII.GetString(page, 4, Math.Min(page[3], page.Length - 4)).Trim(' ', '\0') : "";

    /// <summary>The disk in a folder of a SCSI device, or null while the kernel has none for it.</summary>
    public static ScsiDisk? Of(string folder)
    {
        var hctl = Path.GetFileName(folder);
        var block = Path.Combine(folder, "block");
        return int.TryParse(hctl[(hctl.LastIndexOf(':') + 1)..], NumberStyles.None, CultureInfo.InvariantCulture, out var lun)
            && Directory.Exists(block) && Directory.EnumerateDirectories(block).FirstOrDefault() is { } disk
            ? new ScsiDisk(Path.GetFileName(disk), hctl, lun) : null;
    }

    /// <summary>The number that the kernel has for a logical unit: from 256 on with the bits of its addressing method.</summary>
    public static int KernelLun(int lun) => lun < 256 ? lun : lun | FlatAddressing;

    /// <summary>Makes the kernel look for this one logical unit and gives its disk when it can be used.</summary>
    /// <exception cref="BlockStorageException">WrongDevice: none comes. ToolTimeout.</exception>
    public static async Task<ScsiDisk> ScanAsync(KernelSession session, int lun, string subject, CancellationToken cancel)
    {
        await DeviceLink.BoundAsync(() =>
        {
            SysAttribute.Write($"{session.HostFolder}/scan", string.Create(CultureInfo.InvariantCulture, $"0 0 {KernelLun(lun)}"));
            return true;
        }, ScanLimit, subject, cancel).ConfigureAwait(false);
        ScsiDisk? disk = null;
        var found = await Poll.UntilAsync(() => (disk = session.Disk(lun)) is { Size: > 0 } && Opens(disk.Device), ScanLimit, cancel).ConfigureAwait(false);
        return found ? disk! : throw new BlockStorageException(BlockErrors.WrongDevice,
            $"The kernel finds no disk {lun} in '{subject}' (session {session.Id}, {session.State}).", subject);
    }

    // The node may still be that of a disk that went, or lead to nothing yet, when sysfs has the new one already.
    private static bool Opens(string device)
    {
        try
        {
            using var handle = Native.Open(device, OpenMode.ReadOnly | OpenMode.NonBlocking);
            return true;
        }
        catch (BlockStorageException error) when (Errno.NumberOf(error) is Errno.NoEntry or Errno.NoDevice)
        {
            return false;
        }
    }

    /// <summary>Makes the kernel ask the disk again for its size and serial number.</summary>
    public Task RescanAsync(CancellationToken cancel) => DeviceLink.BoundAsync(() =>
    {
        SysAttribute.Write($"{Folder}/rescan", "1");
        return true;
    }, ScanLimit, Device, cancel);

    /// <summary>Makes the kernel refuse writes.</summary>
    public static void Protect(string device)
    {
        using var handle = Native.Open(device, OpenMode.ReadOnly | OpenMode.NonBlocking);
        Native.SetReadOnly(handle, device);
    }

    /// <summary>Takes the disk out of the kernel and waits until it is gone. Nothing to do when it is.</summary>
    /// <param name="exclusive">Only when nothing has mounted or claimed it, in whatever namespace.</param>
    /// <exception cref="BlockStorageException">DeviceInUse, ToolTimeout.</exception>
    public async Task DeleteAsync(bool exclusive)
    {
        if (!Exists)
            return;
        await DeviceLink.BoundAsync(() =>
        {
            // Held until it is gone, so that nobody mounts it in between.
            using var claim = exclusive ? Native.Open(Device, OpenMode.ReadOnly | OpenMode.Exclusive) : null;
            SysAttribute.Write($"{Folder}/delete", "1");
            return true;
        }, GoneLimit, Device, CancellationToken.None).ConfigureAwait(false);
        if (!await Poll.UntilAsync(() => !Exists, GoneLimit, CancellationToken.None).ConfigureAwait(false))
            throw new BlockStorageException(BlockErrors.ToolTimeout, $"{Device} does not go within {GoneLimit.TotalSeconds:0} s.", Device);
    }
}
