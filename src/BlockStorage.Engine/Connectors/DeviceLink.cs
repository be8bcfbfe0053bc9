using BlockStorage.Engine.Host;

namespace BlockStorage.Engine.Connectors;

/// <summary>The block device of a connection, whatever makes it: guarded, flushed and unmounted, never waiting without a bound.</summary>
internal static class DeviceLink
{
    private static readonly TimeSpan FlushLimit = TimeSpan.FromSeconds(30);

    /// <summary>Programs such as blkid look into every new device for a moment.</summary>
    private static readonly TimeSpan HolderPatience = TimeSpan.FromSeconds(2);

    /// <summary>udev does so for long when many disks come at once, and always ends: 20 s were too few for twenty in the lab.</summary>
    private static readonly TimeSpan UdevPatience = TimeSpan.FromSeconds(60);

    /// <summary>Refuses when something uses the device.</summary>
    /// <exception cref="BlockStorageException">DeviceInUse, naming who.</exception>
    public static async Task RequireFreeAsync(string device, CancellationToken cancel)
    {
        IReadOnlyList<DeviceHolder> holders = [];
        bool IsFree() => (holders = DeviceHolders.Find(device).Where(holder => !holder.IsWatcher).ToArray()).Count == 0;
        // udev and the programs that its rules start, such as multipath, while it waits for them.
        bool IsLooked() => holders.All(holder => holder.Kind == "process") && holders.Any(holder => holder.Name.Contains("udev", StringComparison.Ordinal));
        if (await Poll.UntilAsync(IsFree, HolderPatience, cancel).ConfigureAwait(false)
            || (IsLooked() && await Poll.UntilAsync(() => IsFree() || !IsLooked(), UdevPatience, cancel).ConfigureAwait(false) && holders.Count == 0))
            return;
        throw new BlockStorageException(BlockErrors.DeviceInUse, $"{device} is in use by {string.Join(", ", holders)}.", device);
    }

    /// <summary>Writes out what the kernel holds for the device.</summary>
    /// <exception cref="BlockStorageException">ConnectionLost: it does not end or fails.</exception>
    public static async Task FlushAsync(string device, CancellationToken cancel)
    {
        try
        {
            await BoundAsync(() =>
            {
                using var handle = Native.Open(device, OpenMode.ReadOnly);
                Native.Sync(handle, device);
                return true;
            }, FlushLimit, device, cancel).ConfigureAwait(false);
        }
        catch (BlockStorageException error) when (error.Error == BlockErrors.IoFailed || error.Error == BlockErrors.ToolTimeout)
        {
            throw new BlockStorageException(BlockErrors.ConnectionLost, $"What was written to {device} cannot be brought to its target: {error.Message}", device, cause: error);
        }
    }

    /// <summary>Takes the mounts of a device out of this mount namespace; programs that use them keep them until they end.</summary>
    public static void Unmount(string device)
    {
        foreach (var (mount, pid) in Mounts.FindDevice(device).Reverse())
        {
            if (pid == Environment.ProcessId)
                Mounts.Unmount(mount.Target, lazy: true);
        }
    }

    /// <summary>Where devices are mounted, in any namespace.</summary>
    public static ILookup<string, string> MountPoints(IReadOnlyCollection<string> devices)
    {
        if (devices.Count == 0)
            return Array.Empty<string>().ToLookup(each => each);
        var numbers = devices.Select(device => (device, Number: Native.Stat(device)?.Node)).ToArray();
        var mounts = Mounts.ListEverywhere();
        return numbers.SelectMany(pair => mounts
            .Where(entry => entry.Mount.Device == pair.Number || entry.Mount.Source == pair.device)
            .Select(entry => (pair.device, entry.Mount.Target)).Distinct()).ToLookup(pair => pair.device, pair => pair.Target);
    }

    /// <summary>Does what may wait for a dead link. A thread that the kernel holds ends when the link is cut.</summary>
    /// <exception cref="BlockStorageException">ToolTimeout.</exception>
    public static async Task<T> BoundAsync<T>(Func<T> work, TimeSpan limit, string subject, CancellationToken cancel)
    {
        try
        {
            return await Task.Run(work, cancel).WaitAsync(limit, cancel).ConfigureAwait(false);
        }
        catch (TimeoutException error)
        {
            throw new BlockStorageException(BlockErrors.ToolTimeout, $"'{subject}' does not answer within {limit.TotalSeconds:0} s.", subject, cause: error);
        }
    }
}
