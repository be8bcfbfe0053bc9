using System.Management.Automation;

namespace BlockStorage.Commands;

/// <summary>Tab completes thin and thick.</summary>
[AttributeUsage(AttributeTargets.Property)]
internal sealed class ProvisioningsAttribute() : ArgumentCompleterAttribute(typeof(Completer))
{
    private sealed class Completer() : WordsCompleter("thin", "thick");
}
