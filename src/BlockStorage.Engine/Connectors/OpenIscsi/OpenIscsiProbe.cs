using BlockStorage.Engine.Host;

namespace BlockStorage.Engine.Connectors.OpenIscsi;

/// <summary>Whether open-iscsi can work here.</summary>
internal static class OpenIscsiProbe
{
    private const string Transport = "iscsi_tcp";
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(15);

    /// <summary>Asks for the tool, its daemon and the kernel's transport; loads and starts nothing.</summary>
    public static async Task<DriverProbe> RunAsync(ICommandRunner runner, CancellationToken cancel)
    {
        var version = "";
        if (runner.Find(IscsiAdmin.Tool) is not null)
        {
            var said = await runner.RunAsync(new Command(IscsiAdmin.Tool, ["--version"], Limit, Mutates: false), SilentSink.Instance, cancel).ConfigureAwait(false);
            version = said.Output.Split(' ', '\n').FirstOrDefault(word => word.Length > 0 && char.IsAsciiDigit(word[0])) ?? "";
        }
        var running = ProcessTable.Ids().Any(pid => ProcessTable.Get(pid)?.Name == "iscsid");
        // With systemd iscsiadm starts its daemon itself.
        var startable = running || (Directory.Exists("/run/systemd/system") && runner.Find("iscsid") is not null);
        return DriverChecks.Probe(["iscsi", "chap", "read-only", "online-resize", "persistent", "multipath"], version,
        [
            DriverChecks.Root(),
            DriverChecks.Check(IscsiAdmin.Tool, "Tool", version.Length > 0, "iSCSI initiator of the kernel", "open-iscsi is not installed", IscsiAdmin.Package, version),
            DriverChecks.Check(Transport, "Kernel", await HasTransportAsync(runner, cancel).ConfigureAwait(false), "iSCSI over TCP", $"the kernel has no {Transport}", $"modprobe {Transport}"),
            DriverChecks.Check("iscsid", "Service", startable, running ? "runs" : "starts when it is needed", "iscsid does not run", IscsiAdmin.StartDaemon),
        ]);
    }

    private static async Task<bool> HasTransportAsync(ICommandRunner runner, CancellationToken cancel) =>
        Directory.Exists("/sys/class/iscsi_transport/tcp") || (runner.Find("modprobe") is not null
            && (await runner.RunAsync(new Command("modprobe", ["--dry-run", "--quiet", Transport], Limit, Mutates: false), SilentSink.Instance, cancel).ConfigureAwait(false)).ExitCode == 0);
}
