using System.Globalization;
using BlockStorage.Engine.Host;
using BlockStorage.Services;

namespace BlockStorage.Engine.Connectors.OpenIscsi;

/// <summary>The two things that iscsiadm does for us: open and close a session.</summary>
internal sealed class IscsiAdmin(ICommandRunner runner)
{
    /// <summary>Tool and its package.</summary>
    public const string Tool = "iscsiadm";
    public const string Package = "apt-get install open-iscsi";

    /// <summary>Starts the daemon behind it.</summary>
    public const string StartDaemon = "systemctl start iscsid";

    // Exit statuses of iscsiadm(8).
    private const int TransportTimeout = 8;
    private const int TransportFailed = 4;
    private const int LoginFailed = 5;
    private const int SessionExists = 15;
    private const int DaemonFailed = 18;
    private const int DaemonUnreachable = 20;
    private const int NothingFound = 21;
    private const int AuthenticationFailed = 24;
    private static readonly TimeSpan Slack = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan GoneLimit = TimeSpan.FromSeconds(10);

    /// <summary>Logs in with the record of a connection.</summary>
    /// <exception cref="BlockStorageException">PortalUnreachable, ChapRejected, ToolFailed, ToolTimeout.</exception>
    public async Task LoginAsync(NodeRecord record, ConnectionInfo info, IWorkSink sink, CancellationToken cancel)
    {
        var limit = (NodeRecord.LoginTries * NodeRecord.LoginLimit(info)) + Slack;
        var result = await runner.RunAsync(new Command(Tool, ["-m", "node", "-I", record.Interface, "--login"], limit), sink, cancel).ConfigureAwait(false);
        if (result.ExitCode is 0 or SessionExists)
            return;
        throw result.ExitCode switch
        {
            AuthenticationFailed => new BlockStorageException(BlockErrors.ChapRejected, $"'{info.Iqn}' refuses the CHAP secret.", info.Iqn),
            TransportTimeout or TransportFailed or LoginFailed => new BlockStorageException(BlockErrors.PortalUnreachable,
                $"The target at {info.Portal} answered just before and does no more: {Last(result)}", info.Iqn),
            DaemonFailed or DaemonUnreachable => new BlockStorageException(BlockErrors.ToolFailed, "iscsid does not run.", Tool, StartDaemon),
            _ => Failed(result, info.Iqn),
        };
    }

    /// <summary>Closes a session with all its disks; one whose target is dead ends at once. Succeeds when it is gone.</summary>
    /// <exception cref="BlockStorageException">ToolFailed, ToolTimeout.</exception>
    public async Task LogoutAsync(KernelSession session, string subject)
    {
        if (!session.Exists)
            return;
        var number = session.Id.ToString(CultureInfo.InvariantCulture);
        var result = await runner.RunAsync(new Command(Tool, ["-m", "session", "-r", number, "--logout"], Slack), SilentSink.Instance, CancellationToken.None).ConfigureAwait(false);
        if (await Poll.UntilAsync(() => !session.Exists, result.ExitCode is 0 or NothingFound ? GoneLimit : TimeSpan.Zero, CancellationToken.None).ConfigureAwait(false))
            return;
        throw result.ExitCode is DaemonFailed or DaemonUnreachable
            ? new BlockStorageException(BlockErrors.ToolFailed, "iscsid does not run.", Tool, StartDaemon) : Failed(result, subject);
    }

    private static BlockStorageException Failed(CommandResult result, string subject) =>
        new(BlockErrors.ToolFailed, $"{Tool} ended with exit code {result.ExitCode}: {Last(result)}", subject);

    private static string Last(CommandResult result)
    {
        var said = result.Error.Trim() is { Length: > 0 } error ? error : result.Output.Trim();
        return said.Length > 400 ? said[^400..] : said;
    }
}
