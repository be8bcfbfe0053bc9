using System.Management.Automation;
using BlockStorage.Services;

namespace BlockStorage.Commands;

/// <summary>Gets snapshots.</summary>
[Cmdlet(VerbsCommon.Get, "BlockSnapshot", DefaultParameterSetName = ParameterSets.Name)]
[Alias("gbs")]
[OutputType(typeof(BlockSnapshot))]
public sealed class GetBlockSnapshotCommand : BlockStorageCommand
{
    /// <summary>Names of snapshots; without it all.</summary>
    [Parameter(ParameterSetName = ParameterSets.Name, Position = 0, ValueFromPipelineByPropertyName = true)]
    [SupportsWildcards]
    [SnapshotNames]
    [NameTransformation]
    public string[]? Name { get; set; }

    /// <summary>Ids of snapshots; beside names only those that have both, as in records that were saved.</summary>
    [Parameter(ParameterSetName = ParameterSets.Id, Mandatory = true, ValueFromPipelineByPropertyName = true)]
    [Parameter(ParameterSetName = ParameterSets.Name, ValueFromPipelineByPropertyName = true)]
    public string[]? Id { get; set; }

    /// <summary>Snapshots to read anew, or volumes whose snapshots are meant.</summary>
    [Parameter(ParameterSetName = ParameterSets.Object, Mandatory = true, ValueFromPipeline = true)]
    [ObjectTransformation]
    public BlockObject[]? InputObject { get; set; }

    /// <summary>Only of these volumes.</summary>
    [Parameter(ParameterSetName = ParameterSets.Name, ValueFromPipelineByPropertyName = true)]
    [SupportsWildcards]
    [VolumeNames]
    [NameTransformation]
    public string[]? Volume { get; set; }

    /// <summary>Only with one of these labels.</summary>
    [Parameter]
    [ListTransformation]
    public string[]? Tag { get; set; }

    /// <inheritdoc/>
    protected override void ProcessRecord()
    {
        if (InputObject is null)
            Emit(new SnapshotQuery(Name, Id, Volume, Tag), Name, Id);
        else
            ForEach(InputObject, item =>
            {
                if (item is BlockVolume)
                    EmitOf(item.Id);
                else if (item is BlockSnapshot)
                    Emit(new SnapshotQuery(Id: [item.Id], Tag: Tag), null, [item.Id]);
                else
                    throw WrongKind(item, "a snapshot or volume");
            });
    }

    private void Emit(SnapshotQuery query, string[]? names, string[]? ids) => WriteObject(
        Find(ObjectKind.Snapshot, names, ids, (service, cancel) => service.GetSnapshotsAsync(query, cancel)), enumerateCollection: true);

    // By the volume's id, so that a rename in between cannot lead to another volume's snapshots.
    private void EmitOf(string volumeId) => WriteObject(
        Read((service, cancel) => service.GetSnapshotsAsync(new SnapshotQuery(Tag: Tag), cancel))
            .Where(snapshot => snapshot.VolumeId == volumeId),
        enumerateCollection: true);
}
