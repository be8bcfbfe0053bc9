using System.Management.Automation;

namespace BlockStorage.Commands;

/// <summary>Gets the settings of this machine.</summary>
[Cmdlet(VerbsCommon.Get, "BlockStorageConfiguration")]
[OutputType(typeof(BlockStorageConfiguration))]
public sealed class GetBlockStorageConfigurationCommand : BlockStorageCommand
{
    /// <inheritdoc/>
    protected override void ProcessRecord() =>
        Try(null, () => WriteObject(Read((service, cancel) => service.GetConfigurationAsync(cancel))));
}
