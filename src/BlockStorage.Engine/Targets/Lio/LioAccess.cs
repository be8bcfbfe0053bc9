using System.Globalization;
using System.Text.RegularExpressions;
using BlockStorage.Engine.Host;
using BlockStorage.Services;

namespace BlockStorage.Engine.Targets.Lio;

/// <summary>Who may log in: one explicit access list an initiator, with its own CHAP secret and its own view of the unit.</summary>
internal sealed partial class LioAccess(ConfigFs fs)
{
    // What the kernel takes for "no value"; it compares these first letters only.
    private const string Unset = "NULL";
    private const int CredentialLimit = 255;
    private const string UnitLink = "unit";

    /// <summary>Refuses what LIO could not keep to.</summary>
    /// <exception cref="BlockStorageException">NotSupported, InvalidArgument, InvalidCredential.</exception>
    public static void Check(ExportSpec export)
    {
        if (export.Grants.FirstOrDefault(grant => !IsName(grant.Initiator)) is { } byAddress)
        {
            throw new BlockStorageException(BlockErrors.NotSupported, byAddress.Initiator == "*"
                ? $"LIO lets in named initiators only, not everybody who knows a secret: '{export.Iqn}'."
                : $"LIO lets in initiators by their iSCSI name only, not by '{byAddress.Initiator}'.", export.Iqn,
                "Publish-IscsiTarget -Volume VOLUME -Initiator (Get-IscsiInitiator).Iqn, or -Driver Tgt");
        }
        if (export.Grants.GroupBy(grant => grant.Initiator).FirstOrDefault(group => group.Count() > 1) is { } twice)
            throw new BlockStorageException(BlockErrors.CredentialConflict, $"LIO keeps one CHAP user for an initiator, and '{twice.Key}' has {twice.Count()} at '{export.Iqn}'.", export.Iqn,
                $"Revoke-IscsiTargetAccess -Target '{export.Iqn}' -Initiator '{twice.Key}'");
        if (export.Grants.Select(grant => grant.Chap is null).Distinct().Count() > 1)
            throw new BlockStorageException(BlockErrors.InvalidArgument, $"'{export.Iqn}' has CHAP for some of its initiators; a target has it for all or for none.", export.Iqn,
                $"Get-IscsiTargetAccess -Target '{export.Iqn}'");
        foreach (var chap in export.Grants.Select(grant => grant.Chap).Append(export.MutualChap).OfType<ChapCredential>())
        {
            if (!IsValue(chap.UserName) || !IsValue(chap.Secret))
                throw new BlockStorageException(BlockErrors.InvalidCredential, $"LIO takes neither a CHAP user nor a secret that is empty, longer than {CredentialLimit} characters, has a line end or begins with {Unset}.", export.Iqn);
        }
    }

    /// <summary>Initiators of a target.</summary>
    public static IReadOnlyList<string> Initiators(string iqn) => ConfigFs.Objects(Folder(iqn));

    /// <summary>CHAP users of a target.</summary>
    public static IReadOnlyList<string> Users(string iqn, IReadOnlyList<string> initiators) => initiators
        .Select(initiator => ConfigFs.Read($"{Folder(iqn)}/{initiator}/auth/userid") ?? "")
        .Where(user => user.Length > 0 && user != Unset).Distinct().ToArray();

    /// <summary>Sessions of a target.</summary>
    /// <param name="iqn">Target.</param>
    /// <param name="initiators">Its initiators, where they are known already.</param>
    public static IReadOnlyList<LiveSession> Sessions(string iqn, IReadOnlyList<string>? initiators = null)
    {
        var sessions = new List<LiveSession>();
        var count = int.Parse(ConfigFs.Read($"{LioNames.Fabric}/{iqn}/fabric_statistics/iscsi_instance/sessions") ?? "0", CultureInfo.InvariantCulture);
        if (count == 0)
            return sessions;
        foreach (var initiator in initiators ?? Initiators(iqn))
        {
            // "InitiatorName: ..." where there is one; LIO tells the last one of an initiator.
            if (ConfigFs.Read($"{Folder(iqn)}/{initiator}/info") is { } info && info.StartsWith("InitiatorName", StringComparison.Ordinal))
                sessions.Add(new LiveSession(initiator, PeerAddress().Match(info).Groups["address"].Value));
        }
        // The others that are counted are further paths of these.
        while (sessions.Count > 0 && sessions.Count < count)
            sessions.Add(sessions[0] with { Address = "" });
        return sessions;
    }

    /// <summary>Makes the access lists be as given. Those that are not wanted go first, and with them their sessions.</summary>
    /// <param name="export">What is wanted.</param>
    /// <param name="created">The target is new: nothing is there that must be looked at.</param>
    public void Apply(ExportSpec export, bool created)
    {
        if (!created)
        {
            foreach (var initiator in Initiators(export.Iqn).Except(export.Grants.Select(grant => grant.Initiator)).ToArray())
                Remove(export.Iqn, initiator);
        }
        // Locked before secrets come, opened only when those without one are all that are left.
        fs.Set($"{LioNames.Group(export.Iqn)}/attrib/authentication", export.Grants.Any(grant => grant.Chap is null) ? "0" : "1");
        foreach (var grant in export.Grants)
        {
            var list = $"{Folder(export.Iqn)}/{grant.Initiator}";
            var empty = fs.Make(list);
            SetCredential($"{list}/auth", grant.Chap, "", empty);
            SetCredential($"{list}/auth", grant.Chap is null ? null : export.MutualChap, "_mutual", empty);
            ApplyUnit(export, list, empty);
        }
    }

    /// <summary>Takes a unit out of all access lists.</summary>
    public void RemoveUnit(string iqn, int number)
    {
        foreach (var initiator in Initiators(iqn))
            RemoveMapping($"{Folder(iqn)}/{initiator}/lun_{number}");
    }

    /// <summary>Removes all access lists.</summary>
    public void Remove(string iqn)
    {
        foreach (var initiator in Initiators(iqn))
            Remove(iqn, initiator);
    }

    private void Remove(string iqn, string initiator)
    {
        var list = $"{Folder(iqn)}/{initiator}";
        foreach (var unit in Units(list))
            RemoveMapping($"{list}/{unit}");
        fs.Remove(list);
    }

    private void ApplyUnit(ExportSpec export, string list, bool empty)
    {
        if (!empty)
        {
            foreach (var unit in Units(list).Where(unit => unit != $"lun_{export.Lun?.Number}"))
                RemoveMapping($"{list}/{unit}");
        }
        if (export.Lun is not { } lun)
            return;
        var mapping = $"{list}/lun_{lun.Number}";
        // The portal group says how a new one begins, so that none is writable for a moment.
        if (fs.Make(mapping) || ConfigFs.Links(mapping).Count == 0)
            fs.Link($"{LioNames.Group(export.Iqn)}/lun/lun_{lun.Number}", $"{mapping}/{UnitLink}");
        fs.Set($"{mapping}/write_protect", lun.ReadOnly ? "1" : "0");
    }

    private void RemoveMapping(string mapping)
    {
        foreach (var (link, _) in ConfigFs.Links(mapping))
            fs.Unlink(link);
        fs.Remove(mapping);
    }

    private void SetCredential(string folder, ChapCredential? chap, string suffix, bool empty)
    {
        Set($"{folder}/userid{suffix}", chap?.UserName, empty);
        Set($"{folder}/password{suffix}", chap?.Secret, empty);
    }

    private void Set(string path, string? value, bool empty)
    {
        if (empty && value is not null)
            fs.Write(path, value);
        if (empty)
            return;
        var now = ConfigFs.Read(path);
        if (now is { Length: > 0 } && now != Unset ? now != value : value is not null)
            fs.Write(path, value ?? Unset);
    }

    private static IEnumerable<string> Units(string list) =>
        ConfigFs.Objects(list).Where(name => name.StartsWith("lun_", StringComparison.Ordinal));

    private static string Folder(string iqn) => $"{LioNames.Group(iqn)}/acls";

    private static bool IsValue(string text) =>
        text.Length is > 0 and <= CredentialLimit && !text.Contains('\n', StringComparison.Ordinal) && !text.StartsWith(Unset, StringComparison.Ordinal);

    private static bool IsName(string text) => !text.Contains('/', StringComparison.Ordinal)
        && (text.StartsWith("iqn.", StringComparison.Ordinal) || text.StartsWith("eui.", StringComparison.Ordinal) || text.StartsWith("naa.", StringComparison.Ordinal));

    [GeneratedRegex(@"Address (?<address>\S+) ")]
    private static partial Regex PeerAddress();
}
