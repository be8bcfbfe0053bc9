using System.Management.Automation;

namespace BlockStorage.Commands;

/// <summary>Tab completes levels of RAID.</summary>
[AttributeUsage(AttributeTargets.Property)]
internal sealed class RaidLevelsAttribute() : ArgumentCompleterAttribute(typeof(Completer))
{
    private sealed class Completer() : WordsCompleter("raid1", "raid5", "raid6", "raid10");
}
