using System.Globalization;
using System.Text.Json;

namespace BlockStorage.Engine.Volumes.Lvm;

/// <summary>A logical volume as LVM's metadata has it.</summary>
/// <param name="Name">Name.</param>
/// <param name="Hidden">A part of another, or a snapshot that is being merged.</param>
/// <param name="Id">Id of the object of ours that it is, or null.</param>
/// <param name="Kind">What it is to a pool.</param>
/// <param name="Size">Bytes.</param>
/// <param name="Type">Segment type, such as thin.</param>
/// <param name="Origin">Logical volume that it is a snapshot of, or empty.</param>
/// <param name="ThinId">Number in the thin pool.</param>
/// <param name="ChunkSize">Bytes of a chunk, of thin pools.</param>
/// <param name="Ranges">Extents of each segment, as LVM takes them in arguments.</param>
/// <param name="Tags">Tags.</param>
internal sealed record LvmVolume(
    string Name, bool Hidden, string? Id, BackendKind Kind, long Size, string Type, string Origin, int? ThinId, long ChunkSize,
    IReadOnlyList<string> Ranges, IReadOnlyList<string> Tags)
{
    /// <summary>Metadata profile, or empty.</summary>
    public string Profile { get; init; } = "";

    /// <summary>Number of the last change of a thin pool, as LVM has it.</summary>
    public long Transaction { get; init; }

    /// <summary>dmeventd watches it; only where that was asked for.</summary>
    public bool IsWatched { get; init; }

    /// <summary>A volume or snapshot of ours that is all there.</summary>
    public bool IsWhole => !Hidden && Kind is (BackendKind.Volume or BackendKind.Snapshot);

    /// <summary>Tells by the tags what it is to a pool.</summary>
    public static LvmVolume Of(string name, bool hidden, IReadOnlyList<string> tags, long size, string type, string origin, int? thinId, long chunkSize,
        IReadOnlyList<string> ranges)
    {
        var id = LvmTags.ObjectOf(tags);
        var kind = id is null ? null : LvmNames.KindOf(name, id);
        return new LvmVolume(name, hidden, kind is null ? null : id, kind ?? BackendKind.Foreign, size, type, origin, thinId, chunkSize, ranges, tags);
    }

    /// <summary>It lives in a thin pool.</summary>
    public bool IsThin => Type == "thin";

    /// <summary>It is gone but for its bytes.</summary>
    public bool IsWiping => Kind == BackendKind.Partial && LvmNames.IsWipe(Name);
}

/// <summary>A volume group as LVM's metadata has it; sizes in bytes.</summary>
internal sealed record LvmGroup(
    string Name, long Size, long Free, long ExtentSize, string Sequence, long MetadataSize, long MetadataFree, int MissingDisks,
    IReadOnlyList<string> Tags, IReadOnlyList<LvmDisk> Disks, IReadOnlyList<LvmVolume> Volumes)
{
    /// <summary>Part of LVM's metadata area that is free, 0 to 1. Half of the area counts, for old and new must both fit.</summary>
    public double MetadataLeft => Math.Min(1, MetadataFree / Math.Max(1, MetadataSize / 2.0));

    /// <summary>Bytes that come back when wipes that are under way have ended.</summary>
    public long Wiping => Volumes.Where(volume => volume.IsWiping).Sum(volume => volume.Size);
}

/// <summary>A physical volume; Free in bytes.</summary>
internal sealed record LvmDisk(string Path, string Uuid, long Free)
{
    /// <summary>LVM finds it.</summary>
    public bool IsThere => Path.StartsWith('/');
}

/// <summary>All that LVM says in one go: its metadata only, without asking the kernel for anything.</summary>
/// <param name="Groups">Volume groups.</param>
/// <param name="FreeDisks">Physical volumes in no volume group.</param>
internal sealed record LvmReport(IReadOnlyList<LvmGroup> Groups, IReadOnlyList<LvmDisk> FreeDisks)
{
    /// <summary>Arguments that ask for what is read here.</summary>
    /// <param name="watch">Ask dmeventd too, which LVM starts where it does not run.</param>
    public static IReadOnlyList<string> Arguments(bool watch = false) =>
    [
        "fullreport", "--all", "--reportformat", "json", "--units", "b", "--nosuffix",
        "--configreport", "vg", "-o", "vg_name,vg_size,vg_free,vg_extent_size,vg_seqno,vg_mda_size,vg_mda_free,vg_missing_pv_count,vg_tags",
        "--configreport", "pv", "-o", "pv_name,pv_uuid,pv_free",
        "--configreport", "lv", "-o", "lv_name,lv_size,origin_size,lv_tags,origin,lv_profile",
        "--configreport", "seg", "-o", "lv_name,segtype,thin_id,chunk_size,seg_pe_ranges,seg_start,transaction_id" + (watch ? ",seg_monitor" : ""),
        "--configreport", "pvseg", "-o", "pvseg_start",
    ];

    /// <summary>Reads it; lines of advice before and behind the JSON do not matter.</summary>
    /// <exception cref="FormatException">It is something else.</exception>
    public static LvmReport Parse(string output)
    {
        var (start, end) = (output.IndexOf('{', StringComparison.Ordinal), output.LastIndexOf('}'));
        if (start < 0 || end < start)
            throw new FormatException("There is no JSON in it.");
        try
        {
            using var document = JsonDocument.Parse(output[start..(end + 1)]);
            var parts = document.RootElement.GetProperty("report").EnumerateArray().ToList();
            return new LvmReport(
                [.. parts.Where(part => part.TryGetProperty("vg", out _)).Select(ReadGroup)],
                [.. parts.Where(part => !part.TryGetProperty("vg", out _)).SelectMany(ReadDisks)]);
        }
        catch (Exception error) when (error is JsonException or KeyNotFoundException or InvalidOperationException or ArgumentException or OverflowException)
        {
            throw new FormatException(error.Message, error);
        }
    }

    private static LvmGroup ReadGroup(JsonElement part)
    {
        var group = part.GetProperty("vg").EnumerateArray().Single();
        var segments = Rows(part, "seg").ToLookup(row => Text(row, "lv_name"), StringComparer.Ordinal);
        return new LvmGroup(Text(group, "vg_name"), Number(group, "vg_size"), Number(group, "vg_free"), Number(group, "vg_extent_size"),
            Text(group, "vg_seqno"), Number(group, "vg_mda_size"), Number(group, "vg_mda_free"), (int)Number(group, "vg_missing_pv_count"),
            Tags(group, "vg_tags"), ReadDisks(part), [.. Rows(part, "lv").Select(row => ReadVolume(row, segments))]);
    }

    private static LvmVolume ReadVolume(JsonElement row, ILookup<string, JsonElement> segments)
    {
        var shown = Text(row, "lv_name");
        var name = shown.Trim('[', ']');
        var hidden = shown != name;
        var parts = segments[shown].OrderBy(part => Number(part, "seg_start")).ToList();
        var first = parts.FirstOrDefault();
        var type = parts.Count > 0 ? Text(first, "segtype") : "";
        return LvmVolume.Of(name, hidden, Tags(row, "lv_tags"),
            // Of a copy-on-write snapshot LVM tells the size of what it keeps aside.
            type != "thin" && Text(row, "origin_size") is { Length: > 0 } seen ? long.Parse(seen, CultureInfo.InvariantCulture) : Number(row, "lv_size"),
            type, Text(row, "origin").Trim('[', ']'),
            parts.Count > 0 && Text(first, "thin_id") is { Length: > 0 } thin ? int.Parse(thin, CultureInfo.InvariantCulture) : null,
            parts.Count > 0 ? Number(first, "chunk_size") : 0,
            [.. parts.SelectMany(part => Text(part, "seg_pe_ranges").Split(' ', StringSplitOptions.RemoveEmptyEntries))]) with
        {
            Profile = Text(row, "lv_profile"),
            Transaction = parts.Count > 0 && Text(first, "transaction_id") is { Length: > 0 } number ? long.Parse(number, CultureInfo.InvariantCulture) : 0,
            IsWatched = parts.Count > 0 && first.TryGetProperty("seg_monitor", out var monitor) && monitor.GetString() == "monitored",
        };
    }

    private static IReadOnlyList<LvmDisk> ReadDisks(JsonElement part) =>
        [.. Rows(part, "pv").Select(row => new LvmDisk(Text(row, "pv_name"), Text(row, "pv_uuid"), Number(row, "pv_free")))];

    private static IEnumerable<JsonElement> Rows(JsonElement part, string name) =>
        part.TryGetProperty(name, out var rows) ? rows.EnumerateArray() : [];

    private static string Text(JsonElement row, string name) => row.GetProperty(name).GetString() ?? "";

    private static long Number(JsonElement row, string name) => long.Parse(Text(row, name), NumberStyles.Integer, CultureInfo.InvariantCulture);

    private static string[] Tags(JsonElement row, string name) => Text(row, name).Split(',', StringSplitOptions.RemoveEmptyEntries);
}
