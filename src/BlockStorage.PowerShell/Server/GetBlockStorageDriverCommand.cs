using System.Management.Automation;

namespace BlockStorage.Commands;

/// <summary>Gets the drivers, what they can do on this machine, and what would make the others work.</summary>
[Cmdlet(VerbsCommon.Get, "BlockStorageDriver")]
[OutputType(typeof(BlockStorageDriver))]
public sealed class GetBlockStorageDriverCommand : BlockStorageCommand
{
    /// <summary>Names of drivers.</summary>
    [Parameter(Position = 0, ValueFromPipelineByPropertyName = true)]
    [SupportsWildcards]
    [DriverNames]
    [NameTransformation]
    public string[]? Name { get; set; }

    /// <summary>Volume, Target or Connector.</summary>
    [Parameter]
    [ValidateSet("Volume", "Target", "Connector")]
    public string[]? Kind { get; set; }

    private protected override bool RecoversFirst => false;

    /// <inheritdoc/>
    protected override void ProcessRecord() => WriteObject(
        Named(ObjectKind.Driver, Name, (service, cancel) => service.GetDriversAsync(cancel))
            .Where(driver => Kind is null || Kind.Contains(driver.Kind, StringComparer.OrdinalIgnoreCase)),
        enumerateCollection: true);
}
