using BlockStorage.Services;

namespace BlockStorage.Engine.Targets.Tgt;

/// <summary>
/// CHAP accounts. They belong to the whole daemon by user name and cannot be read back, so marks of their secrets are
/// kept beside it. tgtd crashes when it shows a target whose list of accounts has a gap, so accounts are only
/// unbound from the end, and all of them when the list changes.
/// </summary>
internal sealed class TgtAccounts(TgtDaemon daemon)
{
    /// <summary>The accounts a target should have, incoming ones by name and the outgoing one.</summary>
    /// <exception cref="BlockStorageException">InvalidArgument, InvalidCredential, CredentialConflict.</exception>
    public static (IReadOnlyList<ChapCredential> Incoming, ChapCredential? Outgoing) Wanted(ExportSpec export)
    {
        var incoming = export.Grants.Select(grant => grant.Chap).OfType<ChapCredential>().Distinct()
            .OrderBy(chap => chap.UserName, StringComparer.Ordinal).ToArray();
        if (incoming.Length > 0 && export.Grants.Any(grant => grant.Chap is null))
            throw new BlockStorageException(BlockErrors.InvalidArgument,
                $"tgtd asks either every initiator of '{export.Iqn}' for a CHAP secret or none; some grants have one and some have not.",
                export.Iqn, "Get-IscsiTargetAccess");
        if (export.MutualChap is not null && incoming.Length == 0)
            throw new BlockStorageException(BlockErrors.InvalidCredential,
                $"'{export.Iqn}' can only prove a secret to initiators that prove one too.", export.Iqn);
        var all = export.MutualChap is { } outgoing ? [.. incoming, outgoing] : incoming;
        foreach (var chap in all)
            Check(chap);
        if (all.Distinct().GroupBy(chap => chap.UserName).FirstOrDefault(group => group.Count() > 1) is { } twice)
            throw Conflict(twice.Key, export.Iqn);
        return (incoming, export.MutualChap);
    }

    /// <summary>Makes the accounts of a target be as given.</summary>
    /// <param name="target">The target as it is.</param>
    /// <param name="export">The target as it should be.</param>
    /// <param name="others">All other targets.</param>
    /// <param name="close">Keeps everybody out; called before the first change, because a target without accounts asks for no secret.</param>
    /// <param name="cancel">Stops it.</param>
    /// <exception cref="BlockStorageException">CredentialConflict.</exception>
    public async Task ApplyAsync(
        TgtTarget target, ExportSpec export, IReadOnlyList<TgtTarget> others, Func<Task> close, CancellationToken cancel)
    {
        var (incoming, outgoing) = Wanted(export);
        var wanted = outgoing is null ? incoming : [.. incoming, outgoing];
        var present = TgtReport.ParseAccounts(await daemon.ShowAsync(TgtMode.Account, cancel).ConfigureAwait(false)).ToHashSet();
        var marks = TgtMarks.Load(daemon.AccountFile);
        var stale = wanted.Where(chap => present.Contains(chap.UserName) && !marks.Has(chap)).Select(chap => chap.UserName).ToHashSet();
        if (stale.FirstOrDefault(user => others.Any(other => Uses(other, user))) is { } taken)
            throw Conflict(taken, export.Iqn);
        if (stale.Count == 0 && target.Outgoing == outgoing?.UserName
            && target.Incoming.SequenceEqual(incoming.Select(chap => chap.UserName)))
            return;

        await close().ConfigureAwait(false);
        var before = UsersOf(target);
        await UnbindAsync(target, cancel).ConfigureAwait(false);
        await DeleteAsync(before.Concat(stale).Except(wanted.Select(chap => chap.UserName).Except(stale)), others, present, cancel).ConfigureAwait(false);
        // The mark comes first: a mark without an account means nothing, an account without a mark is replaced.
        marks.Set(wanted, present);
        marks.Save(daemon.AccountFile);
        foreach (var chap in wanted.Where(chap => present.Add(chap.UserName)))
            await RunAsync(TgtOperation.New, -1, $"user={chap.UserName},password={chap.Secret}", export.Iqn, cancel).ConfigureAwait(false);
        foreach (var chap in incoming)
            await RunAsync(TgtOperation.Bind, target.Tid, $"user={chap.UserName}", export.Iqn, cancel).ConfigureAwait(false);
        if (outgoing is not null)
            await RunAsync(TgtOperation.Bind, target.Tid, $"user={outgoing.UserName}", export.Iqn, cancel, outgoing: true).ConfigureAwait(false);
    }

    /// <summary>Removes the accounts of a target that is gone, unless others use them.</summary>
    public async Task ForgetAsync(TgtTarget gone, IReadOnlyList<TgtTarget> others, CancellationToken cancel)
    {
        var present = TgtReport.ParseAccounts(await daemon.ShowAsync(TgtMode.Account, cancel).ConfigureAwait(false)).ToHashSet();
        await DeleteAsync(UsersOf(gone), others, present, cancel).ConfigureAwait(false);
        var marks = TgtMarks.Load(daemon.AccountFile);
        marks.Set([], present);
        marks.Save(daemon.AccountFile);
    }

    private async Task UnbindAsync(TgtTarget target, CancellationToken cancel)
    {
        foreach (var user in target.Incoming.AsEnumerable().Reverse())
            await RunAsync(TgtOperation.Unbind, target.Tid, $"user={user}", target.Iqn, cancel).ConfigureAwait(false);
        if (target.Outgoing is { } outgoing)
            await RunAsync(TgtOperation.Unbind, target.Tid, $"user={outgoing}", target.Iqn, cancel, outgoing: true).ConfigureAwait(false);
        target.Incoming.Clear();
        target.Outgoing = null;
    }

    private async Task DeleteAsync(
        IEnumerable<string> users, IReadOnlyList<TgtTarget> others, HashSet<string> present, CancellationToken cancel)
    {
        foreach (var user in users.Distinct().Where(user => !others.Any(other => Uses(other, user))).ToArray())
        {
            if (present.Remove(user))
                await RunAsync(TgtOperation.Delete, -1, $"user={user}", user, cancel).ConfigureAwait(false);
        }
    }

    private Task RunAsync(TgtOperation operation, int tid, string parameters, string subject, CancellationToken cancel, bool outgoing = false) =>
        daemon.Client.RunAsync(new TgtRequest(TgtMode.Account, operation, tid, Parameters: parameters) { Outgoing = outgoing }, subject, cancel);

    private static IReadOnlyList<string> UsersOf(TgtTarget target) =>
        target.Outgoing is { } outgoing ? [.. target.Incoming, outgoing] : [.. target.Incoming];

    private static bool Uses(TgtTarget target, string user) => target.Outgoing == user || target.Incoming.Contains(user);

    private static void Check(ChapCredential chap)
    {
        if (chap.UserName.Length is 0 or > 200 || chap.Secret.Length is 0 or > 200
            || chap.UserName.Any(c => c is ',' || !IsPrintable(c)) || !chap.Secret.All(IsPrintable)
            || chap.UserName.Trim() != chap.UserName || chap.UserName.EndsWith(" (outgoing)", StringComparison.Ordinal))
            throw new BlockStorageException(BlockErrors.InvalidCredential,
                $"tgtd cannot hold the CHAP user name '{chap.UserName}' or its secret: printable ASCII characters only, and no comma in the name.",
                chap.UserName);
    }

    private static bool IsPrintable(char c) => c is >= ' ' and <= '~';

    private static BlockStorageException Conflict(string user, string iqn) => new(BlockErrors.CredentialConflict,
        $"The CHAP user name '{user}' of '{iqn}' is in use with another secret; tgtd knows one secret a name.", user);
}
