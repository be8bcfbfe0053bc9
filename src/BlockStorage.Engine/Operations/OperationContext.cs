using BlockStorage.Engine.Catalog;
using BlockStorage.Engine.Host;
using BlockStorage.Engine.Nodes;
using BlockStorage.Services;

namespace BlockStorage.Engine.Operations;

/// <summary>What operations work with.</summary>
/// <param name="Catalog">The records.</param>
/// <param name="Node">The machine.</param>
/// <param name="Secrets">CHAP secrets.</param>
/// <param name="Root">State folder.</param>
/// <param name="Sink">Where work tells what it does.</param>
internal sealed record OperationContext(ICatalog Catalog, INode Node, SecretStore Secrets, StateRoot Root, IWorkSink Sink)
{
    /// <summary>Called at every boundary where a crash could fall; tests kill the process there.</summary>
    public Action<string> Boundary { get; init; } = static _ => { };
}
