using BlockStorage.Engine.Host;

namespace BlockStorage.Engine.Connectors.Userspace;

/// <summary>Whether qemu-storage-daemon can work here.</summary>
internal static class UserspaceProbe
{
    // Port 1 of this machine refuses at once where the driver is there, and is never asked where it is not.
    private const string Harmless = """{"driver":"iscsi","node-name":"probe","transport":"tcp","portal":"127.0.0.1:1","target":"iqn.2000-01.probe","lun":0}""";
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(15);

    /// <summary>Asks the tool for its version and its iSCSI driver.</summary>
    public static async Task<DriverProbe> RunAsync(ICommandRunner runner, CancellationToken cancel)
    {
        var version = "";
        var driver = false;
        if (runner.Find(StorageDaemon.Tool) is not null)
        {
            var said = await AskAsync(runner, ["--version"], cancel).ConfigureAwait(false);
            version = said.Output.Split(' ', '\n').FirstOrDefault(word => word.Length > 0 && char.IsAsciiDigit(word[0])) ?? "";
            driver = (await AskAsync(runner, ["--blockdev", Harmless], cancel).ConfigureAwait(false)).Error.Contains("Failed to connect", StringComparison.Ordinal);
        }
        return DriverChecks.Probe(["iscsi", "chap", "read-only", "online-resize", "no kernel modules"], version,
        [
            DriverChecks.Root(), DriverChecks.Loop(), DriverChecks.Fuse(),
            DriverChecks.Check(StorageDaemon.Tool, "Tool", version.Length > 0, "iSCSI initiator in user space", "qemu-storage-daemon is not installed", StorageDaemon.Packages, version),
            DriverChecks.Check("qemu iSCSI driver", "Tool", driver, "block-iscsi of qemu", "the iSCSI driver of qemu is not installed", StorageDaemon.Packages),
        ]);
    }

    private static Task<CommandResult> AskAsync(ICommandRunner runner, string[] arguments, CancellationToken cancel) =>
        runner.RunAsync(new Command(StorageDaemon.Tool, arguments, Limit, Mutates: false), SilentSink.Instance, cancel);
}
