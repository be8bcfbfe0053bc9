using System.Diagnostics;
using System.Text;
using BlockStorage.Services;

namespace BlockStorage.Engine.Host;

/// <summary>A command to run. Arguments are a list, never a shell line; secrets never stand in them.</summary>
/// <param name="Program">Name of a tool, looked up in the fixed system path.</param>
/// <param name="Arguments">Arguments.</param>
/// <param name="Timeout">How long it may take.</param>
/// <param name="Mutates">It changes metadata: never killed and never abandoned.</param>
internal sealed record Command(string Program, IReadOnlyList<string> Arguments, TimeSpan Timeout, bool Mutates = true)
{
    /// <summary>The line for people.</summary>
    public override string ToString() => string.Join(' ', Arguments.Prepend(Program));
}

/// <summary>What a command gave.</summary>
internal sealed record CommandResult(int ExitCode, string Output, string Error);

/// <summary>The one way out to other programs.</summary>
internal interface ICommandRunner
{
    /// <summary>Runs a command to its end.</summary>
    /// <returns>Exit code and outputs; a non-zero exit code is the caller's to judge.</returns>
    /// <exception cref="BlockStorageException">ToolMissing, ToolTimeout.</exception>
    Task<CommandResult> RunAsync(Command command, IWorkSink sink, CancellationToken cancel);

    /// <summary>Full path of a tool, or null.</summary>
    string? Find(string program);
}

/// <summary>Runs programs in sessions of their own, so that the terminal's Ctrl+C reaches only us.</summary>
internal sealed class CommandRunner : ICommandRunner
{
    private const int OutputLimit = 4 << 20;
    private static readonly string[] Folders = ["/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/local/sbin", "/usr/local/bin"];

    /// <inheritdoc/>
    public string? Find(string program) =>
        Folders.Select(folder => Path.Combine(folder, program)).FirstOrDefault(File.Exists);

    /// <inheritdoc/>
    public async Task<CommandResult> RunAsync(Command command, IWorkSink sink, CancellationToken cancel)
    {
        var program = Find(command.Program) ?? throw new BlockStorageException(BlockErrors.ToolMissing,
            $"'{command.Program}' is not installed.", command.Program);
        var start = new ProcessStartInfo(Find("setsid") ?? "/usr/bin/setsid")
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = "/",
        };
        start.ArgumentList.Add("--wait");
        start.ArgumentList.Add(program);
        foreach (var argument in command.Arguments)
            start.ArgumentList.Add(argument);
        start.Environment.Clear();
        start.Environment["PATH"] = string.Join(':', Folders);
        start.Environment["LC_ALL"] = "C";
        if (OperationScope.CurrentId is { Length: > 0 } operation)
            start.Environment["BLOCKSTORAGE_OP"] = operation;

        cancel.ThrowIfCancellationRequested();
        sink.Verbose($"Running: {command}");
        using var process = Process.Start(start)!;
        process.StandardInput.Close();
        var output = ReadAsync(process.StandardOutput);
        var error = ReadAsync(process.StandardError);

        using var limit = CancellationTokenSource.CreateLinkedTokenSource(command.Mutates ? CancellationToken.None : cancel);
        limit.CancelAfter(command.Timeout);
        try
        {
            await process.WaitForExitAsync(limit.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            if (!command.Mutates)
            {
                process.Kill(entireProcessTree: true);
                await process.WaitForExitAsync(CancellationToken.None).ConfigureAwait(false);
                cancel.ThrowIfCancellationRequested();
            }
            throw new BlockStorageException(BlockErrors.ToolTimeout,
                $"'{command.Program}' (process {process.Id}) did not end within {command.Timeout.TotalSeconds:0} s.", command.Program);
        }
        return new CommandResult(process.ExitCode, await output.ConfigureAwait(false), await error.ConfigureAwait(false));
    }

    private static async Task<string> ReadAsync(StreamReader reader)
    {
        var text = new StringBuilder();
        var buffer = new char[8192];
        int count;
        while ((count = await reader.ReadAsync(buffer).ConfigureAwait(false)) > 0)
        {
            // Read on past the limit so that the child never blocks on a full pipe.
            if (text.Length < OutputLimit)
                text.Append(buffer, 0, Math.Min(count, OutputLimit - text.Length));
        }
        return text.ToString();
    }
}

/// <summary>Short forms that drivers share.</summary>
internal static class CommandRunnerExtensions
{
    /// <summary>Runs a command that must succeed.</summary>
    /// <exception cref="BlockStorageException">ToolFailed with the end of what the tool said.</exception>
    public static async Task<string> RunCheckedAsync(
        this ICommandRunner runner, Command command, IWorkSink sink, CancellationToken cancel)
    {
        var result = await runner.RunAsync(command, sink, cancel).ConfigureAwait(false);
        if (result.ExitCode == 0)
            return result.Output;
        var said = result.Error.Trim() is { Length: > 0 } error ? error : result.Output.Trim();
        throw new BlockStorageException(BlockErrors.ToolFailed,
            $"'{command.Program}' ended with exit code {result.ExitCode}: {(said.Length > 600 ? said[^600..] : said)}", command.Program);
    }
}
