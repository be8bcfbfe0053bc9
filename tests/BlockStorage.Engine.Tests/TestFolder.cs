using BlockStorage.Engine.Host;
using BlockStorage.Services;

namespace BlockStorage.Engine.Tests;

/// <summary>A short folder of one test below /tmp; when it goes, mounts and loop devices in it must be gone already.</summary>
public sealed class TestFolder : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("bs-").FullName;

    public string File(string name) => System.IO.Path.Combine(Path, name);

    /// <summary>Mounts and loop devices below the folder.</summary>
    public IReadOnlyList<string> Leftovers() =>
        Mounts.List().Where(mount => mount.Target.StartsWith(Path + "/", StringComparison.Ordinal)).Select(mount => mount.Target)
            .Concat(LoopDevices.List().Where(pair => pair.BackingFile.StartsWith(Path + "/", StringComparison.Ordinal))
                .Select(pair => pair.Device))
            .ToList();

    public void Dispose()
    {
        var leftovers = Leftovers();
        foreach (var mount in Mounts.List().Reverse().Where(mount => mount.Target.StartsWith(Path + "/", StringComparison.Ordinal)))
            Mounts.Unmount(mount.Target, lazy: true);
        foreach (var device in leftovers.Where(name => name.StartsWith("/dev/loop", StringComparison.Ordinal)))
        {
            if (LoopDevices.BackingFile(device) is { } file)
                LoopDevices.DetachAsync(device, file, TimeSpan.FromSeconds(5), CancellationToken.None).GetAwaiter().GetResult();
        }
        Directory.Delete(Path, recursive: true);
        Assert.Empty(leftovers);
    }
}

/// <summary>Remembers what work told.</summary>
public sealed class RecordingSink : IWorkSink
{
    private readonly Lock _lock = new();
    private readonly List<WorkProgress> _progress = [];
    private readonly List<string> _lines = [];

    /// <summary>Called on each progress report.</summary>
    public Action<WorkProgress>? OnProgress { get; set; }

    public IReadOnlyList<WorkProgress> ProgressReports
    {
        get { lock (_lock) return [.. _progress]; }
    }

    public IReadOnlyList<string> Lines
    {
        get { lock (_lock) return [.. _lines]; }
    }

    public void Verbose(string message) { lock (_lock) _lines.Add(message); }

    public void Warning(string message) { lock (_lock) _lines.Add(message); }

    public void Progress(WorkProgress progress)
    {
        lock (_lock) _progress.Add(progress);
        OnProgress?.Invoke(progress);
    }
}

/// <summary>A fact that needs root; without it the runner names it as skipped.</summary>
public sealed class RootFactAttribute : FactAttribute
{
    public RootFactAttribute()
    {
        if (!Environment.IsPrivilegedProcess)
            Skip = "needs root: mounts and loop devices";
    }
}
