using System.Globalization;
using BlockStorage.Engine.Host;
using BlockStorage.Services;

namespace BlockStorage.Engine.Volumes.Lvm;

/// <summary>
/// Leaving. A thick volume is gone at the rename to a name that says so; a worker that outlives us overwrites it and gives its
/// extents back. The worker is a chain of system tools of which each runs only when the one before has succeeded. Killed, it goes on
/// where it was: whoever reads the group next starts it again.
/// </summary>
internal sealed partial class LvmVolumeDriver
{
    // Steps of a worker are multiples of this.
    private const long StepUnit = 1 << 20;

    // Device, its bytes, where the position is kept, bytes a step, seconds between steps; then what gives the extents back.
    // blkdiscard opens the device for itself alone: what somebody has mounted stays. What is counted as overwritten is on the disk.
    private const string WipeScript = """
        dev=$1 size=$2 kept=$3 step=$4 pause=$5
        shift 5
        at=0
        [ ! -e "$kept" ] || read -r at <"$kept"
        while [ "$at" -lt "$size" ]; do
            left=$((size - at))
            [ "$left" -lt "$step" ] || left=$step
            blkdiscard --zeroout --offset "$at" --length "$left" "$dev" && sync "$dev" || exit
            at=$((at + left))
            echo "$at" >"$kept.new" && mv "$kept.new" "$kept" || exit
            [ "$pause" = 0 ] || sleep "$pause"
        done
        "$@" && rm -f "$kept"
        """;

    private static readonly TimeSpan WipesEndWithin = TimeSpan.FromMinutes(5);
    private readonly string _wipeFolder = Path.Combine(root.RunFolder, "wipe");

    private string WipeErrors => Path.Combine(_wipeFolder, "errors");

    /// <summary>Takes away a volume or snapshot; the bytes of a thick one may be overwritten after this returns.</summary>
    private async Task DropAsync(LvmVolume part, LvmGroup group, CancellationToken cancel)
    {
        await RequireUnheldAsync(part.Name, cancel).ConfigureAwait(false);
        if (part.IsThin)
        {
            try
            {
                await RemoveAsync(part.Name, SilentSink.Instance).ConfigureAwait(false);
            }
            catch (BlockStorageException error) when (error.Error == BlockErrors.DeviceInUse && Mapped(part.Name) is { } device)
            {
                // LVM has tried for a while and does not say who.
                throw Held(part.Name, device);
            }
            return;
        }
        // A wipe that is still a snapshot when the group was read has been split off since.
        if (group.Volumes.Any(other => other.IsWiping && other.Origin == part.Name))
            group = await _lvm.ReadAsync(SilentSink.Instance, cancel).ConfigureAwait(false) ?? group;
        // Without its origin such a snapshot has nothing to show: LVM would remove it too.
        if (group.Volumes.FirstOrDefault(other => other.Origin == part.Name && !other.IsThin && other.Id != part.Id) is { } snapshot)
            throw new BlockStorageException(BlockErrors.SnapshotDependency, $"Snapshot {snapshot.Id ?? snapshot.Name} depends on volume {part.Id}.", part.Id!);
        ForgetPositions(group);
        var wipe = part with { Name = LvmNames.Wipe(), Kind = BackendKind.Partial };
        await RenameAsync(part.Name, wipe.Name, SilentSink.Instance).ConfigureAwait(false);
        await WipeAsync(wipe, SilentSink.Instance).ConfigureAwait(false);
    }

    /// <summary>Takes away what is half-made and waits until no byte of it is left.</summary>
    private async Task EraseAsync(LvmVolume part, LvmGroup group, CancellationToken cancel)
    {
        if (!part.IsWiping)
            await DropAsync(part, group, cancel).ConfigureAwait(false);
        var left = group;
        for (var attempt = 0; attempt < 3; attempt++)
        {
            await Poll.UntilAsync(() => ProcessTable.FindByArgument($"{Group}/{LvmNames.WipePrefix}").Count == 0, WipesEndWithin, cancel).ConfigureAwait(false);
            left = await ReadAsync(SilentSink.Instance, cancel).ConfigureAwait(false);
            if (left.Wiping == 0)
                return;
        }
        throw new BlockStorageException(BlockErrors.PoolNotEmpty, $"{ByteSize.Format(left.Wiping)} of removed volumes are still being wiped." +
            (System.IO.File.Exists(WipeErrors) && System.IO.File.ReadLines(WipeErrors).LastOrDefault() is { Length: > 0 } said ? $" The worker said: {said}" : ""), pool.Name, "Try again later.");
    }

    /// <summary>Sees to it that a worker is busy with it.</summary>
    private async Task WipeAsync(LvmVolume part, IWorkSink sink)
    {
        if (ProcessTable.FindByArgument(part.Name).Count > 0)
            return;
        // What an origin still writes to its snapshot would come behind the zeros.
        if (part.Origin.Length > 0)
            await _lvm.RunAsync("lvconvert", ["--yes", "--splitsnapshot", $"{Group}/{part.Name}"], sink, CancellationToken.None).ConfigureAwait(false);
        // After a start of the machine it may be off, and what was a snapshot takes no writes.
        if (Mapped(part.Name) is null)
            await SwitchOnAsync(part.Name, sink, CancellationToken.None).ConfigureAwait(false);
        if (Mapped(part.Name) is { ReadOnly: true })
            await _lvm.RunAsync("lvchange", ["--permission", "rw", $"{Group}/{part.Name}"], sink, CancellationToken.None).ConfigureAwait(false);
        StartWipe(part.Name);
    }

    private void StartWipe(string name)
    {
        StateRoot.EnsureFolder(_wipeFolder);
        if (new FileInfo(WipeErrors) is { Exists: true, Length: > 64 << 10 } old)
            old.Delete();
        var path = PathOf(name);
        var step = pool.WipeRate > 0 ? Math.Clamp(pool.WipeRate / StepUnit * StepUnit, StepUnit, Slice) : Slice;
        // One at a time on this machine; the lock goes with its holders.
        _launcher.Start("flock", [Path.Combine(_wipeFolder, "lock"), "ionice", "--class", "idle", "sh", "-c", WipeScript, name, path,
            $"{Mapped(name)!.Size}", PositionFile(name), $"{step}", pool.WipeRate > 0 ? Seconds((double)step / pool.WipeRate) : "0",
            "lvremove", .. _lvm.OptionsThatDiscard(), "--yes", $"{Group}/{name}"], "/", WipeErrors,
            new Dictionary<string, string> { ["LVM_SUPPRESS_FD_WARNINGS"] = "1" });
    }

    /// <summary>Bytes that are still to be overwritten.</summary>
    private long LeftToWipe(LvmVolume part) => Math.Max(0, part.Size - (AtomicFile.Read(PositionFile(part.Name), 32) is { } text
        && long.TryParse(text, NumberStyles.AllowTrailingWhite, CultureInfo.InvariantCulture, out var done) ? done : 0));

    // A worker that was killed at its very end has left one.
    private void ForgetPositions(LvmGroup? group)
    {
        if (!Directory.Exists(_wipeFolder))
            return;
        foreach (var file in Directory.EnumerateFiles(_wipeFolder, $"{Group}.{LvmNames.WipePrefix}*")
            .Where(file => group?.Volumes.Any(volume => file.EndsWith(volume.Name, StringComparison.Ordinal)) != true).ToList())
            Native.Unlink(file);
    }

    private string PositionFile(string name) => Path.Combine(_wipeFolder, $"{Group}.{name}");

    private static string Seconds(double seconds) => seconds.ToString("0.###", CultureInfo.InvariantCulture);
}
