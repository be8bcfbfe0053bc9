using BlockStorage.Engine.Operations;

namespace BlockStorage.Engine.Services;

/// <summary>A difference between the record and reality, and what sets it right.</summary>
/// <param name="Kind">Kind of thing.</param>
/// <param name="Name">Its name.</param>
/// <param name="Problem">What differs.</param>
/// <param name="Action">What sets it right.</param>
/// <param name="DoAsync">Sets it right and gives what else it did; null where only the operator can.</param>
internal sealed record Repair(
    string Kind, string Name, string Problem, string Action,
    Func<OperationContext, CancellationToken, Task<IReadOnlyList<BlockRepairAction>>>? DoAsync)
{
    /// <summary>Without anything else done.</summary>
    public static Func<OperationContext, CancellationToken, Task<IReadOnlyList<BlockRepairAction>>> Only(
        Func<OperationContext, CancellationToken, Task> work) => async (context, cancel) =>
    {
        await work(context, cancel).ConfigureAwait(false);
        return [];
    };

    /// <summary>The form that users see.</summary>
    public BlockRepairAction ToModel(string server) =>
        new() { Kind = Kind, Name = Name, Server = server, Problem = Problem, Action = Action, State = "planned" };
}
