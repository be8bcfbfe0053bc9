using BlockStorage.Engine.Host;

namespace BlockStorage.Engine.Targets.Tgt;

/// <summary>Logical units of tgtd.</summary>
internal sealed class TgtUnits(TgtDaemon daemon)
{
    private const string Vendor = "BLKSTORE";
    private const string Product = "VIRTUAL-DISK";
    private static readonly TimeSpan RestLimit = TimeSpan.FromSeconds(5);

    /// <summary>Makes the target publish exactly this, changing only what differs.</summary>
    public async Task ApplyAsync(TgtTarget target, LunSpec? wanted, CancellationToken cancel)
    {
        foreach (var extra in target.Units.Where(unit => unit.Lun != 0 && unit.Lun != wanted?.Number).ToArray())
            await RemoveAsync(target.Tid, target.Iqn, extra.Lun, cancel).ConfigureAwait(false);
        if (wanted is null)
            return;
        Check(wanted);
        var unit = target.Units.Find(each => each.Lun == wanted.Number);
        if (unit is null)
        {
            // Made without a file it takes no command until the one update that gives it identity, protection and file.
            await daemon.Client.RunAsync(new TgtRequest(TgtMode.LogicalUnit, TgtOperation.New, target.Tid, wanted.Number, "bstype=rdwr"), target.Iqn, cancel).ConfigureAwait(false);
            try
            {
                await UpdateAsync(target.Tid, target.Iqn, wanted, $"{Identity(wanted)},{Access(wanted)},removable=0,path={wanted.Path}", cancel).ConfigureAwait(false);
            }
            catch
            {
                await RemoveAsync(target.Tid, target.Iqn, wanted.Number, CancellationToken.None).ConfigureAwait(false);
                throw;
            }
            return;
        }
        List<string> changes = [];
        if (unit.Serial != wanted.Serial || unit.ScsiId != wanted.Serial)
            changes.Add(Identity(wanted));
        if (unit.ReadOnly != wanted.ReadOnly || unit.Thin == wanted.ReadOnly)
            changes.Add(Access(wanted));
        if (unit.Path != wanted.Path || !unit.Online)
            changes.Add(Reopen(wanted));
        if (changes.Count > 0)
            await UpdateAsync(target.Tid, target.Iqn, wanted, string.Join(',', changes), cancel).ConfigureAwait(false);
    }

    /// <summary>
    /// Shows the size that the file has now. tgtd opens the file again within one request: no command finds the unit
    /// gone, and only one that is being executed in that very instant could fail.
    /// </summary>
    public async Task ResizeAsync(TgtTarget target, LunSpec wanted, CancellationToken cancel)
    {
        Check(wanted);
        var statistics = new TgtRequest(TgtMode.LogicalUnit, TgtOperation.Statistics, target.Tid, wanted.Number);
        var until = DateTime.UtcNow + RestLimit;
        while (TgtReport.IsBusy(await daemon.Client.RunAsync(statistics, target.Iqn, cancel).ConfigureAwait(false)) && DateTime.UtcNow < until)
            await Task.Delay(1, cancel).ConfigureAwait(false);
        await UpdateAsync(target.Tid, target.Iqn, wanted, Reopen(wanted), cancel).ConfigureAwait(false);
    }

    /// <summary>Removes a logical unit, waiting for the commands in it. Succeeds when absent.</summary>
    public async Task RemoveAsync(int tid, string iqn, int lun, CancellationToken cancel)
    {
        var request = new TgtRequest(TgtMode.LogicalUnit, TgtOperation.Delete, tid, lun);
        var until = DateTime.UtcNow + RestLimit;
        while (DateTime.UtcNow < until)
        {
            if (await daemon.Client.TryAsync(request, iqn, cancel, TgtError.NoLun, TgtError.NoTarget, TgtError.LunActive).ConfigureAwait(false) != TgtError.LunActive)
                return;
            await Task.Delay(2, cancel).ConfigureAwait(false);
        }
        await daemon.Client.TryAsync(request, iqn, cancel, TgtError.NoLun, TgtError.NoTarget).ConfigureAwait(false);
    }

    /// <summary>A unit as reports show it.</summary>
    public static LiveLun Describe(TgtUnit unit) =>
        new(unit.Lun, unit.Path, Size(unit), unit.ReadOnly, unit.Serial, unit.Online && unit.Path.Length > 0);

    private async Task UpdateAsync(int tid, string iqn, LunSpec wanted, string parameters, CancellationToken cancel)
    {
        var request = new TgtRequest(TgtMode.LogicalUnit, TgtOperation.Update, tid, wanted.Number, parameters);
        if (await daemon.Client.TryAsync(request, iqn, cancel, TgtError.InvalidRequest).ConfigureAwait(false) == TgtError.InvalidRequest)
            throw new BlockStorageException(BlockErrors.IoFailed, $"tgtd cannot open '{wanted.Path}': {daemon.LastWords()}", iqn);
    }

    private static void Check(LunSpec wanted)
    {
        if (wanted.Path.Length > 1000 || wanted.Path.Any(c => c == ',' || char.IsControl(c)))
            throw new BlockStorageException(BlockErrors.InvalidPath, $"tgtd cannot publish '{wanted.Path}': the path is too long or has a comma or control character.", wanted.Path);
        if (wanted.Serial.Length is 0 or > 36 || !wanted.Serial.All(char.IsAsciiLetterOrDigit))
            throw new BlockStorageException(BlockErrors.InvalidArgument, $"'{wanted.Serial}' is no serial number of 1 to 36 letters and digits.", wanted.Path);
        if (Native.Stat(wanted.Path) is null)
            throw new BlockStorageException(BlockErrors.VolumeDamaged, $"There is no '{wanted.Path}' to publish.", wanted.Path);
    }

    private static string Identity(LunSpec wanted) =>
        $"scsi_sn={wanted.Serial},scsi_id={wanted.Serial},vendor_id={Vendor},product_id={Product}";

    private static string Access(LunSpec wanted) =>
        wanted.ReadOnly ? "readonly=1,thin_provisioning=0" : "readonly=0,thin_provisioning=1";

    // The path comes last: it brings the unit online again and its result is the result of the request.
    private static string Reopen(LunSpec wanted) => $"online=0,path={wanted.Path}";

    // tgtd tells megabytes only; where they are those of the file the size is the file's, else it is as old as tgtd's.
    private static long Size(TgtUnit unit)
    {
        if (unit.Path.Length == 0)
            return 0;
        var size = Native.Stat(unit.Path) switch
        {
            { IsBlockDevice: true } => DeviceSize(unit.Path),
            { } status => status.Size,
            null => -1,
        };
        return size >= 0 && TgtReport.Megabytes(size) == unit.Megabytes ? size : unit.Megabytes * 1_000_000;
    }

    private static long DeviceSize(string path)
    {
        using var device = Native.Open(path, OpenMode.ReadOnly);
        return Native.DeviceSize(device, path);
    }
}
