using System.Management.Automation;
using BlockStorage.Services;

namespace BlockStorage.Commands;

/// <summary>Changes settings of this machine. What is not given stays as it is.</summary>
[Cmdlet(VerbsCommon.Set, "BlockStorageConfiguration", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.Medium)]
[OutputType(typeof(BlockStorageConfiguration))]
public sealed class SetBlockStorageConfigurationCommand : BlockStorageCommand
{
    /// <summary>Address that targets listen on. With 127.0.0.1 nobody outside this machine can log in.</summary>
    [Parameter]
    public string? PortalAddress { get; set; }

    /// <summary>TCP port that targets listen on.</summary>
    [Parameter]
    public int? PortalPort { get; set; }

    /// <summary>Start of the IQNs that are generated, such as iqn.2026-01.org.example.</summary>
    [Parameter]
    public string? IqnPrefix { get; set; }

    /// <summary>Pool that New-BlockVolume uses when none is named; '' lets the scheduler choose.</summary>
    [Parameter]
    [AllowEmptyString]
    [PoolNames]
    public string? DefaultPool { get; set; }

    /// <summary>Seconds that a command waits for a lock before it says who holds it.</summary>
    [Parameter]
    public int? LockTimeoutSeconds { get; set; }

    /// <summary>Days that finished operations and events are kept.</summary>
    [Parameter]
    public int? HistoryDays { get; set; }

    /// <summary>Emit the changed settings.</summary>
    [Parameter]
    public SwitchParameter PassThru { get; set; }

    /// <inheritdoc/>
    protected override void ProcessRecord()
    {
        var request = new SetConfigurationRequest(PortalAddress, PortalPort, IqnPrefix, DefaultPool, LockTimeoutSeconds, HistoryDays);
        Try(null, () => Change(null, (service, cancel) => service.SetConfigurationAsync(request, cancel), Passed<BlockStorageConfiguration>(PassThru)));
    }
}
