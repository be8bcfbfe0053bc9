using BlockStorage.Services;

namespace BlockStorage.Engine.Host;

/// <summary>For work that nobody listens to.</summary>
internal sealed class SilentSink : IWorkSink
{
    /// <summary>The one there is.</summary>
    public static readonly SilentSink Instance = new();

    /// <inheritdoc/>
    public void Verbose(string message)
    {
    }

    /// <inheritdoc/>
    public void Warning(string message)
    {
    }

    /// <inheritdoc/>
    public void Progress(WorkProgress progress)
    {
    }
}
