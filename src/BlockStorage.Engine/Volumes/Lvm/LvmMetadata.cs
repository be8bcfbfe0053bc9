using System.Globalization;
using BlockStorage.Engine.Host;

namespace BlockStorage.Engine.Volumes.Lvm;

/// <summary>A volume group as its metadata on disk has it, without starting a program: LVM takes half a second to say the same.</summary>
internal static class LvmMetadata
{
    // Of global/locking_dir; where that is elsewhere the folder is missing, and LVM is asked.
    private const string LockFolder = "/run/lock/lvm";

    /// <summary>Reads a group under LVM's own lock, as its commands do: some change it in several commits.</summary>
    /// <returns>Null where LVM itself must be asked; it also waits for a change that is under way.</returns>
    public static LvmState? ReadLocked(string group, IReadOnlyList<string> disks, LvmState? before)
    {
        if (!Directory.Exists(LockFolder))
            return null;
        using var held = FileLock.Try($"{LockFolder}/V_{group}", shared: true);
        return held is null ? null : Read(disks, before);
    }

    /// <summary>Reads the group of all the given disks.</summary>
    /// <param name="disks">Paths of all its disks.</param>
    /// <param name="before">What was read before, and from what; given again where nothing has changed.</param>
    /// <returns>Null where LVM itself must be asked: a disk is away, the disks disagree, or something is not as expected.</returns>
    public static LvmState? Read(IReadOnlyList<string> disks, LvmState? before)
    {
        try
        {
            var areas = disks.Select(LvmArea.Read).ToArray();
            var texts = areas.Where(area => area.TextSize > 0).ToArray();
            // While LVM commits, one disk after the other has the new state.
            if (texts.Length == 0 || texts.Any(area => (area.Checksum, area.TextSize) != (texts[0].Checksum, texts[0].TextSize)))
                return null;
            if (before is not null && before.Areas.SequenceEqual(areas))
                return before;
            var (name, text) = LvmSection.Parse(texts[0].ReadText()).Sections.Single();
            return new LvmState(areas, Group(name, text, areas));
        }
        catch (Exception error) when (error is BlockStorageException or FormatException or IOException or UnauthorizedAccessException or InvalidOperationException or ArgumentException or KeyNotFoundException or OverflowException)
        {
            return null;
        }
    }

    /// <summary>Reads the text of a group.</summary>
    /// <exception cref="FormatException">It is not as expected.</exception>
    internal static LvmGroup Group(string name, LvmSection text, IReadOnlyList<LvmArea> areas)
    {
        var extent = text.Number("extent_size") * 512;
        var paths = new Dictionary<string, string>(StringComparer.Ordinal);
        var disks = new List<(string Path, string Id, long Extents)>();
        foreach (var (part, disk) in text.Section("physical_volumes").Sections)
        {
            var id = disk.String("id");
            var area = areas.SingleOrDefault(area => area.DiskId == id.Replace("-", "", StringComparison.Ordinal));
            if (area is null || disk.List("status").Contains("MISSING") || disk.List("flags").Contains("MISSING"))
                throw new FormatException($"The disk {id} is away.");
            paths[part] = area.Disk;
            disks.Add((area.Disk, id, disk.Number("pe_count")));
        }
        var volumes = text.FindSection("logical_volumes")?.Sections.ToArray() ?? [];
        var used = disks.ToDictionary(disk => disk.Path, _ => 0L, StringComparer.Ordinal);
        foreach (var area in volumes.SelectMany(volume => Segments(volume.Section)).SelectMany(segment => Areas(segment, paths)))
            used[area.Disk] += area.Count;
        var copies = volumes.SelectMany(volume => Segments(volume.Section)).Where(segment => segment.String("type") == "snapshot")
            .ToDictionary(segment => segment.String("cow_store") is { Length: > 0 } store ? store : segment.String("merging_store"), StringComparer.Ordinal);
        var (all, taken) = (disks.Sum(disk => disk.Extents), used.Values.Sum());
        return new LvmGroup(name, all * extent, (all - taken) * extent, extent, text.Number("seqno").ToString(CultureInfo.InvariantCulture),
            areas.Where(area => area.Size > 0).Min(area => area.Size), areas.Where(area => area.Size > 0).Min(area => area.Free), 0,
            Tags(text), [.. disks.Select(disk => new LvmDisk(disk.Path, disk.Id, (disk.Extents - used[disk.Path]) * extent))], [.. volumes.Where(volume => !Segments(volume.Section).Any(segment => segment.String("type") == "snapshot"))
                .Select(volume => Volume(volume.Name, volume.Section, extent, copies.GetValueOrDefault(volume.Name), paths))]);
    }

    private static LvmVolume Volume(string name, LvmSection text, long extent, LvmSection? copy, Dictionary<string, string> paths)
    {
        var segments = Segments(text).ToArray();
        var first = segments.FirstOrDefault();
        var type = first?.String("type") ?? "";
        var tags = Tags(text);
        // What a copy-on-write snapshot keeps aside is shown as the snapshot, until it is merged back.
        var hidden = copy is null ? !text.List("status").Contains("VISIBLE") : copy.String("merging_store") == name;
        return LvmVolume.Of(name, hidden, tags, extent * (copy is not null ? copy.Number("extent_count") : segments.Sum(segment => segment.Number("extent_count"))),
            type == "striped" && first!.Number("stripe_count") == 1 ? "linear" : type,
            copy?.String("origin") ?? first?.String("origin") ?? "", type == "thin" ? (int)first!.Number("device_id") : null,
            type == "thin-pool" ? first!.Number("chunk_size") * 512 : 0,
            [.. segments.SelectMany(segment => Areas(segment, paths)).Select(area => string.Create(CultureInfo.InvariantCulture, $"{area.Disk}:{area.Start}-{area.Start + area.Count - 1}"))]) with
        {
            Profile = text.String("profile"),
            Transaction = type == "thin-pool" ? first!.Number("transaction_id") : 0,
        };
    }

    private static IEnumerable<LvmSection> Segments(LvmSection volume) =>
        volume.Sections.Where(part => part.Name.StartsWith("segment", StringComparison.Ordinal)).Select(part => part.Section);

    // Only stripes lie on disks themselves; the parts of everything else are volumes made of stripes.
    private static IEnumerable<(string Disk, long Start, long Count)> Areas(LvmSection segment, Dictionary<string, string> paths)
    {
        if (segment.String("type") != "striped")
        {
            if (new[] { "mirrors", "raids", "raid0_lvs" }.SelectMany(segment.List).OfType<string>().Any(paths.ContainsKey))
                throw new FormatException("A segment that is not of stripes lies on a disk.");
            yield break;
        }
        var (stripes, count) = (segment.List("stripes"), segment.Number("stripe_count"));
        for (var i = 0; i + 1 < stripes.Count; i += 2)
            yield return (paths[(string)stripes[i]], (long)stripes[i + 1], segment.Number("extent_count") / count);
    }

    private static string[] Tags(LvmSection text) => [.. text.List("tags").OfType<string>()];
}

/// <summary>A state of a volume group, and where it was read.</summary>
internal sealed record LvmState(IReadOnlyList<LvmArea> Areas, LvmGroup Group);
