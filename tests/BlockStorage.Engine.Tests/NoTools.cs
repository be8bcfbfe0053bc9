using BlockStorage.Engine.Host;
using BlockStorage.Services;

namespace BlockStorage.Engine.Tests;

/// <summary>A machine on which nothing is installed.</summary>
internal sealed class NoTools : ICommandRunner
{
    public string? Find(string program) => null;

    public Task<CommandResult> RunAsync(Command command, IWorkSink sink, CancellationToken cancel) =>
        throw new BlockStorageException(BlockErrors.ToolMissing, $"'{command.Program}' is not installed.", command.Program);
}
