using System.Diagnostics;
using System.Management.Automation;
using BlockStorage.Loading;
using BlockStorage.Services;

namespace BlockStorage.Commands;

/// <summary>Waits until operations, of any process, have ended, and emits them.</summary>
[Cmdlet(VerbsLifecycle.Wait, "BlockOperation", DefaultParameterSetName = ParameterSets.Object)]
[OutputType(typeof(BlockOperation))]
public sealed class WaitBlockOperationCommand : OperationCommand
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(200);

    /// <summary>Seconds to wait for each; without it as long as it takes.</summary>
    [Parameter]
    [ValidateRange(1, int.MaxValue)]
    public int? Timeout { get; set; }

    private protected override void Process(BlockOperation operation)
    {
        var query = new OperationQuery([operation.Id]);
        var start = Stopwatch.GetTimestamp();
        WriteObject(Run(async (sink, cancel) =>
        {
            var service = EngineBridge.Service;
            while (true)
            {
                // Its process may die while we wait: then it is finished or taken back here.
                await service.RecoverAsync(sink, cancel).ConfigureAwait(false);
                var now = (await service.GetOperationsAsync(query, cancel).ConfigureAwait(false)).FirstOrDefault()
                    ?? throw ObjectKind.Operation.Missing(operation.Id, "id");
                if (now.State != BlockStates.Running)
                    return now;
                if (Timeout is int limit && Stopwatch.GetElapsedTime(start).TotalSeconds >= limit)
                    throw new BlockStorageException(BlockErrors.ToolTimeout,
                        $"{now.Kind} of {now.Target} still runs after {limit} s.", now.Id, $"Get-BlockOperation -Id {now.Id}");
                await Task.Delay(Interval, cancel).ConfigureAwait(false);
            }
        }));
    }
}
