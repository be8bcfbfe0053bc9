using System.Globalization;
using BlockStorage.Engine.Host;

namespace BlockStorage.Engine.Volumes.Lvm;

/// <summary>What is in the pool: names, sizes and tags by one LVM command, the rest from the kernel.</summary>
internal sealed partial class LvmVolumeDriver
{
    /// <inheritdoc/>
    public async Task<IReadOnlyList<BackendObject>> ListAsync(CancellationToken cancel)
    {
        var group = await ReadAsync(SilentSink.Instance, cancel).ConfigureAwait(false);
        var whole = group.Volumes.Where(volume => volume.IsWhole).Select(volume => volume.Id).ToHashSet();
        return [.. group.Volumes.Where(volume => IsListed(volume) && (volume.Kind != BackendKind.Partial || whole.Add(volume.Id)))
            .Select(volume => Describe(volume, withIdentity: true))];
    }

    /// <inheritdoc/>
    public async Task<BackendObject?> FindAsync(string id, CancellationToken cancel)
    {
        LvmNames.Hex(id);
        var volume = (await ReadAsync(SilentSink.Instance, cancel).ConfigureAwait(false)).Find(id);
        return volume is null ? null : Describe(volume, withIdentity: true);
    }

    /// <inheritdoc/>
    public async Task<ObjectIdentity> ReadIdentityAsync(string id, CancellationToken cancel)
    {
        var volume = Require(await ReadAsync(SilentSink.Instance, cancel).ConfigureAwait(false), id);
        return LvmTags.Read(volume) ?? throw new BlockStorageException(BlockErrors.VolumeDamaged,
            $"The tags of '{Group}/{volume.Name}' are damaged.", id);
    }

    /// <inheritdoc/>
    public async Task UpdateIdentityAsync(ObjectIdentity identity, CancellationToken cancel)
    {
        var volume = Require(await ReadAsync(SilentSink.Instance, cancel).ConfigureAwait(false), identity.Id);
        var change = LvmTags.Change(volume.Tags, LvmTags.Of(identity));
        if (change.Count > 0)
            await _lvm.RunAsync("lvchange", [.. change, $"{Group}/{volume.Name}"], SilentSink.Instance, cancel).ConfigureAwait(false);
    }

    // Parts of other volumes and our own thin pool are none of it. A snapshot under way into its volume is hidden too.
    private static bool IsListed(LvmVolume volume) => !volume.Hidden && !LvmNames.IsPool(volume.Name);

    private BackendObject Describe(LvmVolume volume, bool withIdentity)
    {
        if (volume.Kind is BackendKind.Foreign)
            return new BackendObject(volume.Name, volume.Kind, PathOf(volume.Name), volume.Size, null, Ok, null);
        if (volume.Kind is BackendKind.Partial)
            return new BackendObject(volume.Id!, volume.Kind, PathOf(volume.Name), volume.Size, null,
                volume.IsWiping ? BackendObject.Wiping : "half-made", null);
        var device = Mapped(volume.Name);
        var identity = withIdentity ? LvmTags.Read(volume) : null;
        var health = device is { Suspended: true } ? $"suspended: dmsetup resume {LvmNames.Mapped(Group, volume.Name)}"
            : device is { Text: "Fail" or "Error" } ? "the kernel cannot read it: its thin pool is damaged"
            : device is { Type: "snapshot", Text: "Invalid" or "Overflow" or "Merge failed" } ? $"lost: {device.Text}"
            : withIdentity && identity is null ? "its tags are damaged" : Ok;
        return new BackendObject(volume.Id!, volume.Kind, PathOf(volume.Name), volume.Size,
            volume.IsThin ? ThinUse(device) : volume.Size, health, identity);
    }

    // "<mapped sectors> <highest mapped>"; only of what is active.
    private static long? ThinUse(MappedDevice? device) =>
        device is { Type: "thin" } && long.TryParse(device.Text.Split(' ')[0], NumberStyles.None, CultureInfo.InvariantCulture, out var sectors)
            ? sectors * 512 : null;

    /// <summary>Bytes up to the end of the last mapped chunk of a thin volume; null where the kernel does not say.</summary>
    private static long? MappedEnd(MappedDevice device) => device.Type != "thin" ? null : device.Text.Split(' ', StringSplitOptions.RemoveEmptyEntries) switch
    {
        ["0", ..] => 0,
        [_, var highest] when long.TryParse(highest, NumberStyles.None, CultureInfo.InvariantCulture, out var sector) => (sector + 1) * 512,
        _ => null,
    };
}

/// <summary>Looking up in a volume group.</summary>
internal static class LvmGroupExtensions
{
    /// <summary>The whole volume or snapshot of that id, or null.</summary>
    public static LvmVolume? Find(this LvmGroup group, string id) => group.Volumes.FirstOrDefault(volume => volume.Id == id && volume.IsWhole);

    /// <summary>The thin pool, or null. In a group with our tag it is ours: a group that has one of its own never gets the tag.</summary>
    public static LvmVolume? ThinPool(this LvmGroup group) => group.Volumes.FirstOrDefault(volume => volume.Name == LvmNames.Pool);
}
