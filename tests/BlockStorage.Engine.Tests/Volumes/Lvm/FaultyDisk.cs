using BlockStorage.Engine.Host;

namespace BlockStorage.Engine.Tests.Volumes.Lvm;

/// <summary>A disk of the lab behind a device that can be made to fail, to lie and to go away.</summary>
internal sealed class FaultyDisk(string disk)
{
    private const string Name = "fault-disk";

    // Not at the start of the disk, or LVM would find its mark twice.
    private const int Start = 2048;

    public string Path => $"/dev/mapper/{Name}";

    private static long Sectors => (4L << 30) / 512 - Start;

    private string Healthy => $"0 {Sectors} linear {disk} {Start}";

    public Task CreateAsync() => LvmPools.RunAsync("dmsetup", "create", Name, "--table", Healthy);

    public Task FailAsync() => LoadAsync($"0 {Sectors} error");

    public Task FailWritesAsync() => LoadAsync($"0 {Sectors} flakey {disk} {Start} 0 3600 1 error_writes");

    public Task HealAsync() => LoadAsync(Healthy);

    public Task TakeAwayAsync() => LvmPools.RunAsync("dmsetup", "remove", "--retry", Name);

    /// <summary>Takes it away, with what a failed test has left on it.</summary>
    public async Task RemoveAsync()
    {
        if (Native.FindMapped(Name) is null)
            return;
        await HealAsync();
        if ((await LvmPools.RunAsync("vgs", "--noheadings", "-o", "vg_name")).Contains(LvmPools.Group, StringComparison.Ordinal))
        {
            await LvmPools.RunAsync("vgremove", "--force", "--force", "--yes", LvmPools.Group);
            LvmPools.ClearProfiles();
        }
        await LvmPools.RunAsync("wipefs", "--all", Path);
        await TakeAwayAsync();
    }

    private static async Task LoadAsync(string table)
    {
        await LvmPools.RunAsync("dmsetup", "suspend", "--noflush", Name);
        await LvmPools.RunAsync("dmsetup", "load", Name, "--table", table);
        await LvmPools.RunAsync("dmsetup", "resume", Name);
    }
}
