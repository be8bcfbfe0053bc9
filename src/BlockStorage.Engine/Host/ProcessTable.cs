using System.Globalization;
using System.Text;

namespace BlockStorage.Engine.Host;

/// <summary>A process, told apart from a later one of the same id by when it started.</summary>
/// <param name="Pid">Process id.</param>
/// <param name="StartTime">Clock ticks since boot.</param>
/// <param name="Name">Short name of its program.</param>
internal sealed record ProcessEntry(int Pid, long StartTime, string Name);

/// <summary>Processes of this machine, as /proc shows them. Zombies count as gone.</summary>
internal static class ProcessTable
{
    /// <summary>Variable that every child of an operation carries.</summary>
    public const string OperationVariable = "BLOCKSTORAGE_OP";

    /// <summary>Ids of all processes.</summary>
    public static IEnumerable<int> Ids() => Directory.EnumerateDirectories("/proc")
        .Select(folder => int.TryParse(Path.GetFileName(folder), NumberStyles.None, CultureInfo.InvariantCulture, out var pid) ? pid : 0)
        .Where(pid => pid > 0);

    /// <summary>A living process, or null.</summary>
    public static ProcessEntry? Get(int pid)
    {
        // The name stands in brackets and may hold anything, brackets too.
        if (Read(pid, "stat") is not { Length: > 0 } stat)
            return null;
        var close = stat.LastIndexOf(')');
        var fields = stat[(close + 2)..].Split(' ');
        return fields[0] is "Z" or "X"
            ? null
            : new ProcessEntry(pid, long.Parse(fields[19], CultureInfo.InvariantCulture), stat[(stat.IndexOf('(') + 1)..close]);
    }

    /// <summary>Whether this very process still lives.</summary>
    public static bool IsAlive(int pid, long startTime) => Get(pid)?.StartTime == startTime;

    /// <summary>Other processes with an argument that contains a text.</summary>
    public static IReadOnlyList<ProcessEntry> FindByArgument(string text) =>
        Find(pid => Arguments(pid).Any(argument => argument.Contains(text, StringComparison.Ordinal)));

    /// <summary>Other processes that work for an operation.</summary>
    public static IReadOnlyList<ProcessEntry> FindByOperation(string operationId) => FindByVariable(OperationVariable, operationId);

    /// <summary>Other processes that started with a variable of this value. Those of others are hidden from anyone but root.</summary>
    public static IReadOnlyList<ProcessEntry> FindByVariable(string name, string value)
    {
        var wanted = $"{name}={value}";
        return Find(pid => Read(pid, "environ")?.Split('\0').Contains(wanted) == true);
    }

    /// <summary>Arguments a process was started with; none when it is gone.</summary>
    public static IReadOnlyList<string> Arguments(int pid) =>
        Read(pid, "cmdline") is { Length: > 0 } line ? line.TrimEnd('\0').Split('\0') : [];

    /// <summary>Other processes that have one of these paths open.</summary>
    public static IReadOnlyList<ProcessEntry> HoldersOf(IReadOnlySet<string> paths) => Find(pid =>
    {
        try
        {
            return Directory.EnumerateFileSystemEntries($"/proc/{pid}/fd")
                .Any(entry => new FileInfo(entry).LinkTarget is { } target && paths.Contains(target));
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    });

    /// <summary>Waits for the end of a process.</summary>
    /// <returns>Whether it has ended.</returns>
    public static Task<bool> WaitForExitAsync(ProcessEntry process, TimeSpan limit, CancellationToken cancel) =>
        Poll.UntilAsync(() => !IsAlive(process.Pid, process.StartTime), limit, cancel);

    /// <summary>Sends a signal, unless the process has ended.</summary>
    public static void Signal(ProcessEntry process, Signal signal)
    {
        if (IsAlive(process.Pid, process.StartTime))
            Native.SendSignal(process.Pid, signal);
    }

    /// <summary>Ends a process: asks first, then insists.</summary>
    /// <param name="process">Process.</param>
    /// <param name="patience">How long it may take to end by itself.</param>
    /// <param name="cancel">Stops the waiting.</param>
    /// <exception cref="BlockStorageException">ToolTimeout: not even SIGKILL ends it.</exception>
    public static async Task KillAsync(ProcessEntry process, TimeSpan patience, CancellationToken cancel)
    {
        if (patience > TimeSpan.Zero)
        {
            Signal(process, Host.Signal.Terminate);
            if (await WaitForExitAsync(process, patience, cancel).ConfigureAwait(false))
                return;
        }
        Signal(process, Host.Signal.Kill);
        if (!await WaitForExitAsync(process, TimeSpan.FromSeconds(10), cancel).ConfigureAwait(false))
            throw new BlockStorageException(BlockErrors.ToolTimeout,
                $"Process {process.Pid} ({process.Name}) does not end; the kernel waits for a device of its.", process.Name);
    }

    private static List<ProcessEntry> Find(Func<int, bool> matches) => Ids()
        .Where(pid => pid != Environment.ProcessId && matches(pid)).Select(Get).OfType<ProcessEntry>().ToList();

    private static string? Read(int pid, string file)
    {
        try
        {
            return Encoding.UTF8.GetString(File.ReadAllBytes($"/proc/{pid}/{file}"));
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
