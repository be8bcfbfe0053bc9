using BlockStorage.Engine;
using BlockStorage.Engine.Host;
using BlockStorage.Engine.Nodes;

namespace BlockStorage.TestHost;

/// <summary>Runs many verbs at random on a few names that other processes use too; prints one line for each.</summary>
internal static class LoadHost
{
    private static readonly string[] Names = ["a", "b", "c", "d", "e", "f"];

    private static readonly string[] Mix =
    [
        "create", "create", "create", "clone", "snapshot", "snapshot", "resize", "publish", "publish", "connect", "disconnect",
        "unpublish", "restore", "remove-snapshot", "remove", "remove",
    ];

    // What may happen when others work on the same names: said clearly, nothing changed.
    private static readonly HashSet<string> Expected =
    [
        "VolumeNotFound", "SnapshotNotFound", "TargetNotFound", "ConnectionNotFound", "NameExists", "VolumeInUse", "VolumePublished",
        "SnapshotDependency", "SnapshotNeedsQuiesce", "TargetHasSessions", "InvalidState", "Conflict", "LockTimeout", "ConnectionLost",
    ];

    public static async Task<int> RunAsync(string home, int seed, int count)
    {
        var root = new StateRoot(home);
        var random = new Random(seed);
        var unexpected = 0;
        await using var service = new BlockStorageService(root, new LocalNode(root));
        var verbs = new Verbs(service);
        for (var number = 0; number < count; number++)
        {
            var verb = Mix[random.Next(Mix.Length)];
            var name = Names[random.Next(Names.Length)];
            try
            {
                await verbs.RunAsync(verb, name);
                Console.WriteLine($"ok {verb} {name}");
            }
            catch (BlockStorageException error) when (Expected.Contains(error.ErrorId))
            {
                Console.WriteLine($"refused {verb} {name} {error.ErrorId}: {error.Message}");
            }
            catch (ArgumentOutOfRangeException)
            {
                Console.WriteLine($"refused {verb} {name} nothing there");
            }
            catch (BlockStorageException error)
            {
                unexpected++;
                Console.WriteLine($"UNEXPECTED {verb} {name} {error.ErrorId}: {error.Message} {error.InnerException}");
            }
        }
        return unexpected;
    }
}
