using BlockStorage.Engine.Host;

namespace BlockStorage.Engine.Connectors;

/// <summary>The loop device of a connection: made, proven, resized and taken away, never waiting without a bound.</summary>
internal static class LoopLink
{
    private static readonly TimeSpan DetachLimit = TimeSpan.FromSeconds(10);

    /// <summary>Makes the device and proves its size and access.</summary>
    /// <exception cref="BlockStorageException">WrongDevice, PrivilegeRequired, ToolTimeout.</exception>
    public static async Task<string> AttachAsync(
        string file, long size, bool readOnly, bool directIo, string subject, CancellationToken cancel)
    {
        var device = await DeviceLink.BoundAsync(() =>
        {
            using var made = LoopDevices.Attach(file, readOnly, directIo, autoClear: false);
            return made.Path;
        }, DetachLimit, subject, cancel).ConfigureAwait(false);
        if (BlockDevices.Size(device) != size || BlockDevices.IsReadOnly(device) != readOnly)
            throw new BlockStorageException(BlockErrors.WrongDevice,
                $"{device} has {BlockDevices.Size(device)} bytes where {size} were expected, or the wrong access.", subject);
        return device;
    }

    /// <summary>Takes the device away; one that is still in use goes with its last user when forced.</summary>
    public static async Task DetachAsync(string device, string file, bool force, CancellationToken cancel)
    {
        try
        {
            await LoopDevices.DetachAsync(device, file, force ? TimeSpan.FromSeconds(2) : DetachLimit, cancel).ConfigureAwait(false);
        }
        catch (BlockStorageException error) when (force && error.Error == BlockErrors.DeviceInUse)
        {
            // The kernel takes it away when the last one that has it open closes it.
        }
    }

    /// <summary>Makes the device have the size of its file, and proves it.</summary>
    /// <exception cref="BlockStorageException">WrongDevice.</exception>
    public static async Task ResizeAsync(string device, long size, CancellationToken cancel)
    {
        await DeviceLink.BoundAsync(() =>
        {
            LoopDevices.SetCapacity(device);
            return true;
        }, DetachLimit, device, cancel).ConfigureAwait(false);
        if (BlockDevices.Size(device) != size)
            throw new BlockStorageException(BlockErrors.WrongDevice, $"{device} has {BlockDevices.Size(device)} bytes after the resize, not {size}.", device);
    }
}
