using BlockStorage.Services;

namespace BlockStorage.Engine.Targets;

/// <summary>
/// Publishes files and devices over iSCSI. Knows nothing of the catalogue. Every method is idempotent: it makes reality
/// match what it is given and touches nothing else.
/// </summary>
internal interface ITargetDriver
{
    /// <summary>Name that users type, such as Tgt.</summary>
    string Name { get; }

    /// <summary>True where resizing takes the logical unit away for a moment, so that writers must be held.</summary>
    bool ResizeInterrupts { get; }

    /// <summary>True where grants may also be for everybody who knows the secret (*), or for addresses; else for IQNs only.</summary>
    bool AnyInitiator { get; }

    /// <summary>Smallest and largest logical unit number; the smallest is the default.</summary>
    (int First, int Last) Luns { get; }

    /// <summary>Whether it works on this machine, and why not.</summary>
    Task<DriverProbe> ProbeAsync(CancellationToken cancel);

    /// <summary>A portal that can be used here: the wanted port, or the first free one from 3260 where it is 0.</summary>
    /// <exception cref="BlockStorageException">PortalUnreachable: the address is not of this machine or the port is taken.</exception>
    Task<Portal> ChoosePortalAsync(string address, int port, CancellationToken cancel);

    /// <summary>Makes the target, its logical unit, access and portals be as given; starts the service where it must.</summary>
    Task PublishAsync(ExportSpec export, IWorkSink sink, CancellationToken cancel);

    /// <summary>Removes only the logical unit of the target.</summary>
    Task RemoveLunAsync(string iqn, int lun, CancellationToken cancel);

    /// <summary>Removes the target with everything on it, ending sessions when forced; stops the service after the last one. Succeeds when absent.</summary>
    /// <exception cref="BlockStorageException">TargetHasSessions.</exception>
    Task UnpublishAsync(string iqn, bool force, CancellationToken cancel);

    /// <summary>Shows a new size of the backing file. Callers hold writers of their own when ResizeInterrupts.</summary>
    Task ResizeAsync(ExportSpec export, CancellationToken cancel);

    /// <summary>What is really there. Empty when the service does not run; starts nothing.</summary>
    Task<TargetReport> ListAsync(CancellationToken cancel);

    /// <summary>As ListAsync, where only this target is asked for; others may be left out.</summary>
    Task<TargetReport> FindAsync(string iqn, CancellationToken cancel) => ListAsync(cancel);

    /// <summary>Makes all given exports be there, one by one; gives the failures.</summary>
    async Task<IReadOnlyList<(ExportSpec Export, BlockStorageException Error)>> RestoreAsync(
        IReadOnlyList<ExportSpec> exports, IWorkSink sink, CancellationToken cancel)
    {
        List<(ExportSpec, BlockStorageException)> failures = [];
        foreach (var export in exports)
        {
            try
            {
                await PublishAsync(export, sink, cancel).ConfigureAwait(false);
            }
            catch (BlockStorageException error)
            {
                failures.Add((export, error));
            }
        }
        return failures;
    }

    /// <summary>What of a target of ours that is there is not as it should be, in words; null for nothing. Changes nothing.</summary>
    Task<string?> CompareAsync(ExportSpec export, CancellationToken cancel) => Task.FromResult<string?>(null);

    /// <summary>What is ours and belongs to no target, such as a device that another tool brought back. Changes nothing.</summary>
    Task<IReadOnlyList<string>> FindLeftoversAsync(CancellationToken cancel) => Task.FromResult<IReadOnlyList<string>>([]);

    /// <summary>
    /// Removes what is ours and should not be: what another tool brought back, and what a crash left. Sessions end; the data
    /// stays. Looks first and asks then, so that what is published meanwhile stays.
    /// </summary>
    /// <param name="wanted">Gives the names of all targets that should be.</param>
    /// <param name="cancel">Stops it.</param>
    /// <returns>What was removed.</returns>
    Task<IReadOnlyList<string>> CleanAsync(Func<IReadOnlySet<string>> wanted, CancellationToken cancel) =>
        Task.FromResult<IReadOnlyList<string>>([]);
}

/// <summary>A target as it should be.</summary>
/// <param name="Id">UUID of the target.</param>
/// <param name="Iqn">iSCSI name.</param>
/// <param name="Portals">Where it listens.</param>
/// <param name="Lun">What it publishes; null for an empty target.</param>
/// <param name="Grants">Who may log in.</param>
/// <param name="MutualChap">Secret the target proves; null for none.</param>
internal sealed record ExportSpec(
    string Id, string Iqn, IReadOnlyList<Portal> Portals, LunSpec? Lun, IReadOnlyList<GrantSpec> Grants,
    ChapCredential? MutualChap)
{
    /// <summary>Only where this machine has the address, as long as that is somewhere: a link that is down keeps no path but its own away.</summary>
    public ExportSpec Here() => Portals.Where(PortalProbe.IsHere).ToArray() is { Length: > 0 } here && here.Length < Portals.Count
        ? this with { Portals = here } : this;
}

/// <summary>A logical unit as it should be.</summary>
/// <param name="Number">Logical unit number.</param>
/// <param name="Path">Backing file or device.</param>
/// <param name="ReadOnly">Refuse writes (SPC-4 write protect).</param>
/// <param name="Serial">VPD page 0x80; also the designator of page 0x83.</param>
internal sealed record LunSpec(int Number, string Path, bool ReadOnly, string Serial);

/// <summary>A right to log in.</summary>
/// <param name="Initiator">IQN, IPv4/IPv6 address with or without prefix length, or *.</param>
/// <param name="Chap">Secret to prove; null for none.</param>
internal sealed record GrantSpec(string Initiator, ChapCredential? Chap);

/// <summary>What a target service really has.</summary>
/// <param name="Running">The service answers.</param>
/// <param name="Targets">Its targets.</param>
/// <param name="Portals">Where it listens.</param>
internal sealed record TargetReport(bool Running, IReadOnlyList<LiveTarget> Targets, IReadOnlyList<Portal> Portals);

/// <summary>A target that is there.</summary>
internal sealed record LiveTarget(
    string Iqn, IReadOnlyList<LiveLun> Luns, IReadOnlyList<string> Initiators, IReadOnlyList<string> Users,
    IReadOnlyList<LiveSession> Sessions);

/// <summary>A logical unit that is there.</summary>
internal sealed record LiveLun(int Number, string Path, long Size, bool ReadOnly, string Serial, bool Online);

/// <summary>A session that is there.</summary>
/// <param name="Initiator">IQN that logged in.</param>
/// <param name="Address">Where from.</param>
internal sealed record LiveSession(string Initiator, string Address);
