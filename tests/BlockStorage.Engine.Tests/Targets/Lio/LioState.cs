using BlockStorage.Engine.Host;
using BlockStorage.Engine.Targets.Lio;

namespace BlockStorage.Engine.Tests.Targets.Lio;

/// <summary>All that is in the kernel's target, foreign things too: every object and link.</summary>
internal static class LioState
{
    public static IReadOnlyList<string> Snapshot()
    {
        // The fabric comes with the first target and stays.
        Directory.CreateDirectory(LioNames.Fabric);
        var all = new List<string>();
        Walk(LioNames.Core, all);
        Walk(LioNames.Fabric, all);
        return all;
    }

    private static void Walk(string path, List<string> all)
    {
        all.AddRange(ConfigFs.Links(path).Select(link => $"{link.Path} -> {link.Target}"));
        foreach (var name in ConfigFs.Objects(path).Where(name => !name.Contains("statistics", StringComparison.Ordinal)))
        {
            all.Add($"{path}/{name}");
            Walk($"{path}/{name}", all);
        }
    }
}
