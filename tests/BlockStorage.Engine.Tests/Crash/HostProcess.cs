using System.Diagnostics;

namespace BlockStorage.Engine.Tests.Crash;

/// <summary>Runs the test host as a process of its own.</summary>
internal static class HostProcess
{
    private static readonly string Assembly = Path.Combine(AppContext.BaseDirectory, "BlockStorage.TestHost.dll");

    /// <summary>Starts it.</summary>
    public static Process Start(params string[] arguments)
    {
        var start = new ProcessStartInfo("dotnet") { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
        start.ArgumentList.Add(Assembly);
        // A killed runtime leaves the pipes of its debugger in /tmp.
        start.Environment["DOTNET_EnableDiagnostics"] = "0";
        foreach (var argument in arguments)
            start.ArgumentList.Add(argument);
        return Process.Start(start)!;
    }

    /// <summary>Runs it to its end.</summary>
    public static async Task<(int ExitCode, string Output, string Error)> RunAsync(params string[] arguments)
    {
        using var process = Start(arguments);
        return await EndAsync(process);
    }

    /// <summary>Gives one that waits for it its order: a verb, and the boundary at which it dies.</summary>
    public static async Task OrderAsync(Process process, string verb, string name, int point, string place = "")
    {
        await process.StandardInput.WriteLineAsync($"{verb} {name} {point} {place}");
        process.StandardInput.Close();
    }

    /// <summary>Waits for its end and gives what it said.</summary>
    public static async Task<(int ExitCode, string Output, string Error)> EndAsync(Process process)
    {
        var output = process.StandardOutput.ReadToEndAsync();
        var error = process.StandardError.ReadToEndAsync();
        using var limit = new CancellationTokenSource(TimeSpan.FromMinutes(5));
        await process.WaitForExitAsync(limit.Token);
        return (process.ExitCode, await output, await error);
    }
}
