using System.Management.Automation;
using BlockStorage.Services;

namespace BlockStorage.Commands;

/// <summary>Asks portals, of any make, for their targets.</summary>
[Cmdlet(VerbsCommon.Find, "IscsiTarget", DefaultParameterSetName = ParameterSets.Address)]
[Alias("fdist")]
[OutputType(typeof(IscsiTargetAddress))]
public sealed class FindIscsiTargetCommand : BlockStorageCommand
{
    /// <summary>Addresses of portals.</summary>
    [Parameter(ParameterSetName = ParameterSets.Address, Mandatory = true, Position = 0)]
    public string[]? PortalAddress { get; set; }

    /// <summary>TCP port; without it our own portal's where the address is ours, else 3260.</summary>
    [Parameter(ParameterSetName = ParameterSets.Address)]
    [ValidateRange(1, 65535)]
    public int? Port { get; set; }

    /// <summary>CHAP user name and secret for the discovery session.</summary>
    [Parameter(ParameterSetName = ParameterSets.Address)]
    [Credential]
    public PSCredential? Credential { get; set; }

    /// <summary>Seconds to wait for an answer.</summary>
    [Parameter(ParameterSetName = ParameterSets.Address)]
    [ValidateRange(1, int.MaxValue)]
    public int? Timeout { get; set; }

    /// <inheritdoc/>
    protected override void ProcessRecord()
    {
        foreach (var address in PortalAddress!)
        {
            var request = new DiscoveryRequest(address, Port, ToChap(Credential), ToTimeSpan(Timeout));
            Try(address, () => WriteObject(Read((service, cancel) => service.FindTargetsAsync(request, cancel)), enumerateCollection: true));
        }
    }
}
