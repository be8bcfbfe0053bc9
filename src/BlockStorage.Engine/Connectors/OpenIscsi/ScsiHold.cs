using BlockStorage.Engine.Host;

namespace BlockStorage.Engine.Connectors.OpenIscsi;

/// <summary>
/// Holds the I/O of a session. The state in which the kernel repairs a SCSI host sends nothing and fails nothing, and
/// sysfs lets root set it; a device itself can only be made to run or to fail.
/// </summary>
internal sealed class ScsiHold(ConnectionFolder folder, ICommandRunner runner)
{
    private const string Held = "recovery";
    private const string Running = "running";
    private static readonly TimeSpan DrainLimit = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan ToolLimit = TimeSpan.FromSeconds(15);
    private static readonly TimeSpan NodeLimit = TimeSpan.FromSeconds(5);

    // Tells our hold from a repair by the kernel itself.
    private string Mark => folder.File("held");

    /// <summary>I/O is held by us.</summary>
    public bool Active => File.Exists(Mark);

    /// <summary>Holds I/O and waits until nothing is on its way.</summary>
    /// <exception cref="BlockStorageException">ToolTimeout, NotSupported.</exception>
    public async Task PauseAsync(IscsiLink link, CancellationToken cancel)
    {
        // Who opens the disk meanwhile sleeps until woken, which only its generic device can do then.
        if (link.Disks.Any(disk => Generic(disk) is null))
            await runner.RunAsync(new Command("modprobe", ["sg"], ToolLimit), SilentSink.Instance, cancel).ConfigureAwait(false);
        if (!await Poll.UntilAsync(() => link.Disks.All(disk => Generic(disk) is not null), NodeLimit, cancel).ConfigureAwait(false))
            throw new BlockStorageException(BlockErrors.NotSupported, $"I/O of {link.Device} cannot be held: the kernel has no generic SCSI device for it.", link.Device, "modprobe sg");
        cancel.ThrowIfCancellationRequested();
        AtomicFile.Write(Mark, []);
        try
        {
            foreach (var session in link.Sessions.Where(session => session.Alive))
                SysAttribute.Write($"{session.HostFolder}/state", Held);
            if (!await Poll.UntilAsync(() => link.Sessions.All(session => SysAttribute.Read($"{session.HostFolder}/host_busy") is "0" or ""), DrainLimit, cancel).ConfigureAwait(false))
                throw new BlockStorageException(BlockErrors.ToolTimeout, $"Data on its way from {link.Device} does not arrive at the target.", link.Device);
        }
        catch
        {
            Resume(link);
            throw;
        }
    }

    /// <summary>Lets I/O go on. Nothing to do when we hold none.</summary>
    public void Resume(IscsiLink link)
    {
        if (!Active)
            return;
        foreach (var session in link.Sessions.Where(session => session.Exists))
        {
            if (SysAttribute.Read($"{session.HostFolder}/state") == Held)
                SysAttribute.Write($"{session.HostFolder}/state", Running);
            foreach (var generic in session.Disks().Select(Generic).OfType<string>())
            {
                // Opening the disk would wait behind the one that is to be woken.
                using var handle = Native.Open(generic, OpenMode.ReadWrite | OpenMode.NonBlocking);
                Native.WakeScsiHost(handle, generic);
            }
        }
        Native.Unlink(Mark);
    }

    private static string? Generic(ScsiDisk disk)
    {
        var list = $"{disk.Folder}/scsi_generic";
        return Directory.Exists(list) && Directory.EnumerateDirectories(list).FirstOrDefault() is { } entry
            && $"/dev/{Path.GetFileName(entry)}" is var node && File.Exists(node) ? node : null;
    }
}
