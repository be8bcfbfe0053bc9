using BlockStorage.Engine.Connectors.OpenIscsi;
using BlockStorage.Engine.Host;
using BlockStorage.Engine.Tests.Lab;
using BlockStorage.Engine.Tests.Services;
using BlockStorage.Engine.Tests.Targets.Lio;
using BlockStorage.Engine.Tests.Volumes.Lvm;
using Xunit.Abstractions;

namespace BlockStorage.Engine.Tests.Crash;

/// <summary>LVM, the kernel's target and open-iscsi. It takes hours: ./build.sh test --all runs it, or a share by <see cref="Sweep"/>.</summary>
[Trait("Needs", "Lab")]
[Trait("Takes", "Hours")]
[Collection(LabCollection.Name)]
public sealed class CrashPointLabTests(CrashPointLab lab, ITestOutputHelper output)
    : CrashPointSuite(lab.Fixture, output, LabCollection.Disks[0], LabCollection.Disks[1]), IClassFixture<CrashPointLab>
{
    private static readonly (string Verb, string Before)[] Own =
    [
        ("create-thick", ""),
        ("clone", "create-thick write-a"),
        ("clone-thick", "create-thick write-a"),
        ("clone-thick", "create write-a"),
        ("resize", "create-thick write-a"),
        ("shrink", "create-thick"),
        ("snapshot", "create-thick write-a"),
        ("from-snapshot", "create-thick write-a snapshot write-b"),
        ("restore", "create-thick write-a snapshot write-b"),
        ("remove-snapshot", "create-thick write-a snapshot"),
        ("remove", "create-thick write-a"),
        ("remove", "create-thick snapshot"),
        ("resize", "create-thick publish connect"),
        ("connect-persistent", "create publish"),
        ("disconnect", "create publish connect-persistent"),
        ("remove", "create publish connect-persistent"),
    ];

    /// <summary>The chosen cases.</summary>
    public static TheoryData<string, string> Cases => Data(Sweep.Of(Common.Concat(Own)));

    [RootTheory]
    [MemberData(nameof(Cases))]
    public Task Killed_at_any_boundary_it_is_absent_or_complete(string verb, string before)
    {
        Output.WriteLine($"Share {Sweep.Choice}");
        return SweepAsync(verb, before);
    }

    /// <inheritdoc/>
    protected override Task AssertNothingElseAsync() => lab.AssertOnlyThePoolAsync();
}

/// <summary>A service on the lab's disks; at the end they are as they were.</summary>
public sealed class CrashPointLab : IAsyncLifetime
{
    private IReadOnlyList<string> _targets = [];

    /// <summary>The service.</summary>
    public ServiceFixture Fixture { get; } = new();

    public async Task InitializeAsync()
    {
        await LvmPools.ClearAsync();
        _targets = LioState.Snapshot();
        await Fixture.InitializeAsync();
    }

    public async Task DisposeAsync()
    {
        await Fixture.DisposeAsync();
        AssertNoTargetOrSession();
        await LvmPools.AssertNothingLeftAsync();
        Assert.Equal("No devices found", (await LvmPools.RunAsync("dmsetup", "ls")).Trim());
    }

    /// <summary>There is the thin pool and nothing else, once the wipes have ended.</summary>
    public async Task AssertOnlyThePoolAsync()
    {
        AssertNoTargetOrSession();
        Assert.True(await Poll.UntilAsync(() => ProcessTable.FindByArgument("/wipe-").Count == 0, TimeSpan.FromSeconds(60), default), "still being wiped");
        var volumes = await LvmPools.RunAsync("lvs", "--all", "--noheadings", "-o", "lv_name");
        Assert.DoesNotContain(volumes.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries), name => !name.Contains("bspool", StringComparison.Ordinal) && !name.Contains("pmspare", StringComparison.Ordinal));
        Assert.DoesNotContain((await LvmPools.RunAsync("dmsetup", "ls")).Split('\n'), line => line.Length > 0 && !line.Contains("bspool", StringComparison.Ordinal));
    }

    private void AssertNoTargetOrSession()
    {
        Assert.Equal(_targets, LioState.Snapshot());
        Assert.Empty(KernelSession.List());
        Assert.Empty(Directory.EnumerateFileSystemEntries("/sys/block", "sd*"));
        foreach (var folder in new[] { "/etc/iscsi/nodes", "/etc/iscsi/ifaces" }.Where(Directory.Exists))
            Assert.DoesNotContain(Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories), file => file.Contains("blockstorage-", StringComparison.Ordinal));
    }
}
