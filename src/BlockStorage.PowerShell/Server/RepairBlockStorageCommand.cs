using System.Management.Automation;

namespace BlockStorage.Commands;

/// <summary>Compares records with reality and sets right what differs. With -WhatIf it only says what that would be.</summary>
[Cmdlet(VerbsDiagnostic.Repair, "BlockStorage", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.Medium)]
[OutputType(typeof(BlockRepairAction), typeof(BlockStorageJob))]
public sealed class RepairBlockStorageCommand : BlockStorageCommand
{
    /// <summary>End the sessions of targets that the catalogue does not know, and remove these targets.</summary>
    [Parameter]
    public SwitchParameter Force { get; set; }

    /// <summary>Run it as a job.</summary>
    [Parameter]
    public SwitchParameter AsJob { get; set; }

    private protected override bool RunsAsJob => AsJob;

    private protected override bool RecoversFirst => false;

    /// <inheritdoc/>
    protected override void ProcessRecord() =>
        Try(null, () => Change(null, (service, cancel) => service.RepairAsync(Force, cancel), actions => actions));
}
