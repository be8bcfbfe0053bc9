using System.Globalization;

namespace BlockStorage.Engine.Host;

/// <summary>One mounted file system.</summary>
/// <param name="Device">Its device number.</param>
/// <param name="Root">Which part of it is mounted.</param>
/// <param name="Target">Where.</param>
/// <param name="ReadOnly">Mounted read-only.</param>
/// <param name="FileSystem">Type.</param>
/// <param name="Source">What was mounted.</param>
internal sealed record MountEntry(
    DeviceNumber Device, string Root, string Target, bool ReadOnly, string FileSystem, string Source);

/// <summary>What is mounted on this machine.</summary>
internal static class Mounts
{
    private static readonly TimeSpan UsersLeaveWithin = TimeSpan.FromSeconds(2);

    /// <summary>Mounts that this process sees, in the order they were made.</summary>
    public static IReadOnlyList<MountEntry> List() => Read("/proc/self/mountinfo");

    /// <summary>Mounts of every namespace, each with a process that sees it; our own namespace first.</summary>
    public static IReadOnlyList<(MountEntry Mount, int Pid)> ListEverywhere()
    {
        var seen = new HashSet<string>();
        var found = new List<(MountEntry, int)>();
        foreach (var pid in ProcessTable.Ids().OrderByDescending(pid => pid == Environment.ProcessId))
        {
            if (Namespace(pid) is not { } space || !seen.Add(space))
                continue;
            try
            {
                found.AddRange(Read($"/proc/{pid}/mountinfo").Select(mount => (mount, pid)));
            }
            catch (IOException)
            {
                // It ended while we looked; another process of the namespace may still show it.
                seen.Remove(space);
            }
        }
        return found;
    }

    /// <summary>Where a block device is mounted, in any namespace.</summary>
    public static IReadOnlyList<(MountEntry Mount, int Pid)> FindDevice(string device)
    {
        var number = Native.Stat(device)?.Node;
        // btrfs and others show a made-up number, so the source counts too.
        return ListEverywhere().Where(entry => entry.Mount.Device == number || entry.Mount.Source == device).ToList();
    }

    /// <summary>The topmost mount at exactly this path, or null.</summary>
    public static MountEntry? At(string path) => List().LastOrDefault(mount => mount.Target == path);

    /// <summary>Whether something is mounted at exactly this path. Never touches the file system that is mounted.</summary>
    public static bool IsMountPoint(string path) => At(path) is not null;

    /// <summary>Mounts a file system.</summary>
    public static void Mount(string source, string target, string fileSystem, MountFlags flags = MountFlags.None, string options = "") =>
        Native.Mount(source, target, fileSystem, flags, options);

    /// <summary>Takes down the topmost mount at a path. Nothing to do when there is none.</summary>
    /// <param name="target">Where it is mounted.</param>
    /// <param name="lazy">Also while something uses it.</param>
    /// <exception cref="BlockStorageException">DeviceInUse.</exception>
    public static void Unmount(string target, bool lazy = false) => Native.Unmount(target, lazy);

    /// <summary>
    /// Takes down the topmost mount at a path, waiting a moment for what uses it: any program that this process starts at the same
    /// time has a copy of all our open files until it runs.
    /// </summary>
    /// <exception cref="BlockStorageException">DeviceInUse.</exception>
    public static async Task UnmountAsync(string target, CancellationToken cancel)
    {
        BlockStorageException? refusal = null;
        bool Try()
        {
            try
            {
                Unmount(target);
                return true;
            }
            catch (BlockStorageException error) when (error.Error == BlockErrors.DeviceInUse)
            {
                refusal = error;
                return false;
            }
        }
        if (!await Poll.UntilAsync(Try, UsersLeaveWithin, cancel).ConfigureAwait(false))
            throw refusal!;
    }

    /// <summary>Reads the format of /proc/PID/mountinfo.</summary>
    internal static MountEntry? Parse(string line)
    {
        // 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
        var fields = line.Split(' ');
        var dash = Array.IndexOf(fields, "-", Math.Min(6, fields.Length));
        if (dash < 0 || fields.Length < dash + 3)
            return null;
        var number = fields[2].Split(':');
        return new MountEntry(
            new DeviceNumber(uint.Parse(number[0], CultureInfo.InvariantCulture), uint.Parse(number[1], CultureInfo.InvariantCulture)),
            Unescape(fields[3]), Unescape(fields[4]), fields[5].Split(',').Contains("ro"), fields[dash + 1], Unescape(fields[dash + 2]));
    }

    private static List<MountEntry> Read(string file) => File.ReadLines(file).Select(Parse).OfType<MountEntry>().ToList();

    private static string? Namespace(int pid)
    {
        try
        {
            return new FileInfo($"/proc/{pid}/ns/mnt").LinkTarget;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    // Blanks, tabs, newlines and backslashes stand as octal numbers; the bytes around them are UTF-8 already.
    private static string Unescape(string text)
    {
        if (!text.Contains('\\'))
            return text;
        var result = new System.Text.StringBuilder();
        for (var i = 0; i < text.Length; i++)
        {
            if (text[i] == '\\' && i + 3 < text.Length)
            {
                result.Append((char)Convert.ToInt32(text.Substring(i + 1, 3), 8));
                i += 3;
            }
            else
                result.Append(text[i]);
        }
        return result.ToString();
    }
}
