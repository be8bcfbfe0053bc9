namespace BlockStorage.Services;

/// <summary>Where running work tells what it does. Called from any thread, in order for one operation.</summary>
public interface IWorkSink
{
    /// <summary>A line for people who want to see each command.</summary>
    /// <param name="message">Never holds a secret.</param>
    void Verbose(string message);

    /// <summary>A risk that the user should know before it bites.</summary>
    /// <param name="message">The text.</param>
    void Warning(string message);

    /// <summary>How far it is.</summary>
    /// <param name="progress">State of the work.</param>
    void Progress(WorkProgress progress);
}

/// <summary>How far a piece of work is.</summary>
/// <param name="Activity">The operation.</param>
/// <param name="Status">The step.</param>
/// <param name="Percent">0 to 100, or -1 where unknown.</param>
/// <param name="BytesDone">Bytes done, or 0 where bytes do not count.</param>
/// <param name="BytesTotal">Bytes in all, or 0 where bytes do not count.</param>
public sealed record WorkProgress(string Activity, string Status, int Percent, long BytesDone = 0, long BytesTotal = 0);

/// <summary>One planned step: what and on what, with the figures.</summary>
/// <param name="Text">Such as "Allocate 10 GiB thin in pool default".</param>
public sealed record PlanStep(string Text);

/// <summary>What a change would do. Nothing has happened yet; running it does exactly these steps.</summary>
public abstract class BlockPlan
{
    /// <summary>What is done, such as "Create volume".</summary>
    public required string Action { get; init; }

    /// <summary>On what, with the figures, such as "db1 (10 GiB, thin) in pool default".</summary>
    public required string Target { get; init; }

    /// <summary>The steps in order; empty when there is nothing left to do.</summary>
    public required IReadOnlyList<PlanStep> Steps { get; init; }

    /// <summary>Risks to tell before it runs.</summary>
    public IReadOnlyList<string> Warnings { get; init; } = [];

    /// <summary>Action, target and numbered steps in one text.</summary>
    /// <returns>One line for the action and one for each step.</returns>
    public string Describe() => Steps.Count == 0
        ? $"{Action}: {Target} (nothing to do)"
        : string.Join(Environment.NewLine,
            Steps.Select((step, index) => $"  {index + 1}. {step.Text}").Prepend($"{Action}: {Target}"));
}

/// <summary>A plan whose run gives a result.</summary>
/// <typeparam name="T">What the run gives.</typeparam>
public sealed class BlockPlan<T> : BlockPlan
{
    /// <summary>Runs the plan.</summary>
    public required Func<IWorkSink, CancellationToken, Task<T>> RunAsync { get; init; }
}
