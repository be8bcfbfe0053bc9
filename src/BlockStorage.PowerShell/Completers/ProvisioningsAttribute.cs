using System.Collections;
using System.Management.Automation;
using System.Management.Automation.Language;

namespace BlockStorage.Commands;

/// <summary>Tab completes thin and thick; the engine validates, because an empty CSV cell must pass the binder.</summary>
[AttributeUsage(AttributeTargets.Property)]
internal sealed class ProvisioningsAttribute() : ArgumentCompleterAttribute(typeof(Completer))
{
    private sealed class Completer : IArgumentCompleter
    {
        /// <inheritdoc/>
        public IEnumerable<CompletionResult> CompleteArgument(
            string commandName, string parameterName, string wordToComplete, CommandAst commandAst, IDictionary fakeBoundParameters) =>
            new[] { "thin", "thick" }
                .Where(word => word.StartsWith(wordToComplete ?? "", StringComparison.OrdinalIgnoreCase))
                .Select(word => new CompletionResult(word));
    }
}
