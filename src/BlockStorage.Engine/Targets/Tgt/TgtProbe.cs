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
        return DriverChecks.Probe(Capabilities, version,
        [
            DriverChecks.Check("tgtd", "Tool", version.Length > 0, "iSCSI target in user space", "tgtd is not installed or does not run", Package, version),
            DriverChecks.Root(),
        ]);
    }
}
