using BlockStorage.Engine.Nodes;
using BlockStorage.Engine.Targets;
using BlockStorage.Engine.Tests.Services;
using BlockStorage.Engine.Volumes.File;
using BlockStorage.Services;

namespace BlockStorage.Engine.Tests.Operations;

/// <summary>A target service in memory, whose calls can be watched, held and made to fail.</summary>
internal sealed class MemoryTargets : ITargetDriver
{
    private readonly Lock _gate = new();
    private readonly List<string> _calls = [];

    public Dictionary<string, ExportSpec> Exports { get; } = new(StringComparer.Ordinal);

    public Dictionary<string, LiveSession> Sessions { get; } = new(StringComparer.Ordinal);

    /// <summary>Called before each change with its name.</summary>
    public Func<string, CancellationToken, Task> Before { get; set; } = Nothing;

    public static Task Nothing(string call, CancellationToken cancel) => Task.CompletedTask;

    public IReadOnlyList<string> Calls
    {
        get { lock (_gate) return [.. _calls]; }
    }

    public string Name => "Memory";

    public bool ResizeInterrupts => false;

    public bool AnyInitiator { get; set; } = true;

    public (int First, int Last) Luns => (1, 255);

    public Task<DriverProbe> ProbeAsync(CancellationToken cancel) => Task.FromResult(new DriverProbe(true, [], "1", "", "", []));

    public Task<Portal> ChoosePortalAsync(string address, int port, CancellationToken cancel) =>
        Task.FromResult(new Portal(address, port == 0 ? 3260 : port));

    public Task PublishAsync(ExportSpec export, IWorkSink sink, CancellationToken cancel) =>
        Change("publish", export.Iqn, cancel, () => Exports[export.Iqn] = export);

    public Task RemoveLunAsync(string iqn, int lun, CancellationToken cancel) =>
        Change("remove-lun", iqn, cancel, () => Exports[iqn] = Exports[iqn] with { Lun = null });

    public Task UnpublishAsync(string iqn, bool force, CancellationToken cancel) => Change("unpublish", iqn, cancel, () =>
    {
        if (!force && Sessions.ContainsKey(iqn))
            throw new BlockStorageException(BlockErrors.TargetHasSessions, "Somebody is logged in.", iqn);
        Exports.Remove(iqn);
    });

    public Task ResizeAsync(ExportSpec export, CancellationToken cancel) => Change("resize", export.Iqn, cancel, () => { });

    public Task<TargetReport> ListAsync(CancellationToken cancel)
    {
        lock (_gate)
        {
            return Task.FromResult(new TargetReport(true, Exports.Values.Select(export => new LiveTarget(export.Iqn,
                export.Lun is { } lun ? [new LiveLun(lun.Number, lun.Path, new FileInfo(lun.Path).Length, lun.ReadOnly, lun.Serial, true)] : [],
                export.Grants.Select(grant => grant.Initiator).ToArray(),
                export.Grants.Select(grant => grant.Chap?.UserName ?? "").ToArray(),
                Sessions.TryGetValue(export.Iqn, out var session) ? [session] : [])).ToArray(), []));
        }
    }

    private async Task Change(string call, string iqn, CancellationToken cancel, Action change)
    {
        lock (_gate)
            _calls.Add($"{call} {iqn}");
        await Before(call, cancel);
        lock (_gate)
            change();
    }
}

/// <summary>A service whose targets are in memory.</summary>
public sealed class MemoryTargetFixture : ServiceFixture
{
    internal MemoryTargets Targets { get; } = new();

    private protected override INode MakeNode() =>
        new LocalNode([new FileVolumeDriverFactory(new Engine.Host.CommandRunner())], [Targets], []);
}
