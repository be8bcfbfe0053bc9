using BlockStorage.Engine.Host;
using BlockStorage.Services;

namespace BlockStorage.Engine.Targets.Tgt;

/// <summary>Our own tgtd: its socket and log lie in our run folder, so that it never meets another tgtd of the machine.</summary>
internal sealed class TgtDaemon
{
    // Stands in the name of the socket; the folder already keeps instances apart.
    private const string ControlPort = "0";
    private const string SocketVariable = "TGT_IPC_SOCKET";
    private static readonly TimeSpan StartLimit = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan StopLimit = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan LockLimit = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan AnswerLimit = TimeSpan.FromSeconds(30);
    private readonly StateRoot _root;
    private readonly DaemonLauncher _launcher;
    private readonly string _folder;
    private readonly string _socket;

    /// <summary>Names the one daemon of a state root; starts nothing.</summary>
    public TgtDaemon(StateRoot root, DaemonLauncher launcher)
    {
        _root = root;
        _launcher = launcher;
        _folder = Path.Combine(root.RunFolder, "tgt");
        _socket = Path.Combine(_folder, "socket");
        Client = new TgtClient($"{_socket}.{ControlPort}", AnswerLimit);
    }

    /// <summary>Speaks with it.</summary>
    public TgtClient Client { get; }

    /// <summary>Keeps marks of the secrets that it has.</summary>
    public string AccountFile => Path.Combine(_folder, "accounts.json");

    /// <summary>Whether it runs.</summary>
    public bool IsRunning => Client.FindDaemon() is not null;

    /// <summary>Keeps other processes from changing anything of it meanwhile.</summary>
    /// <exception cref="BlockStorageException">LockTimeout.</exception>
    public FileLock Lock(CancellationToken cancel)
    {
        StateRoot.EnsureFolder(_root.Home);
        StateRoot.EnsureFolder(_root.LockFolder);
        return FileLock.Wait(Path.Combine(_root.LockFolder, "tgtd"), LockLimit, holder: $"process {Environment.ProcessId}", cancel: cancel);
    }

    /// <summary>Starts it where it does not run. It listens nowhere at first. The caller holds the lock.</summary>
    /// <exception cref="BlockStorageException">ToolMissing, TargetUnavailable.</exception>
    public async Task StartAsync(IWorkSink sink, CancellationToken cancel)
    {
        if (IsRunning)
            return;
        await ClearAsync(cancel).ConfigureAwait(false);
        StateRoot.EnsureFolder(_root.Home);
        StateRoot.EnsureFolder(_root.RunFolder);
        StateRoot.EnsureFolder(_folder);
        sink.Verbose("Starting tgtd.");
        try
        {
            // Where its first portal cannot be had tgtd listens to the whole network instead; this one can always be had.
            _launcher.Start("tgtd", ["-f", "-C", ControlPort, "--iscsi", "portal=127.0.0.1:0"], _folder, LogFile,
                new Dictionary<string, string> { [SocketVariable] = _socket });
            if (!await DaemonWait.ReadyAsync(() => IsRunning, () => Find().Count > 0, StartLimit, cancel).ConfigureAwait(false))
                throw new BlockStorageException(BlockErrors.TargetUnavailable, $"tgtd does not start: {LastWords()}", "tgtd");
            foreach (var portal in TgtReport.ParsePortals(await ShowAsync(TgtMode.Portal, cancel).ConfigureAwait(false)))
                await Client.RunAsync(new TgtRequest(TgtMode.Portal, TgtOperation.Delete, Parameters: $"portal={portal}"), "tgtd", cancel).ConfigureAwait(false);
        }
        catch
        {
            await ClearAsync(CancellationToken.None).ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Ends it and removes its files. It has no targets. The caller holds the lock.</summary>
    public async Task StopAsync(IWorkSink sink)
    {
        if (Client.FindDaemon() is { } process)
        {
            sink.Verbose("Stopping tgtd.");
            await Client.RunAsync(new TgtRequest(TgtMode.System, TgtOperation.Delete), "tgtd", CancellationToken.None).ConfigureAwait(false);
            await ProcessTable.WaitForExitAsync(process, StopLimit, CancellationToken.None).ConfigureAwait(false);
        }
        await ClearAsync(CancellationToken.None).ConfigureAwait(false);
    }

    /// <summary>Shows all of one kind.</summary>
    public Task<string> ShowAsync(TgtMode mode, CancellationToken cancel) =>
        Client.RunAsync(new TgtRequest(mode, TgtOperation.Show), "tgtd", cancel);

    /// <summary>What tgtd said last, for errors.</summary>
    public string LastWords()
    {
        try
        {
            return File.ReadLines(LogFile).LastOrDefault(line => line.Length > 0) ?? "it says nothing.";
        }
        catch (IOException)
        {
            return "it says nothing.";
        }
    }

    private string LogFile => Path.Combine(_folder, "tgtd.log");

    private IReadOnlyList<ProcessEntry> Find() => ProcessTable.FindByVariable(SocketVariable, _socket);

    private async Task ClearAsync(CancellationToken cancel)
    {
        // A daemon that lost its socket holds portals and can no longer be told to let go of them.
        foreach (var process in Find())
            await ProcessTable.KillAsync(process, TimeSpan.Zero, cancel).ConfigureAwait(false);
        if (Directory.Exists(_folder))
            Directory.Delete(_folder, recursive: true);
    }
}
