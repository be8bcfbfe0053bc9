using System.Collections.Concurrent;
using System.Diagnostics;
using System.Management.Automation;
using System.Runtime.ExceptionServices;
using BlockStorage.Services;

namespace BlockStorage.Commands;

/// <summary>
/// Runs asynchronous work for a cmdlet. The work tells what it does from any thread; the pipeline thread, the only one that may
/// write, shows it. The work always ends before Run does, so that nothing goes on behind the prompt.
/// </summary>
internal sealed class WorkPump(PSCmdlet cmdlet, CancellationTokenSource stop) : IWorkSink, IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(1);

    private readonly BlockingCollection<Action> _records = [];
    private readonly ProgressThrottle _progress = new();
    private volatile string _step = "the running step";

    /// <inheritdoc/>
    public void Verbose(string message) => Post(() => cmdlet.WriteVerbose(message));

    /// <inheritdoc/>
    public void Warning(string message) => Post(() => cmdlet.WriteWarning(message));

    /// <inheritdoc/>
    public void Progress(WorkProgress progress)
    {
        if (progress.Status.Length > 0)
            _step = progress.Status;
        if (_progress.Next(progress) is { } record)
            Post(() => cmdlet.WriteProgress(record));
    }

    /// <summary>Runs the work to its end and gives its result.</summary>
    /// <exception cref="PipelineStoppedException">The user stopped it.</exception>
    /// <exception cref="BlockStorageException">It failed.</exception>
    public T Run<T>(Func<IWorkSink, CancellationToken, Task<T>> work)
    {
        var task = Task.Run(() => RunToSentinelAsync(work));
        var refused = Show(task);
        if (_progress.Complete() is { } last && refused is null)
            cmdlet.WriteProgress(last);
        refused?.Throw();
        try
        {
            return task.GetAwaiter().GetResult();
        }
        catch (Exception error) when (stop.IsCancellationRequested && IsCancellation(error))
        {
            throw new PipelineStoppedException();
        }
        catch (Exception error)
        {
            throw ErrorRecords.Wrap(error);
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _records.Dispose();

    private async Task<T> RunToSentinelAsync<T>(Func<IWorkSink, CancellationToken, Task<T>> work)
    {
        try
        {
            return await work(this, stop.Token).ConfigureAwait(false);
        }
        finally
        {
            _records.CompleteAdding();
        }
    }

    // Shows records until the sentinel; gives what the pipeline threw when it refused one (it is stopping, or -WarningAction Stop).
    private ExceptionDispatchInfo? Show(Task task)
    {
        ExceptionDispatchInfo? refused = null;
        long stopping = 0;
        while (!_records.IsCompleted)
        {
            if (_records.TryTake(out var record, millisecondsTimeout: 100) && refused is null)
            {
                try
                {
                    record();
                }
                catch (Exception error)
                {
                    refused = ExceptionDispatchInfo.Capture(error);
                    stop.Cancel();
                }
            }
            if (stop.IsCancellationRequested)
                stopping = TellWhyWaiting(stopping);
        }
        Task.WhenAny(task).Wait();
        return refused;
    }

    // WriteWarning throws in a stopping pipeline; the host's own line does not.
    private long TellWhyWaiting(long stopping)
    {
        if (stopping == 0)
            return Stopwatch.GetTimestamp();
        if (stopping > 0 && Stopwatch.GetElapsedTime(stopping) > Patience)
        {
            cmdlet.Host.UI.WriteWarningLine($"Stopping; waiting for this to finish: {_step}");
            return -1;
        }
        return stopping;
    }

    private void Post(Action record)
    {
        try
        {
            _records.Add(record);
        }
        catch (InvalidOperationException)
        {
            // A straggler of work that has ended; nobody reads any more.
        }
    }

    private static bool IsCancellation(Exception error) =>
        error is OperationCanceledException || error is BlockStorageException { ErrorId: nameof(BlockErrors.Canceled) };
}
