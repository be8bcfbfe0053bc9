using BlockStorage.Engine.Catalog;

namespace BlockStorage.Engine.Scheduling;

/// <summary>Chooses the pool of a new volume: filters first, then the weigher.</summary>
internal static class PoolScheduler
{
    /// <summary>A pool with what it can take now.</summary>
    /// <param name="Pool">The pool.</param>
    /// <param name="Usable">It can be used now.</param>
    /// <param name="Capacity">What it can take.</param>
    /// <param name="Thin">It makes thin volumes.</param>
    /// <param name="Thick">It makes thick volumes.</param>
    internal sealed record Candidate(PoolRecord Pool, bool Usable, PoolCapacity Capacity, bool Thin, bool Thick);

    /// <summary>The enabled, usable, capable pool with most free space; equal ones by name, so that a plan equals its run.</summary>
    /// <exception cref="BlockStorageException">NoValidPool, with the reason for each pool.</exception>
    public static PoolRecord Choose(IReadOnlyList<Candidate> candidates, long size, string? provisioning)
    {
        var refused = new List<string>();
        var fitting = new List<Candidate>();
        foreach (var candidate in candidates)
        {
            var why = Refusal(candidate, size, provisioning ?? candidate.Pool.Provisioning);
            if (why is null)
                fitting.Add(candidate);
            else
                refused.Add($"{candidate.Pool.Name}: {why}");
        }
        return fitting
            .OrderByDescending(candidate => candidate.Capacity.Free)
            .ThenBy(candidate => candidate.Pool.Name, StringComparer.OrdinalIgnoreCase)
            .FirstOrDefault()?.Pool
            ?? throw new BlockStorageException(BlockErrors.NoValidPool,
                $"No pool can take {ByteSize.Format(size)}. {string.Join("; ", refused)}.");
    }

    private static string? Refusal(Candidate candidate, long size, string provisioning) => candidate switch
    {
        { Pool.State: not BlockStates.Enabled } => $"is {candidate.Pool.State}",
        { Usable: false } => "cannot be used now",
        { Thick: false } when provisioning == "thick" => "makes no thick volumes",
        { Thin: false } when provisioning == "thin" => "makes no thin volumes",
        _ when provisioning == "thick" && size > candidate.Capacity.ThickAvailable => $"has {ByteSize.Format(candidate.Capacity.ThickAvailable)} for thick volumes",
        _ when size > candidate.Capacity.ThinAvailable => $"has {ByteSize.Format(candidate.Capacity.ThinAvailable)} left to provision",
        _ => null,
    };
}
