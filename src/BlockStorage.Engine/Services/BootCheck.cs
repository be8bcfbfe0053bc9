namespace BlockStorage.Engine.Services;

/// <summary>Whether systemd does what has to happen without us. To install its units is the operator's to decide.</summary>
internal static class BootCheck
{
    private const string Folder = "/etc/systemd/system";

    /// <summary>Exports come back at boot.</summary>
    /// <param name="module">Folder of the module, where the units' files are.</param>
    /// <param name="units">Folder of units; for tests.</param>
    public static BlockServerCheck Restore(string module, string units = Folder)
    {
        const string unit = "blockstorage-restore.service";
        // By its path, for modules of one user are not found at boot; without the version, so that an update stays found.
        var path = Version.TryParse(Path.GetFileName(module), out _) ? Path.GetDirectoryName(module)! : module;
        return Check(unit, "multi-user.target", units, "exports come back at boot", "exports do not come back at boot by themselves",
            $"sed \"s|Import-Module BlockStorage|Import-Module '{path}'|\" '{module}/systemd/{unit}' > {Folder}/{unit} && systemctl daemon-reload && systemctl enable {unit}");
    }

    /// <summary>The disks of RAID pools are compared from time to time.</summary>
    public static BlockServerCheck Scrub(string module, string units = Folder) =>
        Check("blockstorage-scrub.timer", "timers.target", units, "disks of RAID pools are compared every month", "nothing compares the disks of RAID pools",
            $"cp '{module}/systemd/blockstorage-scrub.'* {Folder} && systemctl daemon-reload && systemctl enable --now blockstorage-scrub.timer");

    private static BlockServerCheck Check(string unit, string wantedBy, string units, string good, string bad, string fix)
    {
        // A link to nothing counts as a file.
        var enabled = File.Exists(Path.Combine(units, wantedBy + ".wants", unit)) && File.Exists(Path.Combine(units, unit));
        return new BlockServerCheck
        {
            Kind = "Boot",
            Name = unit,
            State = enabled ? "ok" : "missing",
            Detail = enabled ? good : bad,
            Fix = enabled ? "" : fix,
        };
    }
}
