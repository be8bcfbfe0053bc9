using System.Management.Automation;

namespace BlockStorage.Commands;

/// <summary>Changes that run behind the prompt: one child job an item, each with its own streams, none failing another.</summary>
public sealed class BlockStorageJob : Job
{
    // Enough to overlap waiting, few enough not to fight over the locks of one pool.
    private const int Turns = 4;

    private readonly IReadOnlyList<BlockStorageChildJob> _children;

    internal BlockStorageJob(string command, IReadOnlyList<BlockStorageChildJob> children) : base(command)
    {
        PSJobTypeName = nameof(BlockStorageJob);
        _children = children;
        foreach (var child in children)
            ChildJobs.Add(child);
    }

    /// <summary>The machines that do the work.</summary>
    public override string Location => string.Join(",", _children.Select(child => child.Location).Distinct());

    /// <summary>How many children have ended.</summary>
    public override string StatusMessage =>
        $"{_children.Count(child => child.JobStateInfo.State is JobState.Completed or JobState.Failed or JobState.Stopped)} of {_children.Count} done";

    /// <summary>Something is there for Receive-Job.</summary>
    public override bool HasMoreData => _children.Any(child => child.HasMoreData);

    /// <summary>Stops all children and waits until they have undone what they did.</summary>
    public override void StopJob()
    {
        Parallel.ForEach(_children, child => child.StopJob());
        _ended.Task.Wait();
    }

    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);

    internal void Start()
    {
        SetJobState(JobState.Running);
        _ = Task.Run(RunAsync);
    }

    private async Task RunAsync()
    {
        using var turns = new SemaphoreSlim(Turns);
        await Task.WhenAll(_children.Select(child => child.RunAsync(turns))).ConfigureAwait(false);
        var states = _children.Select(child => child.JobStateInfo.State).ToHashSet();
        SetJobState(states.Contains(JobState.Failed) ? JobState.Failed
            : states.Contains(JobState.Stopped) ? JobState.Stopped : JobState.Completed);
        _ended.SetResult();
    }
}
