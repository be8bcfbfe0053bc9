using System.Globalization;
using BlockStorage.Engine.Host;

namespace BlockStorage.Engine.Targets.Lio;

/// <summary>
/// Our targets in configfs. The order of steps keeps every half-made thing reachable from a target that is known as ours: the
/// mark with the serial comes before the backstore and goes after it.
/// </summary>
internal sealed class LioTree(StateRoot root, LioNames names, ConfigFs fs)
{
    private const string UnitLink = "backstore";
    private const int NameLimit = 223;
    private readonly LioIntents _intents = new(root);

    /// <summary>Backstores of our targets.</summary>
    public LioBackstores Backstores { get; } = new(fs, names);

    private LioAccess Access => new(fs);

    /// <summary>Refuses what LIO cannot do, before anything is touched.</summary>
    public static void Check(ExportSpec export)
    {
        if (export.Iqn.Length > NameLimit || export.Iqn.AsSpan().IndexOfAny('/', ' ', '\n') >= 0
            || !(export.Iqn.StartsWith("iqn.", StringComparison.Ordinal) || export.Iqn.StartsWith("eui.", StringComparison.Ordinal) || export.Iqn.StartsWith("naa.", StringComparison.Ordinal)))
            throw new BlockStorageException(BlockErrors.InvalidIqn, $"'{export.Iqn}' is not an iSCSI name.", export.Iqn);
        LioAccess.Check(export);
        LioPortals.Check(export);
        if (export.Lun is { } lun)
            LioBackstores.Check(lun);
    }

    /// <summary>Whether a target is there and ours: by its mark, or while it is empty by our note that we make or remove it.</summary>
    public bool IsOurs(string iqn) => IsMarked(iqn) || (_intents.Has(iqn) && ConfigFs.Exists($"{LioNames.Fabric}/{iqn}") && IsEmpty(iqn));

    /// <summary>Whether a target has our mark, and so more than its name.</summary>
    public bool IsMarked(string iqn) => names.IsMark(ConfigFs.Read(LioNames.MarkFile(iqn)), out _);

    /// <summary>Makes a target be as given.</summary>
    public void Publish(ExportSpec export)
    {
        var created = Begin(export);
        try
        {
            ApplyUnit(export, created);
            new LioPortals(fs).Apply(export.Iqn, export.Portals, created);
            // Access comes last: an initiator that is let in finds everything there.
            Access.Apply(export, created);
            fs.Set($"{LioNames.Group(export.Iqn)}/enable", "1");
        }
        catch (BlockStorageException) when (created)
        {
            Remove(export.Iqn);
            throw;
        }
    }

    /// <summary>Makes the target with its mark and rules, closed to everybody.</summary>
    /// <returns>Whether it was not there.</returns>
    /// <exception cref="BlockStorageException">TargetInUse: somebody else's.</exception>
    private bool Begin(ExportSpec export)
    {
        var iqn = export.Iqn;
        var created = !ConfigFs.Exists($"{LioNames.Fabric}/{iqn}");
        string? serial = null;
        var marked = !created && names.IsMark(ConfigFs.Read(LioNames.MarkFile(iqn)), out serial);
        if (!created && !marked && !IsOurs(iqn))
            throw new BlockStorageException(BlockErrors.TargetInUse, $"LIO has a target '{iqn}' that BlockStorage did not make.", iqn, $"targetcli /iscsi/{iqn} ls");
        if (!marked)
        {
            _intents.Begin(iqn);
            fs.Make($"{LioNames.Fabric}/{iqn}");
            fs.Make(LioNames.Group(iqn));
            fs.Write(LioNames.MarkFile(iqn), names.Mark(export.Lun?.Serial));
            _intents.End(iqn);
        }
        else if (serial != export.Lun?.Serial)
        {
            RemoveUnits(iqn, serial);
            fs.Write(LioNames.MarkFile(iqn), names.Mark(export.Lun?.Serial));
        }
        fs.Set($"{LioNames.Group(iqn)}/attrib/generate_node_acls", "0");
        // Who has no access does not even see it.
        fs.Set($"{LioNames.Group(iqn)}/attrib/demo_mode_discovery", "0");
        fs.Set($"{LioNames.Group(iqn)}/attrib/prod_mode_write_protect", export.Lun?.ReadOnly == true ? "1" : "0");
        return created;
    }

    /// <summary>Makes the unit of a target be as given.</summary>
    private void ApplyUnit(ExportSpec export, bool created)
    {
        foreach (var other in created ? [] : Units(export.Iqn).Where(number => number != export.Lun?.Number).ToArray())
            RemoveLink(export.Iqn, other);
        if (export.Lun is not { } lun)
            return;
        if (!created)
        {
            var present = Backstore(export.Iqn, lun.Number);
            if (LioBackstores.Fits(present, lun))
            {
                Backstores.Resize(present!, lun);
                return;
            }
            RemoveLink(export.Iqn, lun.Number);
            Backstores.Remove(lun.Serial);
        }
        var path = Backstores.Make(lun);
        fs.Make(UnitFolder(export.Iqn, lun.Number));
        fs.Link(path, $"{UnitFolder(export.Iqn, lun.Number)}/{UnitLink}");
    }

    /// <summary>Removes one unit and its backstore.</summary>
    public void RemoveUnit(string iqn, int number)
    {
        if (Backstore(iqn, number) is { } backstore)
            LioBackstores.RequireUnused(backstore.Path, iqn);
        var others = Units(iqn).Where(unit => unit != number).ToArray();
        RemoveLink(iqn, number);
        if (others.Length == 0 && names.IsMark(ConfigFs.Read(LioNames.MarkFile(iqn)), out var serial) && serial is not null)
        {
            Backstores.Remove(serial);
            fs.Write(LioNames.MarkFile(iqn), names.Mark(null));
        }
    }

    /// <summary>Removes a target of ours with everything on it; its sessions end.</summary>
    /// <exception cref="BlockStorageException">TargetInUse: somebody else uses a part of it.</exception>
    public void Remove(string iqn)
    {
        var group = LioNames.Group(iqn);
        RequireNothingForeign(iqn);
        names.IsMark(ConfigFs.Read(LioNames.MarkFile(iqn)), out var serial);
        if (ConfigFs.Read($"{group}/enable") == "1")
            fs.Write($"{group}/enable", "0");
        Access.Remove(iqn);
        new LioPortals(fs).Remove(iqn);
        foreach (var number in Units(iqn))
            Detach(iqn, number);
        if (serial is not null)
            Backstores.Remove(serial);
        _intents.Begin(iqn);
        fs.Remove(group);
        fs.Remove($"{LioNames.Fabric}/{iqn}");
        _intents.End(iqn);
    }

    /// <summary>Forgets a note about a target that was never made.</summary>
    public void Forget(string iqn) => _intents.End(iqn);

    /// <summary>Targets that there are notes about.</summary>
    public IReadOnlyList<string> Noted() => _intents.List();

    /// <summary>Backstores that belong to no target.</summary>
    public IReadOnlyList<string> Orphans()
    {
        var marked = new HashSet<string>(StringComparer.Ordinal);
        foreach (var iqn in ConfigFs.Each(LioNames.Fabric))
        {
            if (names.IsMark(ConfigFs.Read(LioNames.MarkFile(iqn)), out var serial) && serial is not null)
                marked.Add(serial);
        }
        return Backstores.Orphans(marked);
    }

    /// <summary>The backstore of a unit, or null.</summary>
    public LioBackstore? Backstore(string iqn, int number) =>
        ConfigFs.Links(UnitFolder(iqn, number)).Select(link => LioBackstores.Read(link.Target)).FirstOrDefault();

    /// <summary>What a target is.</summary>
    public LiveTarget Describe(string iqn)
    {
        var readOnly = ConfigFs.Read($"{LioNames.Group(iqn)}/attrib/prod_mode_write_protect") == "1";
        var online = ConfigFs.Read($"{LioNames.Group(iqn)}/enable") == "1";
        var units = from number in Units(iqn)
                    let backstore = Backstore(iqn, number)
                    where backstore is not null
                    select new LiveLun(number, backstore.File, backstore.Size, readOnly, backstore.Serial, online && backstore.Enabled);
        var initiators = LioAccess.Initiators(iqn);
        return new LiveTarget(iqn, units.ToArray(), initiators, LioAccess.Users(iqn, initiators), LioAccess.Sessions(iqn, initiators));
    }

    private void RemoveUnits(string iqn, string? serial)
    {
        foreach (var number in Units(iqn))
            RemoveLink(iqn, number);
        if (serial is not null)
            Backstores.Remove(serial);
    }

    private void RemoveLink(string iqn, int number)
    {
        Access.RemoveUnit(iqn, number);
        Detach(iqn, number);
    }

    private void Detach(string iqn, int number)
    {
        foreach (var (link, backstore) in ConfigFs.Links(UnitFolder(iqn, number)))
        {
            fs.Unlink(link);
            Backstores.RemoveCopy(backstore);
        }
        fs.Remove(UnitFolder(iqn, number));
    }

    private static void RequireNothingForeign(string iqn)
    {
        if (ConfigFs.Objects($"{LioNames.Fabric}/{iqn}").FirstOrDefault(name => name.StartsWith("tpgt_", StringComparison.Ordinal) && name != "tpgt_1") is { } group)
            throw new BlockStorageException(BlockErrors.TargetInUse, $"'{iqn}' has a portal group '{group}' that BlockStorage did not make.", iqn, $"targetcli /iscsi/{iqn} delete {group[5..]}");
        foreach (var (_, path) in Units(iqn).SelectMany(number => ConfigFs.Links(UnitFolder(iqn, number))))
            LioBackstores.RequireUnused(path, iqn);
    }

    private static bool IsEmpty(string iqn)
    {
        var group = LioNames.Group(iqn);
        return ConfigFs.Read($"{group}/enable") is null or "0"
            && new[] { "lun", "np", "acls" }.All(kind => ConfigFs.Objects($"{group}/{kind}").Count == 0);
    }

    private static IEnumerable<int> Units(string iqn) => ConfigFs.Objects($"{LioNames.Group(iqn)}/lun")
        .Where(name => name.StartsWith("lun_", StringComparison.Ordinal))
        .Select(name => int.Parse(name.AsSpan(4), CultureInfo.InvariantCulture)).Order();

    private static string UnitFolder(string iqn, int number) => $"{LioNames.Group(iqn)}/lun/lun_{number}";
}
