using BlockStorage.Engine.Tests.Services;
using Xunit.Abstractions;

namespace BlockStorage.Engine.Tests.Crash;

/// <summary>The drivers that any machine has: files, tgt, an initiator in user space, loop devices.</summary>
public sealed class CrashPointTests(ServiceFixture fixture, ITestOutputHelper output)
    : CrashPointSuite(fixture, output, fixture.Home, fixture.Home), IClassFixture<ServiceFixture>
{
    /// <summary>All cases.</summary>
    public static TheoryData<string, string> Cases => Data(Common);

    [RootTheory]
    [MemberData(nameof(Cases))]
    public Task Killed_at_any_boundary_it_is_absent_or_complete(string verb, string before) => SweepAsync(verb, before);
}
