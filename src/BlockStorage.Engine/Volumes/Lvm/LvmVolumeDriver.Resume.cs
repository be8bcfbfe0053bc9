using BlockStorage.Engine.Host;
using BlockStorage.Services;

namespace BlockStorage.Engine.Volumes.Lvm;

/// <summary>
/// Devices that a killed LVM left suspended: whoever reads or writes them waits, for ever. To load and resume them again from LVM's
/// metadata brings them to what was written last, be that before or after the change that was killed.
/// </summary>
internal sealed partial class LvmVolumeDriver
{
    // LVM at work suspends for an instant, too.
    private static readonly TimeSpan SuspendedFor = TimeSpan.FromSeconds(1);

    /// <summary>Resumes what is suspended of our own.</summary>
    private async Task ResumeAsync(IEnumerable<LvmVolume> volumes, IWorkSink sink)
    {
        foreach (var volume in volumes.Where(volume => !volume.Hidden && (volume.Kind != BackendKind.Foreign || volume.Name == LvmNames.Pool)))
        {
            string? Suspended() => Layers(volume.Name).FirstOrDefault(device => Native.FindMapped(device) is { Suspended: true });
            if (await Poll.UntilAsync(() => Suspended() is null, SuspendedFor, CancellationToken.None).ConfigureAwait(false))
                continue;
            sink.Verbose($"'{Suspended()}' is suspended.");
            // LVM's own lock makes this wait for another command at work.
            await RefreshAsync(volume.Name, sink).ConfigureAwait(false);
            if (Suspended() is { } still)
                throw new BlockStorageException(BlockErrors.DeviceInUse, $"'{still}' is suspended and LVM does not resume it.", pool.Name, $"dmsetup resume '{still}'");
        }
    }

    private Task RefreshAsync(string name, IWorkSink sink) =>
        _lvm.RunAsync("lvchange", ["--refresh", $"{Group}/{name}"], sink, CancellationToken.None);

    // What LVM puts below a volume, an origin, a copy-on-write snapshot and a thin pool.
    private IEnumerable<string> Layers(string name)
    {
        var mapped = LvmNames.Mapped(Group, name);
        return name == LvmNames.Pool ? [mapped, mapped + "-tpool", mapped + "_tdata", mapped + "_tmeta"] : [mapped, mapped + "-real", mapped + "-cow"];
    }
}
