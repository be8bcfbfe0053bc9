using System.Collections;
using System.Management.Automation;
using System.Management.Automation.Language;

namespace BlockStorage.Commands;

/// <summary>Tab completes words that are always the same; the engine validates, because an empty CSV cell must pass the binder.</summary>
internal abstract class WordsCompleter(params string[] words) : IArgumentCompleter
{
    /// <inheritdoc/>
    public IEnumerable<CompletionResult> CompleteArgument(
        string commandName, string parameterName, string wordToComplete, CommandAst commandAst, IDictionary fakeBoundParameters) =>
        words.Where(word => word.StartsWith(wordToComplete ?? "", StringComparison.OrdinalIgnoreCase)).Select(word => new CompletionResult(word));
}
