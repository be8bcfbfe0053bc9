using System.Management.Automation;

namespace BlockStorage.Commands;

/// <summary>What an error calls a thing that is not there.</summary>
internal sealed record ObjectKind(string Noun, BlockError NotFound)
{
    public static readonly ObjectKind Volume = new("volume", BlockErrors.VolumeNotFound);
    public static readonly ObjectKind Pool = new("pool", BlockErrors.PoolNotFound);
    public static readonly ObjectKind Snapshot = new("snapshot", BlockErrors.SnapshotNotFound);
    public static readonly ObjectKind Target = new("target", BlockErrors.TargetNotFound);
    public static readonly ObjectKind Access = new("access right", BlockErrors.AccessNotFound);
    public static readonly ObjectKind Connection = new("connection", BlockErrors.ConnectionNotFound);
    public static readonly ObjectKind Operation = new("operation", BlockErrors.OperationNotFound);
    public static readonly ObjectKind Driver = new("driver", BlockErrors.DriverNotFound);
    public static readonly ObjectKind Server = new("server", BlockErrors.ServerNotFound);

    /// <summary>The literal values that none of the found ones equals; a wildcard that matches nothing is no miss.</summary>
    public static IEnumerable<string> Misses(IEnumerable<string>? wanted, IEnumerable<string> found)
    {
        var there = found.ToHashSet(StringComparer.OrdinalIgnoreCase);
        return (wanted ?? []).Where(value => !WildcardPattern.ContainsWildcardCharacters(value) && !there.Contains(value));
    }

    /// <summary>The error for a literal that names nothing.</summary>
    public BlockStorageException Missing(string value, string property = "name") =>
        new(NotFound, $"No {Noun} has the {property} '{value}'.", value);
}
