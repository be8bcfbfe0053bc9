namespace BlockStorage.Engine;

/// <summary>What a driver says of itself on this machine.</summary>
/// <param name="Usable">It works here now.</param>
/// <param name="Capabilities">What it can do, as words for people.</param>
/// <param name="Version">Version of the tool underneath, or empty.</param>
/// <param name="Reason">Why not usable, or empty.</param>
/// <param name="Fix">Command or package that makes it usable, or empty.</param>
/// <param name="Checks">Each tool, module and privilege it needs.</param>
internal sealed record DriverProbe(
    bool Usable, IReadOnlyList<string> Capabilities, string Version, string Reason, string Fix,
    IReadOnlyList<BlockServerCheck> Checks);

/// <summary>What a pool can do. A front door never guesses these from a driver's name.</summary>
/// <param name="Thin">Volumes that take space as they are written.</param>
/// <param name="Thick">Volumes that have all their space from the start.</param>
/// <param name="Resize">Volumes can grow.</param>
/// <param name="Revert">Volumes can be set back to any of their snapshots.</param>
/// <param name="SharesExtents">Snapshots and clones take constant time and no space.</param>
/// <param name="OnlineSnapshot">A snapshot is one moment even while something writes.</param>
internal sealed record DriverCapabilities(
    bool Thin, bool Thick, bool Resize, bool Revert, bool SharesExtents, bool OnlineSnapshot)
{
    /// <summary>How snapshots are taken, as a word for people.</summary>
    public string SnapshotMethod { get; init; } = SharesExtents ? "reflink" : "copy";

    /// <summary>A pool that is full can make writers wait.</summary>
    public bool Queues { get; init; }
}
