using System.Management.Automation;
using BlockStorage.Services;

namespace BlockStorage.Commands;

/// <summary>Gets who may log in to targets.</summary>
[Cmdlet(VerbsCommon.Get, "IscsiTargetAccess", DefaultParameterSetName = ParameterSets.Target)]
[OutputType(typeof(IscsiTargetAccess))]
public sealed class GetIscsiTargetAccessCommand : BlockStorageCommand
{
    /// <summary>IQNs of targets; without it all.</summary>
    [Parameter(ParameterSetName = ParameterSets.Target, Position = 0)]
    [SupportsWildcards]
    [TargetNames]
    [NameTransformation]
    public string[]? Target { get; set; }

    /// <summary>Targets.</summary>
    [Parameter(ParameterSetName = ParameterSets.Object, Mandatory = true, ValueFromPipeline = true)]
    [ObjectTransformation]
    public IscsiTarget[]? InputObject { get; set; }

    /// <summary>Only these initiators.</summary>
    [Parameter(Position = 1)]
    [SupportsWildcards]
    public string[]? Initiator { get; set; }

    /// <inheritdoc/>
    protected override void ProcessRecord()
    {
        if (InputObject is null && Target is null)
            Try(null, () => Emit(new TargetQuery()));
        else
            ForEach(InputObject
                ?? Find(ObjectKind.Target, Target, null, (service, cancel) => service.GetTargetsAsync(new TargetQuery(Target), cancel)),
                target => Emit(new TargetQuery(Id: [target.Id])));
    }

    private void Emit(TargetQuery query)
    {
        var patterns = Initiator?.Select(text => new WildcardPattern(text, WildcardOptions.IgnoreCase)).ToArray();
        WriteObject(Read((service, cancel) => service.GetAccessAsync(query, cancel))
            .Where(access => patterns?.Any(pattern => pattern.IsMatch(access.Initiator)) ?? true), enumerateCollection: true);
    }
}
