namespace BlockStorage.Engine.Tests;

/// <summary>A theory that needs root; without it the runner names it as skipped.</summary>
public sealed class RootTheoryAttribute : TheoryAttribute
{
    public RootTheoryAttribute()
    {
        if (!Environment.IsPrivilegedProcess)
            Skip = "needs root: targets and loop devices";
    }
}
