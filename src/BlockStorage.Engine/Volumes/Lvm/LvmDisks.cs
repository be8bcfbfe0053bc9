using System.Globalization;
using System.Text.Json;
using BlockStorage.Engine.Host;

namespace BlockStorage.Engine.Volumes.Lvm;

/// <summary>Disks that become a pool.</summary>
internal static class LvmDisks
{
    private const long Smallest = 256 << 20;
    private const int Most = 256;
    private const int IdDigits = 30;

    /// <summary>UUID of a physical volume: the pool's id with the number of the disk in its last two digits, grouped as LVM does.</summary>
    public static string Uuid(string poolId, int disk)
    {
        var digits = LvmNames.Hex(poolId)[..IdDigits] + disk.ToString("x2", CultureInfo.InvariantCulture);
        return string.Join('-', digits[..6], digits[6..10], digits[10..14], digits[14..18], digits[18..22], digits[22..26], digits[26..]);
    }

    /// <summary>Whether it was made for that pool.</summary>
    public static bool IsOurs(string uuid, string poolId) =>
        uuid.Replace("-", "", StringComparison.Ordinal).StartsWith(LvmNames.Hex(poolId)[..IdDigits], StringComparison.Ordinal);

    /// <summary>Refuses disks that are not empty, not free or no disks.</summary>
    /// <exception cref="BlockStorageException">InvalidArgument, DeviceInUse.</exception>
    public static async Task CheckAsync(IReadOnlyList<string> disks, string poolId, ICommandRunner runner, CancellationToken cancel)
    {
        if (disks.Count > Most || disks.Distinct(StringComparer.Ordinal).Count() < disks.Count)
            throw new BlockStorageException(BlockErrors.InvalidArgument, $"Give each disk once, and no more than {Most}.", disks[0], "lsblk");
        foreach (var disk in disks)
            CheckDevice(disk);
        // It prints nothing at all where there are no signatures.
        var output = await runner.RunCheckedAsync(new Command("wipefs", ["--no-act", "--json", .. disks], TimeSpan.FromSeconds(30), Mutates: false),
            SilentSink.Instance, cancel).ConfigureAwait(false);
        foreach (var (device, type, uuid) in Signatures(output))
        {
            if (!IsOurs(uuid, poolId))
                throw new BlockStorageException(BlockErrors.InvalidArgument,
                    $"'/dev/{device}' is not empty: it has a signature of {type}. Nothing on it was touched.", $"/dev/{device}",
                    $"lsblk --fs /dev/{device}; when nothing on it is needed: wipefs --all /dev/{device}");
        }
    }

    private static void CheckDevice(string disk)
    {
        if (Native.Stat(disk) is not { IsBlockDevice: true })
            throw new BlockStorageException(BlockErrors.InvalidArgument, $"'{disk}' is not a block device.", disk, "lsblk");
        try
        {
            // Exclusive: the kernel refuses it for what is mounted, swap, or part of another device.
            using var handle = Native.Open(disk, OpenMode.ReadWrite | OpenMode.Exclusive);
            if (Native.DeviceSize(handle, disk) is var size && size < Smallest)
                throw new BlockStorageException(BlockErrors.InvalidArgument,
                    $"'{disk}' has only {ByteSize.Format(size)}; a pool needs {ByteSize.Format(Smallest)}.", disk, "lsblk");
        }
        catch (BlockStorageException error) when (error.Error == BlockErrors.DeviceInUse)
        {
            throw new BlockStorageException(BlockErrors.DeviceInUse, $"'{disk}' is in use: {DeviceHolders.Describe(disk)}.", disk, $"lsblk {disk}", error);
        }
    }

    private static List<(string Device, string Type, string Uuid)> Signatures(string output)
    {
        if (string.IsNullOrWhiteSpace(output))
            return [];
        try
        {
            using var document = JsonDocument.Parse(output);
            return [.. document.RootElement.GetProperty("signatures").EnumerateArray().Select(row =>
                (row.GetProperty("device").GetString() ?? "", row.GetProperty("type").GetString() ?? "", row.GetProperty("uuid").GetString() ?? ""))];
        }
        catch (Exception error) when (error is JsonException or KeyNotFoundException or InvalidOperationException)
        {
            throw new BlockStorageException(BlockErrors.ToolFailed, $"What 'wipefs' says cannot be read: {error.Message}", "wipefs", cause: error);
        }
    }
}
