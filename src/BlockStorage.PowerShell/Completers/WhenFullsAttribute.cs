using System.Management.Automation;

namespace BlockStorage.Commands;

/// <summary>Tab completes what writers get when a thin pool is full.</summary>
[AttributeUsage(AttributeTargets.Property)]
internal sealed class WhenFullsAttribute() : ArgumentCompleterAttribute(typeof(Completer))
{
    private sealed class Completer() : WordsCompleter("error", "queue");
}
