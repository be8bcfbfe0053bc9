namespace BlockStorage.Engine.Services;

/// <summary>Whether exports come back at boot. A unit of systemd does that; to install it is the operator's to decide.</summary>
internal static class BootCheck
{
    private const string Unit = "blockstorage-restore.service";
    private const string Units = "/etc/systemd/system";

    /// <summary>Looks for the unit.</summary>
    /// <param name="module">Folder of the module, where the unit's file is.</param>
    /// <param name="units">Folder of units; for tests.</param>
    public static BlockServerCheck Run(string module, string units = Units)
    {
        // A link to nothing counts as a file.
        var enabled = File.Exists(Path.Combine(units, "multi-user.target.wants", Unit)) && File.Exists(Path.Combine(units, Unit));
        // By its path, for modules of one user are not found at boot; without the version, so that an update stays found.
        var path = Version.TryParse(Path.GetFileName(module), out _) ? Path.GetDirectoryName(module)! : module;
        return new BlockServerCheck
        {
            Kind = "Boot",
            Name = Unit,
            State = enabled ? "ok" : "missing",
            Detail = enabled ? "exports come back at boot" : "exports do not come back at boot by themselves",
            Fix = enabled ? ""
                : $"sed \"s|Import-Module BlockStorage|Import-Module '{path}'|\" '{module}/systemd/{Unit}' > {Units}/{Unit} && systemctl daemon-reload && systemctl enable {Unit}",
        };
    }
}
