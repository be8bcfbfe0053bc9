using System.Management.Automation;
using BlockStorage.Services;

namespace BlockStorage.Commands;

/// <summary>Shuts initiators out of targets.</summary>
[Cmdlet(VerbsSecurity.Revoke, "IscsiTargetAccess", SupportsShouldProcess = true, ConfirmImpact = ConfirmImpact.Medium,
    DefaultParameterSetName = ParameterSets.Object)]
[OutputType(typeof(IscsiTarget))]
public sealed class RevokeIscsiTargetAccessCommand : TargetAccessCommand
{
    /// <summary>Initiators to shut out; not needed where access rights are piped in.</summary>
    [Parameter(Position = 1)]
    [SupportsWildcards]
    public string[]? Initiator { get; set; }

    /// <summary>Emit the target.</summary>
    [Parameter]
    public SwitchParameter PassThru { get; set; }

    private protected override void Process(BlockObject item)
    {
        if (item is IscsiTargetAccess access)
            Revoke(TargetOf(access), [access.Initiator], item);
        else if (item is not IscsiTarget target)
            throw WrongKind(item, "a target or access right");
        else if (Initiator is null)
            throw new BlockStorageException(BlockErrors.InvalidArgument, $"Say whom to shut out of '{target.Iqn}'.", target.Iqn,
                $"Get-IscsiTargetAccess {target.Iqn}");
        else
            Revoke(target, Matching(target), item);
    }

    private void Revoke(IscsiTarget target, IEnumerable<string> initiators, BlockObject item)
    {
        foreach (var initiator in initiators)
        {
            Try(item, () =>
            {
                if (Change(item, (service, cancel) => service.RevokeAccessAsync(target.Id, initiator, cancel)) && PassThru)
                    WriteObject(Read((service, cancel) => service.GetTargetsAsync(new TargetQuery(Id: [target.Id]), cancel)), enumerateCollection: true);
            });
        }
    }

    // A literal '*' is the right of that very name, not everybody's.
    private List<string> Matching(IscsiTarget target)
    {
        var there = Read((service, cancel) => service.GetAccessAsync(new TargetQuery(Id: [target.Id]), cancel))
            .Select(access => access.Initiator).ToArray();
        foreach (var missing in ObjectKind.Misses(Initiator, there))
            WriteError(ErrorRecords.From(ObjectKind.Access.Missing(missing, "initiator")));
        return [.. there.Where(name => Initiator!.Any(text => text == "*"
            ? name == "*"
            : new WildcardPattern(text, WildcardOptions.IgnoreCase).IsMatch(name)))];
    }

    private IscsiTarget TargetOf(IscsiTargetAccess access) =>
        Read((service, cancel) => service.GetTargetsAsync(new TargetQuery([access.Target]), cancel)).FirstOrDefault()
        ?? throw ObjectKind.Target.Missing(access.Target, "IQN");
}
