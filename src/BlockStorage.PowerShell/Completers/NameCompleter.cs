using System.Collections;
using System.Collections.Concurrent;
using System.Management.Automation;
using System.Management.Automation.Language;
using BlockStorage.Loading;
using BlockStorage.Services;

namespace BlockStorage.Commands;

/// <summary>
/// Completes the names of things. It never throws, never asks, never takes longer than its budget: a slow answer is kept for the
/// next Tab instead.
/// </summary>
internal abstract class NameCompleter : IArgumentCompleter
{
    private static readonly TimeSpan Budget = TimeSpan.FromMilliseconds(150);
    private static readonly TimeSpan Freshness = TimeSpan.FromSeconds(5);
    private static readonly ConcurrentDictionary<(Type, string), (long Time, Task<IReadOnlyList<Candidate>> Answer)> Cache = new();

    /// <summary>One name that fits.</summary>
    /// <param name="Text">The name.</param>
    /// <param name="ToolTip">Size and state.</param>
    /// <param name="Group">Pool or volume it belongs to; a sibling parameter that names another one hides it.</param>
    internal sealed record Candidate(string Text, string ToolTip, string Group = "");

    /// <summary>Parameter that narrows the choice, such as Pool for volumes; empty for none.</summary>
    protected virtual string GroupParameter => "";

    /// <summary>Everything that could be named.</summary>
    protected abstract Task<IReadOnlyList<Candidate>> ListAsync(IBlockStorageService service);

    /// <inheritdoc/>
    public IEnumerable<CompletionResult> CompleteArgument(
        string commandName, string parameterName, string wordToComplete, CommandAst commandAst, IDictionary fakeBoundParameters)
    {
        try
        {
            var word = (wordToComplete ?? "").Trim('\'', '"');
            var pattern = new WildcardPattern(word + "*", WildcardOptions.IgnoreCase);
            var group = GroupParameter.Length > 0 ? fakeBoundParameters?[GroupParameter]?.ToString() : null;
            return Candidates()
                .Where(candidate => pattern.IsMatch(candidate.Text)
                    && (group is null || string.Equals(candidate.Group, group, StringComparison.OrdinalIgnoreCase)))
                .Select(candidate => new CompletionResult(
                    candidate.Text, candidate.Text, CompletionResultType.ParameterValue,
                    candidate.ToolTip.Length > 0 ? candidate.ToolTip : candidate.Text))
                .ToArray();
        }
        catch (Exception)
        {
            return [];
        }
    }

    private IReadOnlyList<Candidate> Candidates()
    {
        var key = (GetType(), Environment.GetEnvironmentVariable("BLOCKSTORAGE_HOME") ?? "");
        var now = Environment.TickCount64;
        if (!Cache.TryGetValue(key, out var entry) || now - entry.Time > Freshness.TotalMilliseconds || entry.Answer.IsFaulted)
            Cache[key] = entry = (now, Task.Run(() => ListAsync(EngineBridge.Service)));
        return entry.Answer.Wait(Budget) ? entry.Answer.Result : [];
    }
}
