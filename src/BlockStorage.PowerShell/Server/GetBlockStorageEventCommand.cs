using System.Management.Automation;
using BlockStorage.Services;

namespace BlockStorage.Commands;

/// <summary>Gets what happened: audit records and messages, oldest first.</summary>
[Cmdlet(VerbsCommon.Get, "BlockStorageEvent")]
[OutputType(typeof(BlockStorageEvent))]
public sealed class GetBlockStorageEventCommand : BlockStorageCommand
{
    /// <summary>Only from this moment on.</summary>
    [Parameter]
    public DateTime? Since { get; set; }

    /// <summary>Information, Warning or Error.</summary>
    [Parameter]
    [ValidateSet("Information", "Warning", "Error")]
    public string[]? Level { get; set; }

    /// <summary>Only about these volumes.</summary>
    [Parameter(Position = 0, ValueFromPipelineByPropertyName = true)]
    [SupportsWildcards]
    [VolumeNames]
    [NameTransformation]
    public string[]? Volume { get; set; }

    /// <inheritdoc/>
    protected override void ProcessRecord()
    {
        var query = new EventQuery(Level, Volume, Since?.ToUniversalTime());
        Try(null, () => WriteObject(Read((service, cancel) => service.GetEventsAsync(query, cancel)), enumerateCollection: true));
    }
}
