using System.Globalization;

namespace BlockStorage.Engine.Volumes.Lvm;

/// <summary>How long the kernel makes writers of a full thin pool wait that queues them (dm-thin's no_space_timeout).</summary>
internal static class FullPools
{
    private const string Parameter = "/sys/module/dm_thin_pool/parameters/no_space_timeout";

    // The kernel's own, which counts until the module is there.
    private const int Default = 60;

    /// <summary>Seconds; 0 is for ever.</summary>
    public static int WaitSeconds => System.IO.File.Exists(Parameter)
        && int.TryParse(System.IO.File.ReadAllText(Parameter), CultureInfo.InvariantCulture, out var seconds) ? seconds : Default;

    /// <summary>Refuses to let writers wait for ever: they could not even be killed.</summary>
    /// <exception cref="BlockStorageException">NotSupported.</exception>
    public static void RequireBound(string pool, int seconds)
    {
        if (seconds == 0)
            throw new BlockStorageException(BlockErrors.NotSupported,
                "Writers of a full pool would wait for ever on this machine: no_space_timeout of dm-thin-pool is 0.", pool,
                $"echo {Default} > {Parameter}, or leave out -WhenFull queue");
    }
}
