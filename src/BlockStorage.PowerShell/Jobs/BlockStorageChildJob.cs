using System.Management.Automation;
using BlockStorage.Services;

namespace BlockStorage.Commands;

/// <summary>One item of a <see cref="BlockStorageJob"/>.</summary>
public sealed class BlockStorageChildJob : Job, IWorkSink
{
    private readonly CancellationTokenSource _stop = new();
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly ProgressThrottle _progress = new();
    private readonly Func<IWorkSink, CancellationToken, Task<object?>> _work;
    private readonly object? _target;
    private readonly string _commandType;
    private readonly string _location;

    internal BlockStorageChildJob(
        string command, string location, object? target, string commandType, Func<IWorkSink, CancellationToken, Task<object?>> work)
        : base(command, command)
    {
        PSJobTypeName = nameof(BlockStorageJob);
        _location = location;
        _target = target;
        _commandType = commandType;
        _work = work;
    }

    /// <summary>The machine that does the work.</summary>
    public override string Location => _location;

    /// <summary>What it does now.</summary>
    public override string StatusMessage => _status;

    private volatile string _status = "";

    /// <summary>The operation in the journal, once it is known: Get-BlockOperation -Id.</summary>
    public string OperationId { get; private set; } = "";

    /// <summary>Something is there for Receive-Job.</summary>
    public override bool HasMoreData =>
        Output.Count > 0 || Error.Count > 0 || Warning.Count > 0 || Verbose.Count > 0 || Progress.Count > 0;

    /// <summary>Stops it and waits until it has undone what it did.</summary>
    public override void StopJob()
    {
        _stop.Cancel();
        _ended.Task.Wait();
    }

    void IWorkSink.Verbose(string message) => Verbose.Add(new VerboseRecord(message));

    void IWorkSink.Warning(string message) => Warning.Add(new WarningRecord(message));

    void IWorkSink.Progress(WorkProgress progress)
    {
        _status = progress.Status;
        if (_progress.Next(progress) is { } record)
            Progress.Add(record);
    }

    /// <summary>Runs the item when its turn comes. Never throws: failures are records of this child.</summary>
    internal async Task RunAsync(SemaphoreSlim turns)
    {
        var state = JobState.Completed;
        try
        {
            await turns.WaitAsync(_stop.Token).ConfigureAwait(false);
            try
            {
                SetJobState(JobState.Running);
                Emit(await _work(this, _stop.Token).ConfigureAwait(false));
            }
            finally
            {
                turns.Release();
            }
        }
        catch (Exception error)
        {
            state = _stop.IsCancellationRequested ? JobState.Stopped : JobState.Failed;
            if (state == JobState.Failed)
                Report(ErrorRecords.Wrap(error));
        }
        if (_progress.Complete() is { } last)
            Progress.Add(last);
        _status = "";
        SetJobState(state);
        _ended.SetResult();
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            StopJob();
            _stop.Dispose();
        }
        base.Dispose(disposing);
    }

    private void Emit(object? output)
    {
        if (output is System.Collections.IEnumerable many and not string)
        {
            foreach (var item in many)
                Output.Add(PSObject.AsPSObject(item));
        }
        else if (output is not null)
        {
            Output.Add(PSObject.AsPSObject(output));
        }
    }

    private void Report(BlockStorageException error)
    {
        OperationId = error.OperationId;
        Error.Add(ErrorRecords.From(error, _target, _commandType));
    }
}
