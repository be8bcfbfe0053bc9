using System.Management.Automation;

namespace BlockStorage.Commands;

/// <summary>Gets what this machine is as an initiator.</summary>
[Cmdlet(VerbsCommon.Get, "IscsiInitiator")]
[OutputType(typeof(IscsiInitiator))]
public sealed class GetIscsiInitiatorCommand : BlockStorageCommand
{
    /// <inheritdoc/>
    protected override void ProcessRecord() =>
        Try(null, () => WriteObject(Read((service, cancel) => service.GetInitiatorAsync(cancel))));
}
