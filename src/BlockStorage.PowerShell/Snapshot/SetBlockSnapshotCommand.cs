using System.Management.Automation;
using BlockStorage.Services;

namespace BlockStorage.Commands;

/// <summary>Changes texts of snapshots. What is not given stays as it is.</summary>
[Cmdlet(VerbsCommon.Set, "BlockSnapshot", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.Low,
    DefaultParameterSetName = ParameterSets.Object)]
[OutputType(typeof(BlockSnapshot))]
public sealed class SetBlockSnapshotCommand : SnapshotCommand
{
    /// <summary>Free text.</summary>
    [Parameter]
    [AllowEmptyString]
    public string? Description { get; set; }

    /// <summary>Labels; they replace the old ones, @() removes all.</summary>
    [Parameter]
    [AllowEmptyCollection]
    [ListTransformation]
    public string[]? Tag { get; set; }

    /// <summary>When a policy may remove it; $null for never.</summary>
    [Parameter]
    [AllowNull]
    public DateTime? ExpiresAt { get; set; }

    /// <summary>Emit the changed snapshot.</summary>
    [Parameter]
    public SwitchParameter PassThru { get; set; }

    private protected override void Process(BlockSnapshot snapshot)
    {
        var never = IsBound(nameof(ExpiresAt)) && ExpiresAt is null;
        var request = new SetSnapshotRequest(Description, Tag, ExpiresAt?.ToUniversalTime(), never);
        Change(snapshot, (service, cancel) => service.SetSnapshotAsync(snapshot.Id, request, cancel), Passed<BlockSnapshot>(PassThru));
    }
}
