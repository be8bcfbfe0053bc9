using System.Diagnostics;
using System.Security.Cryptography;
using BlockStorage.Services;

namespace BlockStorage.Quickstart;

/// <summary>What the story needs of the machine around BlockStorage: tools, files, proof, a clock.</summary>
internal sealed class Machine(string sandbox) : IWorkSink
{
    private readonly Stopwatch _clock = Stopwatch.StartNew();

    public string Mount { get; } = Directory.CreateDirectory(Path.Combine(sandbox, "mount")).FullName;

    public void Verbose(string message)
    {
    }

    public void Warning(string message) => Console.WriteLine($"WARNING: {message}");

    public void Progress(WorkProgress progress)
    {
    }

    public async Task<T> StepAsync<T>(string text, Func<Task<T>> work)
    {
        var start = _clock.Elapsed;
        var result = await work();
        Console.WriteLine($"{(_clock.Elapsed - start).TotalSeconds,7:0.00} s  {text}");
        return result;
    }

    public Task StepAsync(string text, Func<Task> work) => StepAsync(text, async () =>
    {
        await work();
        return true;
    });

    public void End() => Console.WriteLine($"{_clock.Elapsed.TotalSeconds,7:0.00} s  in all");

    public static void Assert(bool condition, string what)
    {
        if (!condition)
            throw new InvalidOperationException($"Not so: {what}");
    }

    public static Process Start(string program, params string[] arguments)
    {
        var start = new ProcessStartInfo(program) { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var argument in arguments)
            start.ArgumentList.Add(argument);
        return Process.Start(start)!;
    }

    public static async Task<string> ToolAsync(string program, params string[] arguments)
    {
        using var process = Start(program, arguments);
        var error = process.StandardError.ReadToEndAsync();
        var output = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        return process.ExitCode == 0 ? output.Trim()
            : throw new InvalidOperationException($"{program} {string.Join(' ', arguments)}: {await error}");
    }

    /// <summary>A process that writes to the mounted file system until it is stopped or done.</summary>
    public Process StartWriter(int count) =>
        Start("dd", "if=/dev/zero", $"of={Mount}/noise", "bs=64k", $"count={count}", "oflag=dsync", "status=none");

    public async Task WriteFilesAsync(int seed)
    {
        var bytes = new byte[4 << 20];
        for (var number = 1; number <= 8; number++)
        {
            new Random(seed + number).NextBytes(bytes);
            await File.WriteAllBytesAsync($"{Mount}/data{number}", bytes);
        }
        await ToolAsync("sync", "-f", Mount);
    }

    public string HashFiles() => string.Join(' ', Directory.EnumerateFiles(Mount, "data*").Order(StringComparer.Ordinal)
        .Select(file => Convert.ToHexString(SHA256.HashData(File.ReadAllBytes(file)))));

    public async Task WaitForNoiseAsync()
    {
        var noise = new FileInfo($"{Mount}/noise");
        for (var waited = Stopwatch.StartNew(); ; noise.Refresh())
        {
            if (noise is { Exists: true, Length: > 1 << 20 })
                return;
            Assert(waited.Elapsed < TimeSpan.FromSeconds(20), "the writer writes");
            await Task.Delay(20);
        }
    }

    /// <summary>Processes, mounts, loop devices and files of ours.</summary>
    public IReadOnlyList<string> Leftovers()
    {
        var left = new List<string>();
        foreach (var process in Directory.EnumerateDirectories("/proc").Where(path => int.TryParse(Path.GetFileName(path), out var id) && id != Environment.ProcessId))
        {
            try
            {
                if (File.ReadAllText($"{process}/cmdline") is var line && line.Contains(sandbox, StringComparison.Ordinal))
                    left.Add($"process {process}: {line.Replace('\0', ' ')}");
            }
            catch (IOException)
            {
                // The process ended while we looked.
            }
        }
        left.AddRange(File.ReadLines("/proc/mounts").Where(line => line.Contains(sandbox, StringComparison.Ordinal)).Select(line => $"mount: {line}"));
        left.AddRange(Directory.EnumerateDirectories("/sys/block", "loop*").Select(loop => $"{loop}/loop/backing_file").Where(File.Exists)
            .Where(file => File.ReadAllText(file).Contains(sandbox, StringComparison.Ordinal)).Select(file => $"loop device: {file}"));
        left.AddRange(Directory.EnumerateFiles($"{sandbox}/state", "*", SearchOption.AllDirectories)
            .Where(file => !Path.GetFileName(file).StartsWith("catalog.db", StringComparison.Ordinal)).Select(file => $"file: {file}"));
        return left;
    }
}
