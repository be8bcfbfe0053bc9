namespace BlockStorage;

/// <summary>What every emitted object has: a name, an id, the machine that owns it.</summary>
public abstract class BlockObject : IComparable<BlockObject>, IComparable
{
    /// <summary>Version of the shape of this type, for objects that cross machines.</summary>
    public int SchemaVersion { get; set; } = 1;

    /// <summary>The name people use. Compared without regard to case.</summary>
    public string Name { get; set; } = "";

    /// <summary>UUID (version 4) in lower case with hyphens, or empty where the thing has none.</summary>
    public string Id { get; set; } = "";

    /// <summary>The machine that owns the object.</summary>
    public string Server { get; set; } = "";

    /// <inheritdoc/>
    public int CompareTo(BlockObject? other) =>
        other is null ? 1 : string.Compare(Name, other.Name, StringComparison.OrdinalIgnoreCase);

    /// <inheritdoc/>
    public int CompareTo(object? obj) => obj is null ? 1 : CompareTo(obj as BlockObject
        ?? throw new ArgumentException($"Cannot compare {GetType().Name} with {obj.GetType().Name}.", nameof(obj)));

    /// <summary>The name.</summary>
    public override string ToString() => Name;
}
