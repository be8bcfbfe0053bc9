namespace BlockStorage.Engine.Host;

/// <summary>What drivers need of a machine.</summary>
internal static class DriverChecks
{
    /// <summary>The probe of a driver that works when all checks are ok.</summary>
    public static DriverProbe Probe(IReadOnlyList<string> capabilities, string version, IReadOnlyList<BlockServerCheck> checks)
    {
        var wrong = checks.FirstOrDefault(check => check.State != "ok");
        return new DriverProbe(wrong is null, capabilities, version, wrong?.Detail ?? "", wrong?.Fix ?? "", checks);
    }

    /// <summary>Targets and devices are made by root only.</summary>
    public static BlockServerCheck Root() => Check("root", "Privilege", Environment.IsPrivilegedProcess,
        "runs as root", "targets and block devices are made by root only", BlockErrors.PrivilegeRequired.NextStep);

    /// <summary>Loop devices.</summary>
    public static BlockServerCheck Loop() => Check("loop", "Kernel", File.Exists("/dev/loop-control"),
        "loop devices", "the kernel has no loop devices", "modprobe loop");

    /// <summary>FUSE.</summary>
    public static BlockServerCheck Fuse() => Check("fuse", "Kernel", File.Exists("/dev/fuse"),
        "file systems in user space", "the kernel has no FUSE", "modprobe fuse");

    /// <summary>One check.</summary>
    public static BlockServerCheck Check(string name, string kind, bool ok, string good, string bad, string fix, string version = "") => new()
    {
        Name = name,
        Kind = kind,
        State = ok ? "ok" : "missing",
        Version = version,
        Detail = ok ? good : bad,
        Fix = ok ? "" : fix,
    };
}
