using System.Diagnostics;
using BlockStorage.Engine;
using BlockStorage.Engine.Host;
using BlockStorage.Engine.Nodes;
using BlockStorage.Services;

namespace BlockStorage.Benchmarks;

/// <summary>A state folder with a pool on XFS, the service over it, and what all benchmarks share.</summary>
internal sealed class Sandbox : IAsyncDisposable
{
    private static readonly CancellationToken Stop = CancellationToken.None;

    private Sandbox(string home)
    {
        Root = new StateRoot(home);
        Node = new LocalNode(Root);
        Service = new BlockStorageService(Root, Node);
    }

    public StateRoot Root { get; }

    public LocalNode Node { get; }

    public BlockStorageService Service { get; }

    public string PoolData => Path.Combine(Root.Home, "pool", "data");

    public static async Task<Sandbox> OpenAsync(string home)
    {
        var sandbox = new Sandbox(home);
        await Run(sandbox.Service.NewPoolAsync(new NewPoolRequest("bench", "File", Path.Combine(home, "pool"), 8L << 30, IfNotExists: true), Stop));
        return sandbox;
    }

    /// <summary>Removes everything of the folder.</summary>
    public static async Task<int> CleanAsync(string home)
    {
        await using var sandbox = new Sandbox(home);
        foreach (var volume in await sandbox.Service.GetVolumesAsync(new VolumeQuery(), Stop))
            await Run(sandbox.Service.RemoveVolumeAsync(volume.Id, cascade: true, force: true, Stop));
        foreach (var pool in await sandbox.Service.GetPoolsAsync(new ObjectQuery(), Stop))
            await Run(sandbox.Service.RemovePoolAsync(pool.Id, Stop));
        Directory.Delete(home, recursive: true);
        return 0;
    }

    public static async Task<T> Run<T>(Task<BlockPlan<T>> plan) => await (await plan).RunAsync(SilentSink.Instance, Stop);

    /// <summary>How many tools were run.</summary>
    public static int ToolCount { get; private set; }

    /// <summary>Runs a raw tool to its end; the time of its process is part of what is measured.</summary>
    public static string Tool(string program, params string[] arguments)
    {
        var start = new ProcessStartInfo(program) { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var argument in arguments)
            start.ArgumentList.Add(argument);
        ToolCount++;
        using var process = Process.Start(start)!;
        var error = process.StandardError.ReadToEndAsync();
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode == 0 ? output
            : throw new InvalidOperationException($"{program} {string.Join(' ', arguments)}: {error.Result}");
    }

    /// <summary>Milliseconds of one piece of work.</summary>
    public static async Task<double> TimeAsync(Func<Task> work)
    {
        var start = Stopwatch.GetTimestamp();
        await work();
        return Stopwatch.GetElapsedTime(start).TotalMilliseconds;
    }

    public static double Median(IEnumerable<double> values)
    {
        var sorted = values.Order().ToArray();
        return sorted[sorted.Length / 2];
    }

    public ValueTask DisposeAsync() => Service.DisposeAsync();
}
