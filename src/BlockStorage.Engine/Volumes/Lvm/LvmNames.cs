using System.Text.RegularExpressions;

namespace BlockStorage.Engine.Volumes.Lvm;

/// <summary>Names in a volume group. They come from ids only; what users call things stands in tags.</summary>
internal static partial class LvmNames
{
    /// <summary>The thin pool.</summary>
    public const string Pool = "bspool";

    /// <summary>Its metadata.</summary>
    public const string PoolMetadata = Pool + "_tmeta";

    /// <summary>Its data.</summary>
    public const string PoolData = Pool + "_tdata";

    /// <summary>A thin pool on RAID that is being made of several parts; the rename to its own name makes it whole.</summary>
    public const string NewPool = Pool + "-new";

    /// <summary>What becomes its metadata.</summary>
    public const string NewPoolMetadata = Pool + "-newmeta";

    /// <summary>Begins the name of what is being wiped.</summary>
    public const string WipePrefix = "wipe-";

    private const string Aside = Pool + "_meta";
    private const string VolumePrefix = "vol-";
    private const string SnapshotPrefix = "snap-";
    private const string HalfPrefix = "half-";
    private const string KeepPrefix = "keep-";
    private const string MomentPrefix = "moment-";

    /// <summary>A volume.</summary>
    public static string Volume(string id) => VolumePrefix + Hex(id);

    /// <summary>A snapshot.</summary>
    public static string Snapshot(string id) => SnapshotPrefix + Hex(id);

    /// <summary>Something that is being made or taken away; the rename to its own name makes it whole.</summary>
    public static string Half(string id) => HalfPrefix + Hex(id);

    /// <summary>What becomes of a snapshot again, once its volume was set back to it.</summary>
    public static string Keep(string id) => KeepPrefix + Hex(id);

    /// <summary>A snapshot that a copy is read from.</summary>
    public static string Moment(string id) => MomentPrefix + Hex(id);

    /// <summary>A new name of something that is gone but for its bytes; one object may leave several.</summary>
    public static string Wipe() => WipePrefix + Guid.NewGuid().ToString("N");

    /// <summary>Whether it is the name of something that is being wiped.</summary>
    public static bool IsWipe(string name) =>
        name.StartsWith(WipePrefix, StringComparison.Ordinal) && Guid.TryParseExact(name[WipePrefix.Length..], "N", out _);

    /// <summary>Whether it is the thin pool, what it is made of, or metadata that LVM's repair of it has put aside.</summary>
    public static bool IsPool(string name) => name is Pool or NewPool or NewPoolMetadata || name.StartsWith(Aside, StringComparison.Ordinal);

    /// <summary>The 32 digits of an id.</summary>
    public static string Hex(string id) => Guid.TryParseExact(id, "D", out var guid) ? guid.ToString("N")
        : throw new BlockStorageException(BlockErrors.InvalidArgument, $"'{id}' is not an id.", id);

    /// <summary>What a name of ours says; null for any other.</summary>
    public static BackendKind? KindOf(string name, string id)
    {
        var hex = Hex(id);
        return name == VolumePrefix + hex ? BackendKind.Volume
            : name == SnapshotPrefix + hex ? BackendKind.Snapshot
            : name == HalfPrefix + hex || name == KeepPrefix + hex || name == MomentPrefix + hex || IsWipe(name) ? BackendKind.Partial : null;
    }

    /// <summary>Name in /dev/mapper, where hyphens inside a name are doubled.</summary>
    public static string Mapped(string group, string name) => $"{Doubled(group)}-{Doubled(name)}";

    /// <summary>Whether LVM takes it as the name of a volume group, and no tool as an option.</summary>
    public static bool IsGroup(string name) => GroupPattern().IsMatch(name);

    private static string Doubled(string name) => name.Replace("-", "--", StringComparison.Ordinal);

    [GeneratedRegex(@"^(?!\.{1,2}$)[A-Za-z0-9_+.][A-Za-z0-9_+.-]{0,62}\z")]
    private static partial Regex GroupPattern();
}
