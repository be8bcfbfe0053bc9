using BlockStorage.Engine.Host;

namespace BlockStorage.Engine.Targets.Lio;

/// <summary>
/// Notes that a target of ours is being made or removed, for the moments when it exists but has no mark. Only an empty target
/// is ours by such a note, and only until the machine restarts.
/// </summary>
internal sealed class LioIntents(StateRoot root)
{
    private const string BootFile = "/proc/sys/kernel/random/boot_id";
    private readonly Lazy<string> _boot = new(() => File.ReadAllText(BootFile));

    private string Folder => Path.Combine(root.RunFolder, "lio");

    /// <summary>Notes it.</summary>
    public void Begin(string iqn)
    {
        if (!Directory.Exists(Folder))
        {
            StateRoot.EnsureFolder(root.Home);
            StateRoot.EnsureFolder(root.RunFolder);
            StateRoot.EnsureFolder(Folder);
        }
        File.WriteAllText(NoteOf(iqn), _boot.Value);
    }

    /// <summary>Forgets it.</summary>
    public void End(string iqn) => Native.Unlink(NoteOf(iqn));

    /// <summary>Whether it is noted.</summary>
    public bool Has(string iqn) => File.Exists(NoteOf(iqn)) && File.ReadAllText(NoteOf(iqn)) == _boot.Value;

    /// <summary>Targets that are noted.</summary>
    public IReadOnlyList<string> List() =>
        Directory.Exists(Folder) ? Directory.EnumerateFiles(Folder).Select(file => Path.GetFileName(file)).ToArray() : [];

    private string NoteOf(string iqn) => Path.Combine(Folder, iqn);
}
