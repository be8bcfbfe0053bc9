using System.Collections.Concurrent;
using System.Globalization;
using BlockStorage.Engine.Host;
using BlockStorage.Services;

namespace BlockStorage.Engine.Volumes.Lvm;

/// <summary>
/// LVM's commands for one volume group. Each sees the disks of that group only and keeps the settings of the host, but for what is
/// said on its command line. LVM's own lock makes one of two writers wait.
/// </summary>
internal sealed class LvmTool(string group, string poolId, ICommandRunner runner)
{
    // Structure is read from its disks at each call; which disks these are is found once, by LVM.
    private static readonly ConcurrentDictionary<string, Known> KnownGroups = new(StringComparer.Ordinal);
    private static readonly TimeSpan ReadLimit = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan WriteLimit = TimeSpan.FromMinutes(5);

    // No volume is looked into for volume groups of its own; the archive keeps the last twenty states and no more.
    private const string Settings = "global{use_lvmpolld=0} activation{retry_deactivation=1 monitoring=1 $} backup{backup=1 archive=1 retain_min=20 retain_days=0} ";

    /// <summary>Part of LVM's metadata area that stays free for removals and repair.</summary>
    public const double LeastMetadata = 0.10;

    private string Key => $"{group}/{poolId}";

    /// <summary>The volume group; null where there is none, or only one of that name that is another pool's.</summary>
    /// <exception cref="BlockStorageException">ToolFailed, ToolMissing, ToolTimeout; Conflict for two of one name.</exception>
    public async Task<LvmGroup?> ReadAsync(IWorkSink sink, CancellationToken cancel, bool watch = false)
    {
        if (KnownGroups.TryGetValue(Key, out var before))
        {
            if ((!watch || before.IsWatched) && LvmMetadata.ReadLocked(group, before.Disks, before.State) is { } state && Choose(new LvmReport([state.Group], [])) is { } current)
            {
                KnownGroups[Key] = before with { MetadataLeft = current.MetadataLeft, State = state };
                return watch ? Watched(current) : current;
            }
            var known = Choose(await ReportAsync(before.Disks, sink, cancel, watch).ConfigureAwait(false));
            if (known is { MissingDisks: 0 })
            {
                KnownGroups[Key] = Know(before, known, watch);
                return known;
            }
            // Disks may have got other names.
            KnownGroups.TryRemove(Key, out _);
        }
        var found = Choose(await ReportAsync(null, sink, cancel, watch).ConfigureAwait(false));
        if (found is not null)
            KnownGroups[Key] = Know(new Known([.. found.Disks.Where(disk => disk.IsThere).Select(disk => disk.Path)], 0), found, watch);
        return found;
    }

    /// <summary>All that LVM sees on this machine, volumes of ours left out.</summary>
    public Task<LvmReport> ReportAllAsync(IWorkSink sink, CancellationToken cancel) => ReportAsync(null, sink, cancel);

    /// <summary>Runs a command that changes something and must succeed.</summary>
    /// <exception cref="BlockStorageException">InsufficientSpace, DeviceInUse, ToolFailed.</exception>
    public async Task RunAsync(string program, IReadOnlyList<string> arguments, IWorkSink sink, CancellationToken cancel)
    {
        if (!KnownGroups.TryGetValue(Key, out var known))
        {
            await ReadAsync(sink, cancel).ConfigureAwait(false);
            known = KnownGroups.GetValueOrDefault(Key) ?? throw new BlockStorageException(BlockErrors.PoolUnavailable,
                $"There is no volume group '{group}' of this pool.", group);
        }
        // Full metadata is a wall that stops removals too.
        if (program == "lvcreate" && known.MetadataLeft < LeastMetadata)
            throw new BlockStorageException(BlockErrors.InsufficientSpace,
                $"LVM's metadata of volume group '{group}' is full to {100 - known.MetadataLeft * 100:0} %: it takes no more volumes.", group,
                "Remove volumes or snapshots, or make another pool");
        await RunOnAsync(known.Disks, program, arguments, sink, cancel, program == "lvcreate" ? Threshold() : "").ConfigureAwait(false);
    }

    /// <summary>Runs a command that changes something on the given disks and must succeed.</summary>
    public async Task RunOnAsync(
        IReadOnlyList<string> disks, string program, IReadOnlyList<string> arguments, IWorkSink sink, CancellationToken cancel, string activation = "")
    {
        var result = await runner.RunAsync(
            new Command(program, ["--config", Config(disks, activation), .. arguments], WriteLimit), sink, cancel).ConfigureAwait(false);
        if (result.ExitCode != 0)
            throw Failure(program, result);
    }

    /// <summary>Options of a command on this group, which has been read before, after which disks may forget what is removed.</summary>
    public IReadOnlyList<string> OptionsThatDiscard() => ["--config", Config(KnownGroups[Key].Disks, discard: true)];

    /// <summary>Forgets which disks these are.</summary>
    public void Forget() => KnownGroups.TryRemove(Key, out _);

    private async Task<LvmReport> ReportAsync(IReadOnlyList<string>? disks, IWorkSink sink, CancellationToken cancel, bool watch = false)
    {
        var arguments = LvmReport.Arguments(watch);
        // A reading LVM that died or garbled its answer is asked once more: LP 1901783, 1932188.
        for (var attempt = 1; ; attempt++)
        {
            var result = await runner.RunAsync(new Command("lvm",
                [arguments[0], "--config", Config(disks), .. arguments.Skip(1)], ReadLimit, Mutates: false),
                sink, cancel).ConfigureAwait(false);
            try
            {
                if (result.ExitCode == 0)
                    return LvmReport.Parse(result.Output);
                if (attempt == 2 || !Died(result))
                    throw Failure("lvm fullreport", result);
            }
            catch (FormatException error) when (attempt == 2)
            {
                throw new BlockStorageException(BlockErrors.ToolFailed, $"What 'lvm fullreport' says cannot be read: {error.Message}", group, cause: error);
            }
            catch (FormatException)
            {
                sink.Verbose("What 'lvm fullreport' says cannot be read; asking again.");
            }
        }
    }

    private LvmGroup? Choose(LvmReport report)
    {
        // A guest on a disk of this machine may have a group of the same name: the tag decides.
        var named = report.Groups.Where(found => found.Name == group).ToList();
        var ours = named.Where(found => LvmTags.PoolOf(found.Tags) == poolId).ToList();
        return (ours.Count > 0 ? ours : named) switch
        {
            [] => null,
            [var one] => one,
            _ => throw new BlockStorageException(BlockErrors.Conflict, $"There are two volume groups '{group}' on this machine.", group,
                $"vgs -o vg_name,vg_uuid,pv_name '{group}'"),
        };
    }

    private static string Config(IReadOnlyList<string>? disks, string activation = "", bool discard = false) =>
        Settings.Replace("$", activation, StringComparison.Ordinal) + Devices(disks, discard);

    // Where a pool cannot grow LVM refuses new volumes from the mark on from which it should; ours is higher. Said only where it
    // matters, for the kernel's mark that wakes dmeventd moves with it.
    private string Threshold() => ThinPool.Find(group) is { } thin && Math.Max(thin.DataUsed, thin.MetadataUsed) * 100 >= PoolWatcher.GrowFrom - 1
        ? string.Create(CultureInfo.InvariantCulture, $"thin_pool_autoextend_threshold={ThinPool.DataLimit * 100:0}") : "";

    private static string Devices(IReadOnlyList<string>? disks, bool discard)
    {
        var own = "devices{scan_lvs=0 hints=\"none\"" + (discard ? " issue_discards=1" : "");
        return disks is null ? own + "}" : $"{own} filter=[{string.Concat(disks.Select(disk => $"\"a|^{Escaped(disk)}$|\","))}\"r|.*|\"]}}";
    }

    // LVM's patterns know few signs; names of devices have none of the others.
    private static string Escaped(string path) => path.All(c => char.IsAsciiLetterOrDigit(c) || c is '/' or '-' or '_' or '.' or ':' or '+')
        ? path.Replace(".", "\\.", StringComparison.Ordinal).Replace("+", "\\+", StringComparison.Ordinal)
        : throw new BlockStorageException(BlockErrors.InvalidPath, $"LVM cannot be told of a disk named '{path}'.", path);

    // A signal ends as 128 and its number, or as setsid tells it.
    private static bool Died(CommandResult result) =>
        result.ExitCode > 128 || result.Error.Contains("did not exit normally", StringComparison.Ordinal);

    private BlockStorageException Failure(string program, CommandResult result)
    {
        // Under LC_ALL=C these words are LVM's own.
        var said = result.Error.Trim() is { Length: > 0 } error ? error : result.Output.Trim();
        bool Says(params string[] words) => words.Any(word => said.Contains(word, StringComparison.OrdinalIgnoreCase));
        var kind = Says("insufficient free space", "insufficient suitable", "free extents", "free space", "out of data space", "reached threshold") ? BlockErrors.InsufficientSpace
            : Says(" in use", "is used by", "device or resource busy") ? BlockErrors.DeviceInUse
            : Says("volume group \"" + group + "\" not found", "pvs are missing", "missing physical volume", "devices missing") ? BlockErrors.PoolUnavailable
            : BlockErrors.ToolFailed;
        return new BlockStorageException(kind,
            $"'{program}' ended with exit code {result.ExitCode}: {(said.Length > 600 ? said[^600..] : said)}", group);
    }

    private static Known Know(Known before, LvmGroup group, bool watch) => before with
    {
        MetadataLeft = group.MetadataLeft,
        Watcher = watch && group.ThinPool() is { IsWatched: true } ? PoolWatcher.Process : watch ? "" : before.Watcher,
        WatchedAt = Environment.TickCount64,
    };

    private static LvmGroup Watched(LvmGroup group) => group with
    {
        Volumes = [.. group.Volumes.Select(volume => volume.Name == LvmNames.Pool ? volume with { IsWatched = true } : volume)],
    };

    /// <param name="Disks">Paths of its disks.</param>
    /// <param name="MetadataLeft">Part of LVM's metadata area that is free.</param>
    /// <param name="State">What was read from the disks, and from where.</param>
    /// <param name="Watcher">The dmeventd that watched it when LVM was asked last, or empty.</param>
    /// <param name="WatchedAt">When that was.</param>
    private sealed record Known(IReadOnlyList<string> Disks, double MetadataLeft, LvmState? State = null, string Watcher = "", long WatchedAt = 0)
    {
        private const long BelievedFor = 60_000;

        /// <summary>Asking takes a program: what was true a moment ago, of a dmeventd that lives, is believed.</summary>
        public bool IsWatched => Watcher.Length > 0 && Environment.TickCount64 - WatchedAt < BelievedFor && Watcher == PoolWatcher.Process;
    }
}
