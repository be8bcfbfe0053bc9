namespace BlockStorage.Engine.Host;

/// <summary>Starts programs that outlive us.</summary>
internal sealed class DaemonLauncher(ICommandRunner runner)
{
    /// <summary>
    /// Starts a daemon in a session of its own, adopted by init, with stdio on /dev/null, no descriptor of ours and a
    /// clean environment. Its process id is for the caller to find: by ProcessTable or by a pid file.
    /// </summary>
    /// <param name="program">Name of a tool, looked up in the fixed system path.</param>
    /// <param name="arguments">Arguments; never a secret.</param>
    /// <param name="folder">Working folder.</param>
    /// <param name="errorFile">File that takes stderr, for the owner alone.</param>
    /// <param name="environment">Variables besides PATH and LC_ALL.</param>
    /// <exception cref="BlockStorageException">ToolMissing, IoFailed.</exception>
    public void Start(
        string program, IReadOnlyList<string> arguments, string folder, string errorFile,
        IReadOnlyDictionary<string, string>? environment = null)
    {
        var path = Require(program);
        var variables = new Dictionary<string, string>(environment ?? new Dictionary<string, string>())
        {
            ["PATH"] = "/usr/sbin:/usr/bin:/sbin:/bin",
            ["LC_ALL"] = "C",
        };
        // The one in between forks the daemon and ends at once, so that init adopts the daemon and we reap no stranger.
        var between = Native.Spawn(Require("setsid"), ["--fork", path, .. arguments],
            variables.Select(pair => $"{pair.Key}={pair.Value}"), folder, errorFile);
        if (Native.WaitForChild(between) is var code and not 0)
            throw new BlockStorageException(BlockErrors.ToolFailed, $"Starting '{program}' ended with exit code {code}.", program);
    }

    private string Require(string program) => runner.Find(program) ?? throw new BlockStorageException(
        BlockErrors.ToolMissing, $"'{program}' is not installed.", program);
}
