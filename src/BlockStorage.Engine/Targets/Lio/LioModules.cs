using System.Text.RegularExpressions;
using BlockStorage.Engine.Host;

namespace BlockStorage.Engine.Targets.Lio;

/// <summary>The kernel's side: whether LIO is there, and how it gets there.</summary>
internal static partial class LioModules
{
    private const string CoreModule = "target_core_mod";
    private const string FabricModule = "iscsi_target_mod";

    // Containers and small clouds have none, and need not start a process to know.
    private static readonly string ModulesOfKernel = $"/lib/modules/{ConfigFs.Read("/proc/sys/kernel/osrelease")}";
    private static readonly string[] Capabilities = ["iscsi", "chap", "mutual-chap", "acl", "read-only", "unmap", "online-resize", "ipv6"];

    /// <summary>Loads what is missing, where we may, and tells what stays missing.</summary>
    public static async Task<DriverProbe> ProbeAsync(ICommandRunner runner, CancellationToken cancel)
    {
        var core = Directory.Exists(LioNames.Core) || IsLoaded(CoreModule) || await LoadAsync(runner, CoreModule, cancel).ConfigureAwait(false);
        var fabric = Directory.Exists(LioNames.Fabric) || IsLoaded(FabricModule) || await LoadAsync(runner, FabricModule, cancel).ConfigureAwait(false);
        var mounted = Directory.Exists(LioNames.Core) || Mounts.IsMountPoint(ConfigFs.Root) || Mount();
        var version = VersionNumber().Match(ConfigFs.Read($"{LioNames.Target}/version") ?? "").Groups["version"].Value;
        return DriverChecks.Probe(Capabilities, version,
        [
            DriverChecks.Root(),
            DriverChecks.Check(CoreModule, "Kernel", core, "SCSI target of the kernel", "the kernel has no SCSI target (LIO)", $"modprobe {CoreModule}", version),
            DriverChecks.Check(FabricModule, "Kernel", fabric, "iSCSI of the kernel's target", "the kernel's SCSI target has no iSCSI", $"modprobe {FabricModule}"),
            DriverChecks.Check("configfs", "Kernel", mounted, "the kernel's configuration", $"configfs is not mounted at {ConfigFs.Root}", $"mount -t configfs configfs {ConfigFs.Root}"),
        ]);
    }

    /// <summary>Makes iSCSI be there.</summary>
    /// <exception cref="BlockStorageException">TargetUnavailable.</exception>
    public static async Task StartAsync(ConfigFs fs, ICommandRunner runner, CancellationToken cancel)
    {
        if (Directory.Exists(LioNames.Fabric))
            return;
        var probe = await ProbeAsync(runner, cancel).ConfigureAwait(false);
        if (!probe.Usable)
            throw new BlockStorageException(BlockErrors.TargetUnavailable, $"LIO cannot be used: {probe.Reason}.", "Lio", probe.Fix);
        fs.Make(LioNames.Fabric);
    }

    private static bool IsLoaded(string module) => Directory.Exists($"/sys/module/{module}");

    // "ip netns exec" gives its command a bare /sys of its own.
    private static bool Mount()
    {
        if (!Environment.IsPrivilegedProcess || !Directory.Exists(ConfigFs.Root))
            return false;
        try
        {
            Mounts.Mount("configfs", ConfigFs.Root, "configfs");
            return true;
        }
        catch (BlockStorageException)
        {
            return Mounts.IsMountPoint(ConfigFs.Root);
        }
    }

    private static async Task<bool> LoadAsync(ICommandRunner runner, string module, CancellationToken cancel)
    {
        if (!Environment.IsPrivilegedProcess || runner.Find("modprobe") is null || !Directory.Exists(ModulesOfKernel))
            return false;
        var result = await runner.RunAsync(new Command("modprobe", ["-q", module], TimeSpan.FromSeconds(30)), SilentSink.Instance, cancel).ConfigureAwait(false);
        return result.ExitCode == 0;
    }

    [GeneratedRegex(@"v(?<version>\d\S*)")]
    private static partial Regex VersionNumber();
}
