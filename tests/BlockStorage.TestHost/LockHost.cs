using BlockStorage.Engine.Host;

namespace BlockStorage.TestHost;

/// <summary>Holds a lock until its input ends or it is killed; says "held" when it has it.</summary>
internal static class LockHost
{
    public static int Run(string path, bool shared)
    {
        using var held = FileLock.Wait(path, TimeSpan.FromSeconds(30), shared, $"{FileLock.ProcessWord} {Environment.ProcessId} (hold)");
        Console.WriteLine("held");
        Console.In.ReadToEnd();
        return 0;
    }
}
