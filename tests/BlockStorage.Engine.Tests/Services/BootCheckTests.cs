using System.Diagnostics;
using BlockStorage.Engine.Services;

namespace BlockStorage.Engine.Tests.Services;

/// <summary>The check that exports come back at boot, and the unit that it asks for.</summary>
public sealed class BootCheckTests : IDisposable
{
    private const string Unit = "blockstorage-restore.service";
    private readonly TestFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Without_the_unit_it_tells_how_to_install_it_and_with_it_nothing()
    {
        var check = BootCheck.Restore("/opt/modules/BlockStorage/1.2.3", _folder.Path);
        Assert.Equal(("Boot", Unit, "missing"), (check.Kind, check.Name, check.State));
        Assert.Contains("/opt/modules/BlockStorage/1.2.3/systemd/" + Unit, check.Fix, StringComparison.Ordinal);
        Assert.Contains("systemctl enable " + Unit, check.Fix, StringComparison.Ordinal);

        Directory.CreateDirectory(_folder.File("multi-user.target.wants"));
        var link = _folder.File($"multi-user.target.wants/{Unit}");
        File.CreateSymbolicLink(link, _folder.File(Unit));
        Assert.Equal("missing", BootCheck.Restore("/opt/x", _folder.Path).State);
        File.WriteAllText(_folder.File(Unit), "");
        check = BootCheck.Restore("/opt/x", _folder.Path);
        Assert.Equal(("ok", ""), (check.State, check.Fix));
    }

    [Fact]
    public void The_comparison_of_raid_disks_is_a_timer_of_its_own()
    {
        var check = BootCheck.Scrub("/opt/x", _folder.Path);
        Assert.Equal(("Boot", "blockstorage-scrub.timer", "missing"), (check.Kind, check.Name, check.State));
        Assert.Contains("systemctl enable --now blockstorage-scrub.timer", check.Fix, StringComparison.Ordinal);
        Directory.CreateDirectory(_folder.File("timers.target.wants"));
        File.WriteAllText(_folder.File("blockstorage-scrub.timer"), "");
        File.CreateSymbolicLink(_folder.File("timers.target.wants/blockstorage-scrub.timer"), _folder.File("blockstorage-scrub.timer"));
        Assert.Equal(("ok", ""), (BootCheck.Scrub("/opt/x", _folder.Path).State, BootCheck.Scrub("/opt/x", _folder.Path).Fix));
        Assert.All(new[] { "service", "timer" }, kind => Assert.True(File.Exists(Path.Combine(Repository.Folder, "systemd", $"blockstorage-scrub.{kind}"))));
    }

    [Fact]
    public void The_commands_give_a_unit_that_imports_the_module_by_its_path_without_its_version()
    {
        var module = Directory.CreateDirectory(_folder.File("BlockStorage/1.2.3/systemd")).Parent!.FullName;
        File.Copy(Path.Combine(Repository.Folder, "systemd", Unit), Path.Combine(module, "systemd", Unit));
        var sed = BootCheck.Restore(module, _folder.Path).Fix.Split(" > ")[0];
        using var shell = Process.Start(new ProcessStartInfo("sh", ["-c", sed]) { RedirectStandardOutput = true })!;
        var unit = shell.StandardOutput.ReadToEnd();
        Assert.True(shell.WaitForExit(10_000));
        Assert.Contains($"Import-Module '{_folder.File("BlockStorage")}' -ErrorAction Stop; Repair-BlockStorage -Force", unit, StringComparison.Ordinal);
    }

    [Fact]
    public void The_unit_comes_after_volumes_and_what_targetcli_saved_and_before_the_initiator()
    {
        var lines = File.ReadAllLines(Path.Combine(Repository.Folder, "systemd", Unit));
        string[] Words(string key) => lines.Where(line => line.StartsWith(key + "=", StringComparison.Ordinal)).SelectMany(line => line[(key.Length + 1)..].Split(' ')).ToArray();
        Assert.Superset(new HashSet<string> { "network-online.target", "lvm2-monitor.service", "rtslib-fb-targetctl.service", "target.service" }, Words("After").ToHashSet());
        Assert.Superset(new HashSet<string> { "iscsid.service", "open-iscsi.service", "remote-fs-pre.target" }, Words("Before").ToHashSet());
        Assert.Equal(["oneshot"], Words("Type"));
        Assert.Equal(["yes"], Words("RemainAfterExit"));
    }
}
