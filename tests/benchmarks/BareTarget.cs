using System.Diagnostics;
using static BlockStorage.Benchmarks.Sandbox;

namespace BlockStorage.Benchmarks;

/// <summary>What a careful script does by hand for one volume: LVM's commands, configfs, iscsiadm; no proof, no journal.</summary>
internal sealed class BareTarget(string group, string name) : IDisposable
{
    private const string Configfs = "/sys/kernel/config/target";
    private const string Portal = "127.0.0.1:3299";
    private static readonly (string, string)[] Tuned =
    [
        ("node.session.cmds_max", "1024"), ("node.session.queue_depth", "128"), ("node.session.iscsi.InitialR2T", "No"),
        ("node.session.iscsi.ImmediateData", "Yes"), ("node.session.iscsi.FirstBurstLength", "1048576"),
        ("node.session.iscsi.MaxBurstLength", "16776192"), ("node.conn[0].iscsi.MaxRecvDataSegmentLength", "1048576"),
        ("node.conn[0].iscsi.MaxXmitDataSegmentLength", "1048576"),
    ];

    private readonly string _volume = $"bare{name}";
    private readonly string _iqn = $"iqn.2026-01.org.example:bare{name}";
    private readonly string _backstore = $"{Configfs}/core/iblock_999/bare{name}";
    private string Group => $"{Configfs}/iscsi/{_iqn}/tpgt_1";

    public string Device { get; private set; } = "";

    private string Initiator => File.ReadLines("/etc/iscsi/initiatorname.iscsi").First(line => line.StartsWith("InitiatorName=", StringComparison.Ordinal))["InitiatorName=".Length..];

    public void Create() => Tool("lvcreate", "--yes", "-V", "1g", "-n", _volume, "--thinpool", "bspool", group);

    public void Snapshot() => Tool("lvcreate", "--yes", "-s", "-n", _volume + "s", $"{group}/{_volume}");

    public void Clone() => Tool("lvcreate", "--yes", "-s", "-kn", "-ay", "-n", _volume + "c", $"{group}/{_volume}");

    public void Export()
    {
        Directory.CreateDirectory(_backstore);
        File.WriteAllText($"{_backstore}/control", $"udev_path=/dev/{group}/{_volume}");
        File.WriteAllText($"{_backstore}/enable", "1");
        Directory.CreateDirectory($"{Configfs}/iscsi/{_iqn}");
        Directory.CreateDirectory(Group);
        Directory.CreateDirectory($"{Group}/lun/lun_0");
        File.CreateSymbolicLink($"{Group}/lun/lun_0/unit", _backstore);
        Directory.CreateDirectory($"{Group}/np/{Portal}");
        Directory.CreateDirectory($"{Group}/acls/{Initiator}");
        Directory.CreateDirectory($"{Group}/acls/{Initiator}/lun_0");
        File.CreateSymbolicLink($"{Group}/acls/{Initiator}/lun_0/unit", $"{Group}/lun/lun_0");
        File.WriteAllText($"{Group}/attrib/authentication", "0");
        File.WriteAllText($"{Group}/enable", "1");
    }

    /// <summary>The same for the clone, by the tool that people use for it, in one start of it.</summary>
    public void ExportByTargetcli()
    {
        var cli = _iqn + "-cli";
        var script = string.Join('\n',
            "set global auto_save_on_exit=false", "set global auto_add_default_portal=false",
            $"/backstores/block create name=cli{name} dev=/dev/{group}/{_volume}c", $"/iscsi create {cli}",
            $"/iscsi/{cli}/tpg1/luns create /backstores/block/cli{name}", $"/iscsi/{cli}/tpg1/portals create 127.0.0.1 3298",
            $"/iscsi/{cli}/tpg1/acls create {Initiator}", "exit");
        TargetCli(script);
        if (!Directory.Exists($"{Configfs}/iscsi/{cli}/tpgt_1/acls/{Initiator}/lun_0"))
            throw new InvalidOperationException("targetcli made no access to the unit.");
    }

    /// <param name="tuned">With deep queues and large bursts, as people set for speed.</param>
    public void Attach(bool tuned = false)
    {
        Tool("iscsiadm", "-m", "node", "-T", _iqn, "-p", Portal, "-o", "new");
        foreach (var (setting, value) in tuned ? Tuned : [])
            Tool("iscsiadm", "-m", "node", "-T", _iqn, "-p", Portal, "-o", "update", "-n", setting, "-v", value);
        Tool("iscsiadm", "-m", "node", "-T", _iqn, "-p", Portal, "--login");
        var link = $"/dev/disk/by-path/ip-{Portal}-iscsi-{_iqn}-lun-0";
        for (var waited = Stopwatch.StartNew(); !File.Exists(link);)
        {
            if (waited.Elapsed > TimeSpan.FromSeconds(30))
                throw new InvalidOperationException($"There is no {link}.");
            Thread.Sleep(1);
        }
        Device = File.ResolveLinkTarget(link, returnFinalTarget: true)!.FullName;
        if (tuned)
            File.WriteAllText($"/sys/block/{Path.GetFileName(Device)}/queue/scheduler", "none");
    }

    public void Detach()
    {
        Tool("blockdev", "--flushbufs", Device);
        Tool("iscsiadm", "-m", "node", "-T", _iqn, "-p", Portal, "--logout");
        Tool("iscsiadm", "-m", "node", "-T", _iqn, "-p", Portal, "-o", "delete");
    }

    public void Unexport()
    {
        File.WriteAllText($"{Group}/enable", "0");
        File.Delete($"{Group}/acls/{Initiator}/lun_0/unit");
        Directory.Delete($"{Group}/acls/{Initiator}/lun_0");
        Directory.Delete($"{Group}/acls/{Initiator}");
        Directory.Delete($"{Group}/np/{Portal}");
        File.Delete($"{Group}/lun/lun_0/unit");
        Directory.Delete($"{Group}/lun/lun_0");
        Directory.Delete(Group);
        Directory.Delete($"{Configfs}/iscsi/{_iqn}");
        Directory.Delete(_backstore);
    }

    /// <summary>Takes away what <see cref="ExportByTargetcli"/> made.</summary>
    public void UnexportByTargetcli() => TargetCli(string.Join('\n',
        "set global auto_save_on_exit=false", $"/iscsi delete {_iqn}-cli", $"/backstores/block delete cli{name}", "exit"));

    public void Delete() => Tool("lvremove", "--yes", $"{group}/{_volume}c");

    public void Dispose() => Tool("lvremove", "--yes", $"{group}/{_volume}s", $"{group}/{_volume}");

    private static void TargetCli(string script)
    {
        using var process = Process.Start(new ProcessStartInfo("targetcli") { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true })!;
        var said = process.StandardOutput.ReadToEndAsync();
        process.StandardInput.Write(script + "\n");
        process.StandardInput.Close();
        process.WaitForExit();
        if (process.ExitCode != 0)
            throw new InvalidOperationException(said.Result);
    }
}
