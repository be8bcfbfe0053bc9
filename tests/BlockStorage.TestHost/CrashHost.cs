using System.Globalization;
using BlockStorage.Engine;
using BlockStorage.Engine.Host;
using BlockStorage.Engine.Nodes;

namespace BlockStorage.TestHost;

/// <summary>Runs one verb and dies, really, at the n-th boundary; at 0 it lives and says how many there are.</summary>
internal static class CrashHost
{
    public static async Task<int> RunAsync(string home, string verb, string name, int point)
    {
        var root = new StateRoot(home);
        var seen = 0;
        await using var service = new BlockStorageService(root, new LocalNode(root), _ =>
        {
            if (Interlocked.Increment(ref seen) == point)
                Native.SendSignal(Environment.ProcessId, Signal.Kill);
        });
        await new Verbs(service).RunAsync(verb, name);
        Console.WriteLine(seen.ToString(CultureInfo.InvariantCulture));
        return 0;
    }
}
