namespace BlockStorage.Engine.Host;

/// <summary>Something that uses a block device.</summary>
/// <param name="Kind">mount, device, swap or process.</param>
/// <param name="Name">Where, which or who, for people.</param>
internal sealed record DeviceHolder(string Kind, string Name)
{
    /// <summary>The multipath daemon has every disk open that it knows, and closes it when the disk goes.</summary>
    public bool IsWatcher => Kind == "process" && Name.EndsWith("(multipathd)", StringComparison.Ordinal);

    /// <summary>For people.</summary>
    public override string ToString() => $"{Kind} {Name}";
}

/// <summary>Who uses a block device: mounts in any namespace, devices on top, swap, processes. Partitions count.</summary>
internal static class DeviceHolders
{
    /// <summary>All that can be found. Processes are a best effort: those of others are hidden from anyone but root.</summary>
    public static IReadOnlyList<DeviceHolder> Find(string device)
    {
        var named = BlockDevices.KernelName(device);
        var nodes = Partitions(named).Prepend(named).ToHashSet();
        var found = new List<DeviceHolder>();
        foreach (var node in nodes)
        {
            found.AddRange(Mounts.FindDevice(node).Select(entry => new DeviceHolder("mount",
                entry.Pid == Environment.ProcessId ? entry.Mount.Target : $"{entry.Mount.Target} (seen by process {entry.Pid})")));
            found.AddRange(Above(node).Where(name => !IsPart(name, node)).Select(name => new DeviceHolder("device", name)));
        }
        found.AddRange(File.ReadLines("/proc/swaps").Skip(1).Select(line => line.Split(' ', '\t')[0])
            .Where(nodes.Contains).Select(name => new DeviceHolder("swap", name)));
        found.AddRange(ProcessTable.HoldersOf(nodes).Select(process => new DeviceHolder("process", $"{process.Pid} ({process.Name})")));
        return found;
    }

    /// <summary>All of them in one line for people.</summary>
    public static string Describe(string device) =>
        Find(device) is { Count: > 0 } holders ? string.Join(", ", holders) : "a process that cannot be seen";

    private static IEnumerable<string> Partitions(string device)
    {
        var folder = $"/sys/block/{Path.GetFileName(device)}";
        return Directory.Exists(folder)
            ? Directory.EnumerateDirectories(folder).Where(part => File.Exists(Path.Combine(part, "partition")))
                .Select(part => $"/dev/{Path.GetFileName(part)}").Concat(Above(device).Where(name => IsPart(name, device)).Select(name => $"/dev/{name}"))
            : [];
    }

    // Those of a mapped device are mapped devices themselves: kpartx names them after what they are a part of.
    private static bool IsPart(string above, string device) =>
        SysAttribute.Read($"/sys/block/{Path.GetFileName(device)}/dm/uuid") is { Length: > 0 } whole
        && SysAttribute.Read($"/sys/block/{above}/dm/uuid") is var part && part.StartsWith("part", StringComparison.Ordinal)
        && part.EndsWith("-" + whole, StringComparison.Ordinal);

    private static IEnumerable<string> Above(string device)
    {
        var folder = $"/sys/class/block/{Path.GetFileName(device)}/holders";
        return Directory.Exists(folder) ? Directory.EnumerateFileSystemEntries(folder).Select(entry => Path.GetFileName(entry)) : [];
    }
}
