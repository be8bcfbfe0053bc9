using BlockStorage.Engine.Host;

namespace BlockStorage.Engine.Targets.Tgt;

/// <summary>Whether tgtd can work here.</summary>
internal static class TgtProbe
{
    private const string Package = "apt-get install tgt";
    private static readonly string[] Capabilities = ["iscsi", "chap", "mutual-chap", "acl", "read-only", "unmap", "online-resize"];

    /// <summary>Looks for the tool and asks its version.</summary>
    public static async Task<DriverProbe> RunAsync(ICommandRunner runner, CancellationToken cancel)
    {
        var version = "";
        if (runner.Find("tgtd") is not null)
        {
            var result = await runner.RunAsync(new Command("tgtd", ["-V"], TimeSpan.FromSeconds(10), Mutates: false), SilentSink.Instance, cancel).ConfigureAwait(false);
            version = result.ExitCode == 0 ? result.Output.Trim() : "";
        }
        var root = Environment.IsPrivilegedProcess;
        BlockServerCheck[] checks =
        [
            new()
            {
                Name = "tgtd", Kind = "Tool", Version = version,
                State = version.Length > 0 ? "ok" : "missing",
                Detail = version.Length > 0 ? "iSCSI target in user space" : "tgtd is not installed or does not run",
                Fix = version.Length > 0 ? "" : Package,
            },
            new()
            {
                Name = "root for targets", Kind = "Privilege",
                State = root ? "ok" : "missing",
                Detail = root ? "runs as root" : "publishing needs root",
                Fix = root ? "" : BlockErrors.PrivilegeRequired.NextStep,
            },
        ];
        var wrong = Array.Find(checks, check => check.State != "ok");
        return new DriverProbe(wrong is null, Capabilities, version, wrong?.Detail ?? "", wrong?.Fix ?? "", checks);
    }
}
