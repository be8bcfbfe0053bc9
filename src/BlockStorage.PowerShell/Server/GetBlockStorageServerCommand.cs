using System.Management.Automation;

namespace BlockStorage.Commands;

/// <summary>Gets the machines that own pools and targets; now this machine.</summary>
[Cmdlet(VerbsCommon.Get, "BlockStorageServer")]
[OutputType(typeof(BlockStorageServer))]
public sealed class GetBlockStorageServerCommand : BlockStorageCommand
{
    /// <summary>Names of machines.</summary>
    [Parameter(Position = 0, ValueFromPipelineByPropertyName = true)]
    [SupportsWildcards]
    [NameTransformation]
    public string[]? Name { get; set; }

    /// <inheritdoc/>
    protected override void ProcessRecord() => WriteObject(
        Named<BlockStorageServer>(ObjectKind.Server, Name, async (service, cancel) => [await service.GetServerAsync(cancel).ConfigureAwait(false)]),
        enumerateCollection: true);
}
