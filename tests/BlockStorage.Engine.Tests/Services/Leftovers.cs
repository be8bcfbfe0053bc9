using BlockStorage.Engine.Host;

namespace BlockStorage.Engine.Tests.Services;

/// <summary>What must not remain of a state folder: processes, mounts, loop devices, locks, secrets, data, run folders.</summary>
internal static class Leftovers
{
    public static void AssertNone(string home)
    {
        Assert.DoesNotContain(ProcessTable.FindByArgument(home + "/"), process => process.Pid != Environment.ProcessId);
        Assert.Empty(ProcessTable.FindByVariable("TGT_IPC_SOCKET", home + "/run/tgt/socket"));
        Assert.DoesNotContain(Mounts.List(), mount => mount.Target.StartsWith(home + "/", StringComparison.Ordinal));
        Assert.DoesNotContain(LoopDevices.List(), loop => loop.BackingFile.StartsWith(home + "/", StringComparison.Ordinal));
        foreach (var folder in new[] { "locks", "secrets", "run" })
            Assert.Empty(Files(Path.Combine(home, folder)));
        Assert.Empty(Files(Path.Combine(home, "pools")));
    }

    private static IEnumerable<string> Files(string folder) =>
        Directory.Exists(folder) ? Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories) : [];
}
