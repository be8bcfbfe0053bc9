using System.Collections.Concurrent;
using BlockStorage.Engine.Host;
using BlockStorage.Services;

namespace BlockStorage.Engine.Volumes.Lvm;

/// <summary>
/// LVM's commands for one volume group. Each sees the disks of that group only and keeps the settings of the host, but for what is
/// said on its command line. LVM's own lock makes one of two writers wait.
/// </summary>
internal sealed class LvmTool(string group, string poolId, ICommandRunner runner)
{
    // Structure is read from disk at each call; which disks these are is found once by looking at all.
    private static readonly ConcurrentDictionary<string, Known> KnownGroups = new(StringComparer.Ordinal);
    private static readonly TimeSpan ReadLimit = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan WriteLimit = TimeSpan.FromMinutes(5);

    // No volume is looked into for volume groups of its own; the archive keeps the last twenty states and no more.
    private const string Settings = "global{use_lvmpolld=0} activation{retry_deactivation=1} backup{backup=1 archive=1 retain_min=20 retain_days=0} ";

    /// <summary>Part of LVM's metadata area that stays free for removals and repair.</summary>
    public const double LeastMetadata = 0.10;

    private string Key => $"{group}/{poolId}";

    /// <summary>The volume group; null where there is none, or only one of that name that is another pool's.</summary>
    /// <exception cref="BlockStorageException">ToolFailed, ToolMissing, ToolTimeout; Conflict for two of one name.</exception>
    public async Task<LvmGroup?> ReadAsync(IWorkSink sink, CancellationToken cancel)
    {
        if (KnownGroups.TryGetValue(Key, out var before))
        {
            var known = Choose(await ReportAsync(before.Disks, sink, cancel).ConfigureAwait(false));
            if (known is { MissingDisks: 0 })
            {
                KnownGroups[Key] = before with { MetadataLeft = known.MetadataLeft };
                return known;
            }
            // Disks may have got other names.
            KnownGroups.TryRemove(Key, out _);
        }
        var found = Choose(await ReportAllAsync(sink, cancel).ConfigureAwait(false));
        if (found is not null)
            KnownGroups[Key] = new Known([.. found.Disks.Select(disk => disk.Path).Where(path => path.StartsWith('/'))], found.MetadataLeft);
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
        await RunOnAsync(known.Disks, program, arguments, sink, cancel).ConfigureAwait(false);
    }

    /// <summary>Runs a command that changes something on the given disks and must succeed.</summary>
    public async Task RunOnAsync(
        IReadOnlyList<string> disks, string program, IReadOnlyList<string> arguments, IWorkSink sink, CancellationToken cancel)
    {
        var result = await runner.RunAsync(
            new Command(program, ["--config", Settings + Devices(disks), .. arguments], WriteLimit), sink, cancel).ConfigureAwait(false);
        if (result.ExitCode != 0)
            throw Failure(program, result);
    }

    /// <summary>Options of a command on this group, which has been read before, after which disks may forget what is removed.</summary>
    public IReadOnlyList<string> OptionsThatDiscard() => ["--config", Settings + Devices(KnownGroups[Key].Disks, discard: true)];

    /// <summary>Forgets which disks these are.</summary>
    public void Forget() => KnownGroups.TryRemove(Key, out _);

    private async Task<LvmReport> ReportAsync(IReadOnlyList<string>? disks, IWorkSink sink, CancellationToken cancel)
    {
        // A reading LVM that died or garbled its answer is asked once more: LP 1901783, 1932188.
        for (var attempt = 1; ; attempt++)
        {
            var result = await runner.RunAsync(new Command("lvm",
                [LvmReport.Arguments[0], "--config", Settings + Devices(disks), .. LvmReport.Arguments.Skip(1)], ReadLimit, Mutates: false),
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

    private static string Devices(IReadOnlyList<string>? disks, bool discard = false)
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
        var kind = Says("insufficient free space", "insufficient suitable", "free extents", "free space", "out of data space") ? BlockErrors.InsufficientSpace
            : Says(" in use", "is used by", "device or resource busy") ? BlockErrors.DeviceInUse
            : Says("volume group \"" + group + "\" not found") ? BlockErrors.PoolUnavailable
            : BlockErrors.ToolFailed;
        return new BlockStorageException(kind,
            $"'{program}' ended with exit code {result.ExitCode}: {(said.Length > 600 ? said[^600..] : said)}", group);
    }

    private sealed record Known(IReadOnlyList<string> Disks, double MetadataLeft);
}
