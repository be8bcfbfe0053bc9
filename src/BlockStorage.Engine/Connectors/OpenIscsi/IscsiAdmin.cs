using System.Globalization;
using BlockStorage.Engine.Host;
using BlockStorage.Services;

namespace BlockStorage.Engine.Connectors.OpenIscsi;

/// <summary>The two things that iscsiadm does for us: open and close a session.</summary>
internal sealed class IscsiAdmin(StateRoot root, ICommandRunner runner)
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
    private static readonly TimeSpan TurnLimit = TimeSpan.FromMinutes(5);

    // iscsid does one thing after another: more logins at once would only run into their own time limits.
    private const int LoginsAtOnce = 4;
    private static readonly TimeSpan GoneLimit = TimeSpan.FromSeconds(10);

    /// <summary>Logs in with the records of a connection, at each of its portals.</summary>
    /// <param name="record">The records.</param>
    /// <param name="iqn">Target.</param>
    /// <param name="limit">How long that may take.</param>
    /// <param name="sink">Told what runs.</param>
    /// <param name="cancel">Stops it before it begins.</param>
    /// <returns>Why not all of them are in; null when they are.</returns>
    /// <exception cref="BlockStorageException">ToolTimeout; LockTimeout where others log in all the time.</exception>
    public async Task<BlockStorageException?> LoginAsync(NodeRecord record, string iqn, TimeSpan limit, IWorkSink sink, CancellationToken cancel)
    {
        using var turn = await TurnAsync(cancel).ConfigureAwait(false);
        using var bound = record.Bind();
        var result = await runner.RunAsync(new Command(Tool, ["-m", "node", "-I", record.Interface, "--login"], limit + Slack), sink, cancel).ConfigureAwait(false);
        return result.ExitCode switch
        {
            0 or SessionExists => null,
            AuthenticationFailed => new BlockStorageException(BlockErrors.ChapRejected, $"'{iqn}' refuses the CHAP secret.", iqn),
            TransportTimeout or TransportFailed or LoginFailed => new BlockStorageException(BlockErrors.PortalUnreachable,
                $"'{iqn}' does not let us log in: {Last(result)}", iqn),
            DaemonFailed or DaemonUnreachable => new BlockStorageException(BlockErrors.ToolFailed, "iscsid does not run.", Tool, StartDaemon),
            _ => Failed(result, iqn),
        };
    }

    /// <summary>Waits for a login of a connection that is still under way, its process given up or killed: it would open a session after us.</summary>
    /// <exception cref="BlockStorageException">ToolTimeout.</exception>
    public static async Task SettleAsync(NodeRecord record)
    {
        foreach (var login in ProcessTable.FindByArgument(record.Interface).Where(process => process.Name == Tool))
        {
            if (!await ProcessTable.WaitForExitAsync(login, Slack, CancellationToken.None).ConfigureAwait(false))
                throw new BlockStorageException(BlockErrors.ToolTimeout, $"'{Tool}' (process {login.Pid}) still logs in for {record.Interface}.", Tool);
        }
    }

    /// <summary>Closes a session with all its disks; one whose target is dead ends at once. Succeeds when it is gone.</summary>
    /// <exception cref="BlockStorageException">ToolFailed, ToolTimeout.</exception>
    public async Task LogoutAsync(KernelSession session, NodeRecord record, string subject)
    {
        if (!session.Exists)
            return;
        using var bound = record.Bind(session.Initiator);
        var number = session.Id.ToString(CultureInfo.InvariantCulture);
        var result = await runner.RunAsync(new Command(Tool, ["-m", "session", "-r", number, "--logout"], Slack), SilentSink.Instance, CancellationToken.None).ConfigureAwait(false);
        if (await Poll.UntilAsync(() => !session.Exists, result.ExitCode is 0 or NothingFound ? GoneLimit : TimeSpan.Zero, CancellationToken.None).ConfigureAwait(false))
            return;
        throw result.ExitCode is DaemonFailed or DaemonUnreachable
            ? new BlockStorageException(BlockErrors.ToolFailed, "iscsid does not run.", Tool, StartDaemon) : Failed(result, subject);
    }

    private async Task<FileLock> TurnAsync(CancellationToken cancel)
    {
        StateRoot.EnsureFolder(root.Home);
        StateRoot.EnsureFolder(root.LockFolder);
        FileLock? turn = null;
        bool IsOurs() => (turn = Enumerable.Range(1, LoginsAtOnce)
            .Select(number => FileLock.Try(Path.Combine(root.LockFolder, $"iscsi-login-{number}"), holder: $"{FileLock.ProcessWord} {Environment.ProcessId}"))
            .FirstOrDefault(taken => taken is not null)) is not null;
        return await Poll.UntilAsync(IsOurs, TurnLimit, cancel).ConfigureAwait(false) ? turn!
            : throw new BlockStorageException(BlockErrors.LockTimeout, $"{LoginsAtOnce} other logins are under way for {TurnLimit.TotalMinutes:0} minutes.", Tool, "Get-BlockOperation -State running");
    }

    private static BlockStorageException Failed(CommandResult result, string subject) =>
        new(BlockErrors.ToolFailed, $"{Tool} ended with exit code {result.ExitCode}: {Last(result)}", subject);

    private static string Last(CommandResult result)
    {
        var said = result.Error.Trim() is { Length: > 0 } error ? error : result.Output.Trim();
        return said.Length > 400 ? said[^400..] : said;
    }
}
