using BlockStorage.Engine.Host;
using BlockStorage.Engine.Targets.Lio;

namespace BlockStorage.Engine.Tests.Targets.Lio;

public sealed class LioProbeTests
{
    [Fact]
    public async Task Without_LIO_the_probe_names_what_is_missing_and_starts_nothing()
    {
        using var folder = new TestFolder();
        var probe = await new LioTargetDriver(new StateRoot(folder.Path), new NoTools()).ProbeAsync(default);
        var module = Assert.Single(probe.Checks, check => check.Name == "target_core_mod");
        if (Directory.Exists(LioNames.Core))
        {
            Assert.Equal("ok", module.State);
            return;
        }
        Assert.False(probe.Usable);
        Assert.Equal(("missing", "modprobe target_core_mod"), (module.State, module.Fix));
        Assert.Empty(Directory.EnumerateFileSystemEntries(folder.Path));
    }
}
