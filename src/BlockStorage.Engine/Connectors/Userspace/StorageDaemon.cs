using System.Text.Json.Nodes;
using BlockStorage.Engine.Host;

namespace BlockStorage.Engine.Connectors.Userspace;

/// <summary>The qemu-storage-daemon of one connection: iSCSI initiator on one side, a file (FUSE) on the other.</summary>
internal sealed class StorageDaemon(ConnectionFolder folder)
{
    /// <summary>Tool and the packages that bring it and its iSCSI driver.</summary>
    public const string Tool = "qemu-storage-daemon";
    public const string Packages = "apt-get install qemu-utils qemu-system-common qemu-block-extra";

    private const string Node = "disk";
    private static readonly TimeSpan QuitLimit = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan ExitLimit = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan StopLimit = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan DrainLimit = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan ResizeLimit = TimeSpan.FromSeconds(15);

    // The name is the connection's own, so that no other loop device has a file of the same name behind it.
    public string ExportFile => folder.File($"{folder.Id}.img");

    private string SecretFile => folder.File("secret");

    private string Socket => folder.File("qmp");

    private string PidFile => folder.File("pid");

    private string LogFile => folder.File("log");

    /// <summary>Its process, or null.</summary>
    public ProcessEntry? Process => FindByFile() ?? ProcessTable.FindByArgument(folder.Path + "/").FirstOrDefault(process => process.Name != "setsid");

    /// <summary>Starts it and waits until the file is there. The secret lies in a file only until then.</summary>
    /// <exception cref="BlockStorageException">ToolMissing, ToolFailed, ToolTimeout.</exception>
    public async Task StartAsync(DaemonLauncher launcher, ConnectionInfo info, int lun, bool readOnly, CancellationToken cancel)
    {
        // FUSE mounts over a file.
        AtomicFile.Write(ExportFile, []);
        try
        {
            if (info.Chap is { } chap)
                AtomicFile.Write(SecretFile, System.Text.Encoding.UTF8.GetBytes(chap.Secret));
            launcher.Start(Tool, Arguments(info, lun, readOnly), folder.Path, LogFile);
            // The pid file comes last, when everything is up.
            var ready = await DaemonWait.ReadyAsync(() => new FileInfo(PidFile) is { Exists: true, Length: > 0 } && Mounts.IsMountPoint(ExportFile),
                () => Process is not null, info.Timeout, cancel).ConfigureAwait(false);
            if (!ready)
                throw Failure(info);
        }
        finally
        {
            File.Delete(SecretFile);
        }
    }

    /// <summary>Makes its file have the size that the target now has.</summary>
    /// <exception cref="BlockStorageException">ConnectionLost, ToolFailed, WrongDevice.</exception>
    public async Task ResizeAsync(long size, CancellationToken cancel)
    {
        await QmpClient.RunAsync(Socket, "block_resize", new JsonObject { ["node-name"] = Node, ["size"] = size }, ResizeLimit, cancel).ConfigureAwait(false);
        // FUSE remembers the old size for a second unless it is made to ask.
        var seen = await DeviceLink.BoundAsync(() => Native.Stat(ExportFile, fresh: true)?.Size, ResizeLimit, folder.Id, cancel).ConfigureAwait(false);
        if (seen != size)
            throw new BlockStorageException(BlockErrors.WrongDevice, $"The target shows {seen} bytes, not {size}.", folder.Id);
    }

    /// <summary>Bytes of its file.</summary>
    public Task<long> SizeAsync(CancellationToken cancel) =>
        DeviceLink.BoundAsync(() => Native.Stat(ExportFile, fresh: true)?.Size ?? 0, ResizeLimit, folder.Id, cancel);

    /// <summary>Stops it and waits until nothing is on its way to the target.</summary>
    /// <exception cref="BlockStorageException">ConnectionLost, ToolTimeout.</exception>
    public async Task PauseAsync(CancellationToken cancel)
    {
        var process = Process ?? throw new BlockStorageException(BlockErrors.ConnectionLost, "The qemu-storage-daemon has ended.", folder.Id);
        ProcessTable.Signal(process, Signal.Stop);
        try
        {
            if (!await Poll.UntilAsync(() => IsStopped(process.Pid), StopLimit, cancel).ConfigureAwait(false)
                || !await Poll.UntilAsync(() => IsDrained(process.Pid), DrainLimit, cancel).ConfigureAwait(false))
                throw new BlockStorageException(BlockErrors.ToolTimeout, "Data on its way to the target does not arrive there.", folder.Id);
        }
        catch
        {
            Resume();
            throw;
        }
    }

    /// <summary>Lets it go on.</summary>
    public void Resume()
    {
        if (Process is { } process)
            ProcessTable.Signal(process, Signal.Continue);
    }

    /// <summary>Ends it and takes its file away, asking first unless forced.</summary>
    public async Task EndAsync(bool force)
    {
        if (Process is { } process)
        {
            Resume();
            if (!force)
                await QuitAsync(process).ConfigureAwait(false);
            await ProcessTable.KillAsync(process, TimeSpan.Zero, CancellationToken.None).ConfigureAwait(false);
        }
        while (Mounts.IsMountPoint(ExportFile))
            Mounts.Unmount(ExportFile, lazy: true);
    }

    /// <summary>Why the way to the target is not open, or empty.</summary>
    public static string LinkTrouble(int pid, IReadOnlyList<TcpLink> all)
    {
        var links = TcpLinks.Of(pid, all);
        if (!links.Any(link => link.Established))
            return "no connection to the portal; it is tried again and again";
        return links.Any(link => link.Established && !link.Unanswered) ? "" : "the portal does not answer";
    }

    /// <summary>Whether all threads of a process stand still.</summary>
    public static bool IsStopped(int pid)
    {
        try
        {
            return Directory.EnumerateDirectories($"/proc/{pid}/task").All(task =>
                File.ReadAllText(Path.Combine(task, "stat")) is var stat && stat[stat.LastIndexOf(')') + 2] is 'T' or 't');
        }
        catch (IOException)
        {
            return false;
        }
    }

    private static bool IsDrained(int pid)
    {
        var all = TcpLinks.List(pid);
        return TcpLinks.Of(pid, all).All(link => link.Unsent == 0 && (TcpLinks.OtherEnd(link, all)?.Unread ?? 0) == 0);
    }

    // Looking through all processes is for the moments in which there is no pid file.
    private ProcessEntry? FindByFile() =>
        AtomicFile.Read(PidFile, 64) is { } content && int.TryParse(System.Text.Encoding.ASCII.GetString(content), out var pid)
        && ProcessTable.Arguments(pid).Any(argument => argument.Contains(folder.Path + "/", StringComparison.Ordinal))
            ? ProcessTable.Get(pid) : null;

    private async Task QuitAsync(ProcessEntry process)
    {
        try
        {
            await QmpClient.RunAsync(Socket, "quit", null, QuitLimit, CancellationToken.None).ConfigureAwait(false);
            await ProcessTable.WaitForExitAsync(process, ExitLimit, CancellationToken.None).ConfigureAwait(false);
        }
        catch (BlockStorageException error) when (error.Error == BlockErrors.ConnectionLost || error.Error == BlockErrors.ToolFailed)
        {
            // One that does not listen is ended without being asked.
        }
    }

    private List<string> Arguments(ConnectionInfo info, int lun, bool readOnly)
    {
        var disk = new JsonObject
        {
            ["driver"] = "iscsi",
            ["node-name"] = Node,
            ["transport"] = "tcp",
            ["portal"] = info.Portal!.ToString(),
            ["target"] = info.Iqn,
            ["lun"] = lun,
            ["initiator-name"] = info.InitiatorIqn,
            ["read-only"] = readOnly,
            ["discard"] = "unmap",
            ["cache"] = new JsonObject { ["direct"] = true },
        };
        var export = new JsonObject
        {
            ["type"] = "fuse",
            ["id"] = "export",
            ["node-name"] = Node,
            ["mountpoint"] = ExportFile,
            ["writable"] = !readOnly,
            ["allow-other"] = "off",
        };
        List<string> arguments = [];
        if (info.Chap is { } chap)
        {
            disk["user"] = chap.UserName;
            disk["password-secret"] = "chap";
            arguments.AddRange(["--object", new JsonObject { ["qom-type"] = "secret", ["id"] = "chap", ["file"] = SecretFile }.ToJsonString()]);
        }
        arguments.AddRange(["--blockdev", disk.ToJsonString(), "--chardev", $"socket,id=qmp,path={Socket},server=on,wait=off",
            "--monitor", "chardev=qmp", "--export", export.ToJsonString(), "--pidfile", PidFile]);
        return arguments;
    }

    private BlockStorageException Failure(ConnectionInfo info)
    {
        var said = File.Exists(LogFile) ? File.ReadAllText(LogFile).Trim() : "";
        // The tool repeats its own arguments before what went wrong.
        said = said.Length > 400 ? said[^400..] : said;
        if (said.Contains("Unknown driver", StringComparison.Ordinal) || said.Contains("does not accept value 'iscsi'", StringComparison.Ordinal)
            || said.Contains("block-iscsi", StringComparison.Ordinal))
            return new BlockStorageException(BlockErrors.ToolMissing, "The iSCSI driver of qemu-storage-daemon is not installed.", Tool, Packages);
        return Process is null
            ? new BlockStorageException(BlockErrors.ToolFailed, $"qemu-storage-daemon did not start: {said}", info.Iqn)
            : new BlockStorageException(BlockErrors.ToolTimeout, $"qemu-storage-daemon is not ready within {info.Timeout.TotalSeconds:0} s.", info.Iqn);
    }
}
