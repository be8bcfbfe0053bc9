using System.Management.Automation;
using BlockStorage.Services;

namespace BlockStorage.Commands;

/// <summary>Gets targets and what they publish.</summary>
[Cmdlet(VerbsCommon.Get, "IscsiTarget", DefaultParameterSetName = ParameterSets.Name)]
[Alias("gist")]
[OutputType(typeof(IscsiTarget))]
public sealed class GetIscsiTargetCommand : BlockStorageCommand
{
    /// <summary>IQNs of targets; without it all.</summary>
    [Parameter(ParameterSetName = ParameterSets.Name, Position = 0, ValueFromPipelineByPropertyName = true)]
    [SupportsWildcards]
    [TargetNames]
    [NameTransformation]
    [Alias("Iqn")]
    public string[]? Name { get; set; }

    /// <summary>Ids of targets; beside names only those that have both, as in records that were saved.</summary>
    [Parameter(ParameterSetName = ParameterSets.Id, Mandatory = true, ValueFromPipelineByPropertyName = true)]
    [Parameter(ParameterSetName = ParameterSets.Name, ValueFromPipelineByPropertyName = true)]
    public string[]? Id { get; set; }

    /// <summary>Targets to read anew, or volumes and snapshots whose targets are meant.</summary>
    [Parameter(ParameterSetName = ParameterSets.Object, Mandatory = true, ValueFromPipeline = true)]
    [ObjectTransformation]
    public BlockObject[]? InputObject { get; set; }

    /// <summary>Only those that publish these volumes.</summary>
    [Parameter(ParameterSetName = ParameterSets.Name, ValueFromPipelineByPropertyName = true)]
    [SupportsWildcards]
    [VolumeNames]
    [NameTransformation]
    public string[]? Volume { get; set; }

    /// <inheritdoc/>
    protected override void ProcessRecord()
    {
        if (InputObject is null)
            Emit(new TargetQuery(Name, Id, Volume), Name, Id);
        else
            ForEach(InputObject, item =>
            {
                if (item is IscsiTarget)
                    Emit(new TargetQuery(Id: [item.Id]), null, [item.Id]);
                else
                    WriteObject(TargetsOf(item), enumerateCollection: true);
            });
    }

    private void Emit(TargetQuery query, string[]? names, string[]? ids) => WriteObject(
        Find(ObjectKind.Target, names, ids, (service, cancel) => service.GetTargetsAsync(query, cancel)), enumerateCollection: true);
}
