using BlockStorage.Engine.Host;
using BlockStorage.Services;

namespace BlockStorage.Engine.Volumes.Lvm;

/// <summary>
/// A volume group with a thin pool. Thin volumes and snapshots are one LVM command each, which LVM makes whole or not at all; what
/// takes more is made under the name of a half-made thing, and the rename to its own name is the moment at which it exists.
/// </summary>
internal sealed partial class LvmVolumeDriver(PoolSpec pool, StateRoot root, ICommandRunner runner) : IVolumeDriver
{
    private const string Ok = "ok";
    private static readonly TimeSpan OpenersLeaveWithin = TimeSpan.FromSeconds(5);
    private readonly LvmTool _lvm = new(pool.Path, pool.Id, runner);
    private readonly DaemonLauncher _launcher = new(runner);

    /// <inheritdoc/>
    public DriverCapabilities Capabilities { get; } =
        new(Thin: true, Thick: true, Resize: true, Revert: true, SharesExtents: true, OnlineSnapshot: true) { SnapshotMethod = "thin", Queues = true };

    private string Group => pool.Path;

    /// <inheritdoc/>
    public async Task CreateAsync(ObjectIdentity identity, bool thick, IWorkSink sink, CancellationToken cancel)
    {
        var name = LvmNames.Volume(identity.Id);
        if (Mapped(name) is not null)
            return;
        if (thick)
        {
            await CreateThickAsync(identity, sink, cancel).ConfigureAwait(false);
            return;
        }
        RequireRoom();
        try
        {
            await _lvm.RunAsync("lvcreate", ["--yes", "--type", "thin", "--virtualsize", $"{identity.Size}b", "--name", name,
                .. LvmTags.Add(LvmTags.Of(identity)), "--thinpool", LvmNames.Pool, Group], sink, cancel).ConfigureAwait(false);
        }
        catch (BlockStorageException error) when (error.Error == BlockErrors.ToolFailed)
        {
            // It is there but not active: a kill came before LVM was through, or the machine has started anew.
            if ((await ReadAsync(sink, cancel).ConfigureAwait(false)).Find(identity.Id) is null)
                throw;
        }
    }

    /// <inheritdoc/>
    public async Task CreateFromAsync(ObjectIdentity identity, string sourceId, bool thick, IWorkSink sink, CancellationToken cancel)
    {
        var group = await ReadAsync(sink, cancel).ConfigureAwait(false);
        var source = Require(group, sourceId);
        if (identity.Size < source.Size)
            throw new BlockStorageException(BlockErrors.ShrinkNotAllowed,
                $"A copy of {ByteSize.Format(source.Size)} cannot have {ByteSize.Format(identity.Size)}.", identity.Name);
        if (group.Find(identity.Id) is not null)
            return;
        await CleanAsync(group, identity.Id, sink).ConfigureAwait(false);
        if (thick || !source.IsThin)
        {
            await CopyAsync(identity, source, thick, group, sink, cancel).ConfigureAwait(false);
            return;
        }
        RequireRoom();
        var name = LvmNames.Volume(identity.Id);
        var first = identity.Size == source.Size ? name : LvmNames.Half(identity.Id);
        await CloneAsync(source.Name, first, LvmTags.Of(identity), sink, cancel).ConfigureAwait(false);
        if (first == name)
            return;
        try
        {
            await _lvm.RunAsync("lvextend", ["--size", $"{identity.Size}b", $"{Group}/{first}"], sink, CancellationToken.None).ConfigureAwait(false);
            await RenameAsync(first, name, sink).ConfigureAwait(false);
        }
        catch
        {
            await RemoveAsync(first, sink).ConfigureAwait(false);
            throw;
        }
    }

    /// <inheritdoc/>
    public async Task DeleteAsync(string id, CancellationToken cancel)
    {
        var group = await ReadAsync(SilentSink.Instance, cancel).ConfigureAwait(false);
        LvmNames.Hex(id);
        await ResumeAsync(group.Volumes.Where(part => part.Id == id), SilentSink.Instance).ConfigureAwait(false);
        foreach (var part in group.Volumes.Where(part => part.Id == id && part is { Hidden: false, IsWiping: false }))
            await DropAsync(part, group, cancel).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public async Task CleanAsync(string id, CancellationToken cancel)
    {
        var group = await ReadAsync(SilentSink.Instance, cancel).ConfigureAwait(false);
        LvmNames.Hex(id);
        await CleanAsync(group, id, SilentSink.Instance).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public async Task ResizeAsync(string id, long size, bool thick, CancellationToken cancel)
    {
        var group = await ReadAsync(SilentSink.Instance, cancel).ConfigureAwait(false);
        var volume = Require(group, id);
        if (size < volume.Size)
            throw new BlockStorageException(BlockErrors.ShrinkNotAllowed,
                $"The volume has {ByteSize.Format(volume.Size)} and cannot become {ByteSize.Format(size)}.", id);
        if (size == volume.Size)
            return;
        if (!volume.IsThin)
        {
            await ExtendThickAsync(volume, size, group, cancel).ConfigureAwait(false);
            return;
        }
        RequireRoom();
        await _lvm.RunAsync("lvextend", ["--size", $"{size}b", $"{Group}/{volume.Name}"], SilentSink.Instance, cancel).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public async Task ShrinkAsync(string id, long size, IWorkSink sink, CancellationToken cancel)
    {
        var path = await ActivateAsync(id, cancel).ConfigureAwait(false);
        var group = await ReadAsync(sink, cancel).ConfigureAwait(false);
        var volume = Require(group, id);
        if (size >= volume.Size)
            return;
        if (group.Volumes.FirstOrDefault(other => other.IsWhole && (other.Origin == volume.Name || LvmTags.Read(other)?.OriginId == id)) is { } snapshot)
            throw new BlockStorageException(BlockErrors.SnapshotDependency, $"Snapshot {snapshot.Id} was taken of volume {id}.", id);
        await RequireUnheldAsync(volume.Name, cancel).ConfigureAwait(false);
        // Ours alone until it is cut: no mount and no target can come between the proof and that.
        using var device = Native.Open(path, OpenMode.ReadWrite | OpenMode.Exclusive);
        Native.FlushDevice(device, path);
        // What the pool maps nothing to reads as zeros.
        var end = volume.IsThin && Mapped(volume.Name) is { } thin ? Math.Min(volume.Size, MappedEnd(thin) ?? volume.Size) : volume.Size;
        await Task.Run(() => ZeroProof.Require(device, size, end, path, id, sink, cancel), cancel).ConfigureAwait(false);
        if (Mapped(volume.Name) is { OpenCount: > 1 } now)
            throw Held(volume.Name, now);
        await _lvm.RunAsync("lvreduce", ["--yes", "--size", $"{size}b", $"{Group}/{volume.Name}"], sink, CancellationToken.None).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public async Task<string> ActivateAsync(string id, CancellationToken cancel)
    {
        var name = new[] { LvmNames.Volume(id), LvmNames.Snapshot(id) }.FirstOrDefault(name => Mapped(name) is not null);
        if (name is null)
        {
            var group = await ReadAsync(SilentSink.Instance, cancel).ConfigureAwait(false);
            name = Require(group, id).Name;
            await SwitchOnAsync(name, SilentSink.Instance, cancel).ConfigureAwait(false);
        }
        else if (Mapped(name) is { Suspended: true })
        {
            await ResumeAsync((await ReadAsync(SilentSink.Instance, cancel).ConfigureAwait(false)).Volumes, SilentSink.Instance).ConfigureAwait(false);
        }
        var path = PathOf(name);
        // udev makes the name a moment after the kernel has made the device.
        if (!await Poll.UntilAsync(() => System.IO.File.Exists(path), TimeSpan.FromSeconds(10), cancel).ConfigureAwait(false))
            throw new BlockStorageException(BlockErrors.IoFailed, $"udev has made no '{path}'.", id, "udevadm trigger --settle --subsystem-match=block");
        return path;
    }

    /// <inheritdoc/>
    public async Task<long> GetCopyCostAsync(string id, CancellationToken cancel)
    {
        var source = Require(await ReadAsync(SilentSink.Instance, cancel).ConfigureAwait(false), id);
        return source.IsThin ? 0 : source.Size;
    }

    private async Task<LvmGroup> ReadAsync(IWorkSink sink, CancellationToken cancel)
    {
        var group = await _lvm.ReadAsync(sink, cancel).ConfigureAwait(false);
        if (WhyUnusable(group) is { } why)
            throw new BlockStorageException(BlockErrors.PoolUnavailable, $"Pool '{pool.Name}' cannot be used: {why}.", pool.Name);
        foreach (var left in group!.Volumes.Where(volume => volume.IsWiping))
        {
            try
            {
                await WipeAsync(left, sink).ConfigureAwait(false);
            }
            catch (BlockStorageException error)
            {
                // Its worker may be removing it this moment; where it is not, the next command tries again.
                sink.Verbose(error.Message);
            }
        }
        return group;
    }

    private LvmVolume Require(LvmGroup group, string id)
    {
        LvmNames.Hex(id);
        return group.Find(id) ?? throw new BlockStorageException(BlockErrors.VolumeDamaged, $"Pool '{pool.Name}' holds no data of {id}.", id);
    }

    // A snapshot keeps a mark that it is not activated at boot; what is made of it must not have it.
    private Task CloneAsync(string source, string name, IReadOnlyList<string> tags, IWorkSink sink, CancellationToken cancel) =>
        _lvm.RunAsync("lvcreate", ["--yes", "--snapshot", "--setactivationskip", "n", "--permission", "rw", "--activate", "y",
            "--name", name, .. LvmTags.Add(tags), $"{Group}/{source}"], sink, cancel);

    private Task SwitchOnAsync(string name, IWorkSink sink, CancellationToken cancel) =>
        _lvm.RunAsync("lvchange", ["--yes", "--activate", "y", "--ignoreactivationskip", $"{Group}/{name}"], sink, cancel);

    private Task RenameAsync(string from, string to, IWorkSink sink) =>
        _lvm.RunAsync("lvrename", [Group, from, to], sink, CancellationToken.None);

    private Task RemoveAsync(string name, IWorkSink sink) =>
        _lvm.RunAsync("lvremove", ["--yes", $"{Group}/{name}"], sink, CancellationToken.None);

    /// <summary>Refuses while anything has the device open; a target's backstore is an opener too.</summary>
    private async Task RequireUnheldAsync(string name, CancellationToken cancel)
    {
        // udev looks at a device for a moment after each writer has closed it.
        if (!await Poll.UntilAsync(() => Mapped(name) is not { OpenCount: > 0 }, OpenersLeaveWithin, cancel).ConfigureAwait(false)
            && Mapped(name) is { } device)
            throw Held(name, device);
    }

    private BlockStorageException Held(string name, MappedDevice device) => new(BlockErrors.DeviceInUse,
        $"'{PathOf(name)}' is in use: {DeviceHolders.Describe($"/dev/dm-{device.Number.Minor}")}.", pool.Name);

    private void RequireSpace(LvmGroup group, long bytes, string what, bool raw = false)
    {
        var free = raw ? group.Free : Usable(group);
        if (bytes > free)
            throw new BlockStorageException(BlockErrors.InsufficientSpace,
                $"{what} needs {ByteSize.Format(bytes)}; pool '{pool.Name}' has {ByteSize.Format(free)} free outside its thin pool." +
                (group.Wiping > 0 ? $" {ByteSize.Format(group.Wiping)} of removed volumes are being wiped and come back then." : ""), pool.Name);
    }

    private MappedDevice? Mapped(string name, bool table = false) => Native.FindMapped(LvmNames.Mapped(Group, name), table);

    private string PathOf(string name) => $"/dev/mapper/{LvmNames.Mapped(Group, name)}";
}
