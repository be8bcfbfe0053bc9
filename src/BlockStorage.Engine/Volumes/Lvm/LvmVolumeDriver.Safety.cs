using System.Globalization;
using BlockStorage.Services;

namespace BlockStorage.Engine.Volumes.Lvm;

/// <summary>What keeps a thin pool from filling up, and what is told when it does.</summary>
internal sealed partial class LvmVolumeDriver
{
    private const int NamesShown = 10;
    private readonly PoolWatcher _watcher = new(pool.Id, runner);

    /// <summary>Has dmeventd watch the pool, and proves it.</summary>
    private async Task WatchAsync(IWorkSink sink, CancellationToken cancel)
    {
        string? why;
        try
        {
            why = await _watcher.PrepareAsync(cancel).ConfigureAwait(false);
            if (why is null && !await IsWatchedAsync(sink, cancel).ConfigureAwait(false))
            {
                await _lvm.RunAsync("lvchange", ["--metadataprofile", _watcher.Profile, "--monitor", "y", $"{Group}/{LvmNames.Pool}"],
                    sink, CancellationToken.None).ConfigureAwait(false);
                why = await IsWatchedAsync(sink, CancellationToken.None).ConfigureAwait(false) ? null : NotWatched;
            }
        }
        catch (BlockStorageException error)
        {
            // A pool that nobody watches works; its health says so.
            why = error.Message;
        }
        if (why is not null)
            sink.Warning($"Pool '{pool.Name}' does not grow by itself when it fills up: {why}");
    }

    private async Task<bool> IsWatchedAsync(IWorkSink sink, CancellationToken cancel) =>
        IsWatched(await _lvm.ReadAsync(sink, cancel, watch: true).ConfigureAwait(false));

    private bool IsWatched(LvmGroup? group) => group?.ThinPool() is { IsWatched: true } thin && thin.Profile == _watcher.Profile;

    private static string NotWatched => "dmeventd does not watch it: systemctl start lvm2-monitor; Repair-BlockStorage";

    /// <summary>Refuses to promise more of a pool that is nearly full.</summary>
    private void RequireRoom()
    {
        if (ThinPool.Find(Group) is { } thin && (thin.DataUsed >= ThinPool.DataLimit || thin.MetadataUsed >= ThinPool.MetadataLimit))
            throw new BlockStorageException(BlockErrors.InsufficientSpace, string.Create(CultureInfo.InvariantCulture,
                $"Pool '{pool.Name}' is nearly full: {thin.Figures}; nothing new from data {ThinPool.DataLimit * 100:0} % or metadata {ThinPool.MetadataLimit * 100:0} % on, and its disks have no room to grow it."),
                pool.Name, $"Remove volumes or snapshots (Get-BlockSnapshot -Pool '{pool.Name}'), or give it a disk: vgextend '{Group}' /dev/DISK");
    }

    /// <summary>What happens when the pool goes on filling up.</summary>
    private string Outlook(LvmGroup group, bool watched) => string.Create(CultureInfo.InvariantCulture,
        $"{(Usable(group) < PoolShape.Minimum ? "its disks have no room to grow it" : watched ? $"it grows by itself into {ByteSize.Format(Usable(group))}" : $"the next command grows it into {ByteSize.Format(Usable(group))}")}, nothing new is made from data {ThinPool.DataLimit * 100:0} % or metadata {ThinPool.MetadataLimit * 100:0} % on, and at 100 % writers {(pool.Queues ? $"wait up to {FullPools.WaitSeconds} s for it to grow" : "get errors")}");

    private static string Some(IReadOnlyList<string> names) =>
        string.Join(", ", names.Take(NamesShown)) + (names.Count > NamesShown ? $" and {names.Count - NamesShown} more" : "");

    /// <summary>Volumes whose writes may have been refused: all that were active while the pool was full.</summary>
    private string Writers(LvmGroup group)
    {
        var names = group.Volumes.Where(volume => volume is { IsThin: true, Kind: BackendKind.Volume, Hidden: false } && Mapped(volume.Name) is not null)
            .Select(volume => LvmTags.Read(volume)?.Name ?? volume.Name).Order(StringComparer.Ordinal).ToList();
        return names.Count == 0 ? "" : Some(names);
    }
}
