namespace BlockStorage.Engine.Operations;

/// <summary>Which operation may begin in which state of a volume or snapshot. Stricter than Cinder's: no state outlives its operation.</summary>
internal static class StateTable
{
    private static readonly Dictionary<string, string[]> Volume = new(StringComparer.Ordinal)
    {
        [BlockStates.Attaching] = [BlockStates.Available],
        [BlockStates.Detaching] = [BlockStates.InUse, BlockStates.Error],
        [BlockStates.Extending] = [BlockStates.Available, BlockStates.InUse],
        [BlockStates.Reverting] = [BlockStates.Available],
        [BlockStates.Deleting] = [BlockStates.Available, BlockStates.Error],
    };

    private static readonly string[] Steady = [BlockStates.Available, BlockStates.InUse];

    /// <summary>True when a volume in state <paramref name="from"/> may get the state of an operation.</summary>
    public static bool Allows(string from, string to) => Volume.TryGetValue(to, out var allowed) && allowed.Contains(from);

    /// <summary>Refuses an operation that the state of the volume does not allow.</summary>
    /// <exception cref="BlockStorageException">VolumeInUse or InvalidState.</exception>
    public static void Require(string name, string from, string to)
    {
        if (Allows(from, to))
            return;
        if (from is BlockStates.InUse or BlockStates.Attaching)
        {
            throw new BlockStorageException(BlockErrors.VolumeInUse, $"Volume '{name}' is connected.", name,
                $"Disconnect-BlockVolume -Volume '{name}'");
        }
        throw new BlockStorageException(BlockErrors.InvalidState, $"Volume '{name}' is {from}.", name);
    }

    /// <summary>Refuses to read from or publish what is not complete.</summary>
    /// <exception cref="BlockStorageException">InvalidState.</exception>
    public static void RequireSteady(string name, string state)
    {
        if (!Steady.Contains(state))
            throw new BlockStorageException(BlockErrors.InvalidState, $"'{name}' is {state}, not available.", name);
    }
}
