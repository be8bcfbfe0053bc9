using System.Management.Automation;
using BlockStorage.Services;

namespace BlockStorage.Commands;

/// <summary>What cmdlets that change access to targets share: how targets are named.</summary>
public abstract class TargetAccessCommand : BlockStorageCommand
{
    /// <summary>Targets.</summary>
    [Parameter(ParameterSetName = ParameterSets.Object, Mandatory = true, ValueFromPipeline = true)]
    [ObjectTransformation]
    public BlockObject[]? InputObject { get; set; }

    /// <summary>IQNs of targets.</summary>
    [Parameter(ParameterSetName = ParameterSets.Target, Mandatory = true, Position = 0)]
    [SupportsWildcards]
    [TargetNames]
    [NameTransformation]
    public string[]? Target { get; set; }

    /// <summary>Acts on one target or access right.</summary>
    private protected abstract void Process(BlockObject item);

    /// <inheritdoc/>
    protected override void ProcessRecord() => ForEach(InputObject
        ?? Find<BlockObject>(ObjectKind.Target, Target, null, async (service, cancel) =>
            await service.GetTargetsAsync(new TargetQuery(Target), cancel).ConfigureAwait(false)), Process);
}
