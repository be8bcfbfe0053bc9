using System.Globalization;
using System.Text.RegularExpressions;
using BlockStorage.Engine.Host;

namespace BlockStorage.Engine.Targets.Lio;

/// <summary>What configfs says of a backstore.</summary>
/// <param name="Path">Object in configfs.</param>
/// <param name="File">Backing file or device.</param>
/// <param name="Size">Bytes.</param>
/// <param name="Device">Number of the backing device, of iblock.</param>
/// <param name="ReadOnly">It opened the device for reading only.</param>
/// <param name="Serial">VPD page 0x80.</param>
/// <param name="Enabled">It has its device.</param>
internal sealed record LioBackstore(
    string Path, string File, long Size, DeviceNumber Device, bool ReadOnly, string Serial, bool Enabled);

/// <summary>Backstores: what LIO has of a file or device. Block devices go by iblock, files by fileio.</summary>
internal sealed partial class LioBackstores(ConfigFs fs, LioNames names)
{
    private const string Block = "iblock";
    private const string File = "fileio";
    private const int FileNameLimit = 255;
    private const int Attempts = 3;

    /// <summary>Refuses what LIO could not take.</summary>
    /// <exception cref="BlockStorageException">VolumeDamaged, InvalidPath, InvalidArgument.</exception>
    public static void Check(LunSpec lun)
    {
        if (!LioNames.IsSerial(lun.Serial))
            throw new BlockStorageException(BlockErrors.InvalidArgument, $"The serial number '{lun.Serial}' is not 32 lowercase hex digits.", lun.Serial);
        // LIO splits its options at commas and lines, and holds 255 bytes of a file's name.
        if (lun.Path.AsSpan().IndexOfAny(',', '\n') >= 0 || System.Text.Encoding.UTF8.GetByteCount(lun.Path) > FileNameLimit)
            throw new BlockStorageException(BlockErrors.InvalidPath, $"LIO takes no path with a comma or of more than {FileNameLimit} bytes: '{lun.Path}'.", lun.Path,
                "New-BlockPool -Name NAME -Driver File -Path /short/folder");
        if (Native.Stat(lun.Path) is not { } status || !(status.IsFile || status.IsBlockDevice))
            throw new BlockStorageException(BlockErrors.VolumeDamaged, $"'{lun.Path}' is not there or is neither a file nor a block device.", lun.Path);
    }

    /// <summary>What there is of a backstore, or null.</summary>
    public static LioBackstore? Read(string path)
    {
        if (ConfigFs.Read($"{path}/info") is not { } info)
            return null;
        var enabled = ConfigFs.Read($"{path}/enable") == "1";
        // "T10 VPD Unit Serial Number: x"
        var serial = ConfigFs.Read($"{path}/wwn/vpd_unit_serial") is { } text ? text[(text.IndexOf(':', StringComparison.Ordinal) + 1)..].Trim() : "";
        if (FileInfo().Match(info) is { Success: true } file)
            return new LioBackstore(path, file.Groups["path"].Value, Number(file.Groups["size"]), default, false, serial, enabled);
        if (BlockInfo().Match(info) is not { Success: true } block)
            return new LioBackstore(path, "", 0, default, false, serial, Enabled: false);
        var device = new DeviceNumber((uint)Number(block.Groups["major"]), (uint)Number(block.Groups["minor"]));
        var sectors = ConfigFs.Read($"/sys/dev/block/{device}/size");
        return new LioBackstore(path, block.Groups["path"].Value,
            long.TryParse(sectors, NumberStyles.None, CultureInfo.InvariantCulture, out var count) ? count * 512 : 0,
            device, block.Groups["readonly"].Value == "1", serial, enabled);
    }

    /// <summary>Whether a backstore serves the unit as it should be; its size is another matter.</summary>
    public static bool Fits(LioBackstore? backstore, LunSpec lun) =>
        backstore is { Enabled: true } && backstore.File == lun.Path && backstore.Serial == lun.Serial
        && System.IO.Path.GetFileName(backstore.Path) == LioNames.BackstoreName(lun.Serial)
        && Native.Stat(lun.Path) is { } status
        && (status.IsBlockDevice ? backstore.Device == status.Node && backstore.ReadOnly == lun.ReadOnly : backstore.Device == default);

    /// <summary>Makes it. One that is half made or does not fit is made again; nothing uses it.</summary>
    /// <returns>Object in configfs.</returns>
    public string Make(LunSpec lun)
    {
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                return TryMake(lun);
            }
            catch (BlockStorageException error) when (Errno.NumberOf(error) == Errno.NoEntry && attempt < Attempts)
            {
                // Another one of the same adapter went, and the adapter with it; or somebody cleaned up what a crash had left.
            }
        }
    }

    private string TryMake(LunSpec lun)
    {
        var status = Native.Stat(lun.Path)!.Value;
        var plugin = status.IsBlockDevice ? Block : File;
        var path = names.Backstore(plugin, lun.Serial);
        fs.Make(System.IO.Path.GetDirectoryName(path)!);
        if (!fs.Make(path))
        {
            Remove(lun.Serial);
            fs.Make(System.IO.Path.GetDirectoryName(path)!);
            fs.Make(path);
        }
        // Of files the page cache of this machine is the disk's write cache, announced as such: what is flushed is safe.
        fs.Write($"{path}/control", plugin == Block
            ? $"udev_path={lun.Path}{(lun.ReadOnly ? ",readonly=1" : "")}"
            : string.Create(CultureInfo.InvariantCulture, $"fd_dev_name={lun.Path},fd_dev_size={status.Size},fd_buffered_io=1"));
        fs.Write($"{path}/udev_path", lun.Path);
        Enable(path, lun);
        fs.Write($"{path}/wwn/vpd_unit_serial", lun.Serial);
        foreach (var attribute in new[] { "emulate_tpu", "emulate_tpws" })
            PassDiscard($"{path}/attrib/{attribute}");
        return path;
    }

    /// <summary>Takes over the size of a file. A device tells its own.</summary>
    public void Resize(LioBackstore backstore, LunSpec lun)
    {
        if (backstore.Device == default && Native.Stat(lun.Path)!.Value.Size is var size && size != backstore.Size)
            fs.Write($"{backstore.Path}/control", string.Create(CultureInfo.InvariantCulture, $"fd_dev_size={size}"));
    }

    /// <summary>Removes ours of a serial. Nothing to do when there is none.</summary>
    /// <exception cref="BlockStorageException">TargetInUse: a target that is not ours publishes it too.</exception>
    public void Remove(string serial)
    {
        foreach (var plugin in new[] { Block, File })
            RemoveAt(names.Backstore(plugin, serial));
    }

    /// <summary>Removes what targetcli made again of one of ours, unless somebody publishes it.</summary>
    public void RemoveCopy(string path)
    {
        if (IsOurs(path, LioNames.IsToolAdapter) && Users(path).Count == 0)
            RemoveAt(path);
    }

    /// <summary>Removes one.</summary>
    public void RemoveAt(string path)
    {
        try
        {
            fs.Remove(path);
        }
        catch (BlockStorageException error) when (Errno.NumberOf(error) == Errno.Busy)
        {
            RequireUnused(path, "");
            throw;
        }
        fs.RemoveEmpty(System.IO.Path.GetDirectoryName(path)!);
    }

    /// <summary>Refuses where targets other than one publish it.</summary>
    /// <exception cref="BlockStorageException">TargetInUse.</exception>
    public static void RequireUnused(string path, string iqn)
    {
        if (Users(path).FirstOrDefault(user => user != iqn) is { } other)
            throw new BlockStorageException(BlockErrors.TargetInUse, $"The LIO target '{other}', which is not ours, publishes '{System.IO.Path.GetFileName(path)}' too.", other,
                $"targetcli /iscsi delete {other}");
    }

    /// <summary>Backstores of ours in this state root that no target publishes, and those that targetcli made again.</summary>
    /// <param name="marked">Serials in the marks of targets: what a target is about to publish, or to let go, is no orphan.</param>
    public IReadOnlyList<string> Orphans(IReadOnlySet<string> marked) => (
        from adapter in ConfigFs.Objects(LioNames.Core)
        where names.IsOurAdapter(adapter) || LioNames.IsToolAdapter(adapter)
        from name in ConfigFs.Objects($"{LioNames.Core}/{adapter}")
        let path = $"{LioNames.Core}/{adapter}/{name}"
        where IsOurs(path, _ => true) && Users(path).Count == 0
            && !(names.IsOurAdapter(adapter) && marked.Contains(name[LioNames.BackstorePrefix.Length..]))
        select path).ToArray();

    private static bool IsOurs(string path, Func<string, bool> adapters)
    {
        var (name, adapter) = (System.IO.Path.GetFileName(path), System.IO.Path.GetFileName(System.IO.Path.GetDirectoryName(path)!));
        return (adapter.StartsWith(Block, StringComparison.Ordinal) || adapter.StartsWith(File, StringComparison.Ordinal)) && adapters(adapter)
            && name.StartsWith(LioNames.BackstorePrefix, StringComparison.Ordinal) && LioNames.IsSerial(name[LioNames.BackstorePrefix.Length..]);
    }

    // Members of the only port group are the units that publish it: "iSCSI/iqn/tpgt_1/lun_1", one a line.
    private static IReadOnlyList<string> Users(string path) =>
        (ConfigFs.Read($"{path}/alua/default_tg_pt_gp/members") ?? "").Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .Select(line => line.Split('/')).Where(parts => parts.Length > 1).Select(parts => parts[1]).Distinct().ToArray();

    private void Enable(string path, LunSpec lun)
    {
        try
        {
            fs.Write($"{path}/enable", "1");
        }
        catch (BlockStorageException error) when (Errno.NumberOf(error) == Errno.Busy && RemoveCopies(lun.Serial))
        {
            fs.Write($"{path}/enable", "1");
        }
        catch (BlockStorageException error) when (Errno.NumberOf(error) == Errno.Busy)
        {
            var device = new System.IO.FileInfo(lun.Path).ResolveLinkTarget(returnFinalTarget: true)?.FullName ?? lun.Path;
            throw new BlockStorageException(BlockErrors.DeviceInUse, $"'{lun.Path}' cannot be published: {DeviceHolders.Describe(device)} holds it.", lun.Path, cause: error);
        }
    }

    // Copies that targetcli made of a device hold it.
    private bool RemoveCopies(string serial)
    {
        var copies = Orphans(new HashSet<string>()).Where(path => System.IO.Path.GetFileName(path) == LioNames.BackstoreName(serial)
            && LioNames.IsToolAdapter(System.IO.Path.GetFileName(System.IO.Path.GetDirectoryName(path)!))).ToArray();
        foreach (var path in copies)
            RemoveAt(path);
        return copies.Length > 0;
    }

    // The kernel refuses where the device has no discard, which is the best way to ask.
    private void PassDiscard(string attribute)
    {
        try
        {
            fs.Write(attribute, "1");
        }
        catch (BlockStorageException error) when (Errno.NumberOf(error) is Errno.NoSystemCall or Errno.Invalid or Errno.NotSupported)
        {
            // Then initiators are told that there is none.
        }
    }

    private static long Number(Group group) => long.Parse(group.ValueSpan, NumberStyles.None, CultureInfo.InvariantCulture);

    [GeneratedRegex(@"File: (?<path>.*)  Size: (?<size>\d+)  Mode: ")]
    private static partial Regex FileInfo();

    [GeneratedRegex(@"UDEV PATH: (?<path>.*)  readonly: (?<readonly>\d)\s+Major: (?<major>\d+) Minor: (?<minor>\d+)")]
    private static partial Regex BlockInfo();
}
