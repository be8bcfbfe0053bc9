using System.Globalization;
using BlockStorage.Engine;
using BlockStorage.Engine.Host;
using BlockStorage.Engine.Nodes;
using BlockStorage.Services;

namespace BlockStorage.TestHost;

/// <summary>Runs one verb and dies, really, at the n-th boundary; at 0 it lives and says how many there are.</summary>
internal static class CrashHost
{
    /// <summary>Gets ready, waits for its order, a line "verb name point place", and does it.</summary>
    public static async Task<int> RunAsync(string home)
    {
        var root = new StateRoot(home);
        var (seen, last) = (0, -1);
        await using var service = new BlockStorageService(root, new LocalNode(root), _ =>
        {
            if (Interlocked.Increment(ref seen) == last)
                Native.SendSignal(Environment.ProcessId, Signal.Kill);
        });
        // What every verb needs is compiled while others are at work.
        try
        {
            await service.GetVolumesAsync(new VolumeQuery(["none"]), CancellationToken.None);
        }
        catch (BlockStorageException)
        {
            // Those others may be taking away the pool that is looked into.
        }
        if (await Console.In.ReadLineAsync() is not { } order)
            return 0;
        var words = order.Split(' ');
        last = int.Parse(words[2], CultureInfo.InvariantCulture);
        await new Verbs(service, words[3]).RunAsync(words[0], words[1]);
        Console.WriteLine(seen.ToString(CultureInfo.InvariantCulture));
        return 0;
    }
}
