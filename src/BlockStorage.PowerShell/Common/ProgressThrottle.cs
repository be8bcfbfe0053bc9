using System.Diagnostics;
using System.Management.Automation;
using BlockStorage.Services;

namespace BlockStorage.Commands;

/// <summary>Turns the progress of one piece of work into at most five records a second, closed by exactly one that says completed.</summary>
internal sealed class ProgressThrottle
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(200);
    private static int s_lastActivity;

    private readonly int _activity = Interlocked.Increment(ref s_lastActivity);
    private readonly Lock _gate = new();
    private string? _name;
    private long _last;

    /// <summary>The record to show now, or null when one was shown just before.</summary>
    public ProgressRecord? Next(WorkProgress progress)
    {
        lock (_gate)
        {
            if (_name is not null && Stopwatch.GetElapsedTime(_last) < Interval)
                return null;
            _name ??= progress.Activity.Length > 0 ? progress.Activity : "BlockStorage";
            _last = Stopwatch.GetTimestamp();
            var bytes = progress.BytesTotal > 0
                ? $" ({ByteSize.Format(progress.BytesDone)} of {ByteSize.Format(progress.BytesTotal)})" : "";
            var status = progress.Status.Length > 0 ? progress.Status + bytes : "Working" + bytes;
            return new ProgressRecord(_activity, _name, status) { PercentComplete = Math.Clamp(progress.Percent, -1, 100) };
        }
    }

    /// <summary>The closing record, or null when none was shown.</summary>
    public ProgressRecord? Complete()
    {
        lock (_gate)
        {
            if (_name is null)
                return null;
            var record = new ProgressRecord(_activity, _name, "Done") { RecordType = ProgressRecordType.Completed };
            _name = null;
            return record;
        }
    }
}
