using static BlockStorage.Benchmarks.Sandbox;

namespace BlockStorage.Benchmarks;

/// <summary>A tgtd of its own, driven by tgtadm as a script would.</summary>
internal sealed class RawTgt : IDisposable
{
    private const string Iqn = "iqn.2026-01.org.example:raw";
    private const string Control = "77";
    private const string Portal = "127.0.0.1:3977";
    private readonly System.Diagnostics.Process _daemon;

    public RawTgt(Sandbox sandbox)
    {
        var start = new System.Diagnostics.ProcessStartInfo("tgtd") { RedirectStandardError = true, RedirectStandardOutput = true, WorkingDirectory = sandbox.Root.Home };
        foreach (var argument in new[] { "-f", "-C", Control, "--iscsi", $"portal={Portal}" })
            start.ArgumentList.Add(argument);
        _daemon = System.Diagnostics.Process.Start(start)!;
        _daemon.BeginErrorReadLine();
        _daemon.BeginOutputReadLine();
        for (var waited = System.Diagnostics.Stopwatch.StartNew(); waited.Elapsed < TimeSpan.FromSeconds(10);)
        {
            try
            {
                Adm("--op", "show", "--mode", "system");
                return;
            }
            catch (InvalidOperationException)
            {
                Thread.Sleep(20);
            }
        }
        throw new InvalidOperationException("The raw tgtd does not answer.");
    }

    public string Url => $"iscsi://{Portal}/{Iqn}/1";

    public void Publish(string file)
    {
        Adm("--op", "new", "--mode", "target", "--tid", "1", "-T", Iqn);
        Adm("--op", "new", "--mode", "logicalunit", "--tid", "1", "--lun", "1", "-b", file);
        Adm("--op", "bind", "--mode", "target", "--tid", "1", "-I", "ALL");
    }

    public void Dispose()
    {
        if (_daemon.HasExited)
            return;
        _daemon.Kill();
        _daemon.WaitForExit();
        File.Delete($"/var/run/tgtd/socket.{Control}");
        File.Delete($"/var/run/tgtd/socket.{Control}.lock");
    }

    private static void Adm(params string[] arguments) => Tool("tgtadm", ["-C", Control, "--lld", "iscsi", .. arguments]);
}

/// <summary>qemu-storage-daemon and losetup as a script would call them.</summary>
internal sealed class RawConnection(Sandbox sandbox, string url) : IDisposable
{
    private readonly string _file = Path.Combine(sandbox.Root.Home, "raw-export");
    private readonly string _pid = Path.Combine(sandbox.Root.Home, "raw-pid");
    private string _loop = "";

    public void Connect()
    {
        File.WriteAllText(_file, "");
        var (portal, rest) = (url["iscsi://".Length..url.IndexOf("/iqn", StringComparison.Ordinal)], url[(url.IndexOf("/iqn", StringComparison.Ordinal) + 1)..]);
        Tool("qemu-storage-daemon", "--daemonize", "--pidfile", _pid,
            "--blockdev", $"driver=iscsi,node-name=disk,transport=tcp,portal={portal},target={rest[..rest.LastIndexOf('/')]},lun=1,cache.direct=on",
            "--export", $"type=fuse,id=export,node-name=disk,mountpoint={_file},writable=on");
        _loop = Tool("losetup", "--find", "--show", "--direct-io=on", _file).Trim();
    }

    public void Dispose()
    {
        if (_loop.Length == 0)
            return;
        Tool("losetup", "--detach", _loop);
        Tool("kill", File.ReadAllText(_pid).Trim());
        for (var waited = System.Diagnostics.Stopwatch.StartNew(); File.ReadAllText("/proc/mounts").Contains(_file, StringComparison.Ordinal);)
        {
            if (waited.Elapsed > TimeSpan.FromSeconds(10))
                throw new InvalidOperationException("The raw export does not go.");
            Thread.Sleep(1);
        }
        _loop = "";
        File.Delete(_file);
        File.Delete(_pid);
    }
}
