using System.Diagnostics;
using BlockStorage.Engine.Host;
using BlockStorage.Engine.Tests.Crash;
using BlockStorage.Engine.Tests.Services;
using BlockStorage.Services;

namespace BlockStorage.Engine.Tests.Operations;

/// <summary>The journal around operations, with faults in every place.</summary>
public sealed class OperationRunnerTests(MemoryTargetFixture fixture) : IClassFixture<MemoryTargetFixture>, IDisposable
{
    private readonly IBlockStorageService _service = fixture.Service;

    public void Dispose() => fixture.Targets.Before = MemoryTargets.Nothing;

    private async Task<BlockVolume> Volume() =>
        await fixture.Run(_service.NewVolumeAsync(new NewVolumeRequest($"v{Guid.NewGuid():N}"[..12], 1 << 20), fixture.Stop));

    private async Task<BlockOperation> Last() => (await _service.GetOperationsAsync(new OperationQuery(), fixture.Stop))[0];

    private SecretStore Secrets => new(fixture.Root);

    [Fact]
    public async Task Intent_comes_before_and_the_end_of_each_step_before_the_next()
    {
        var volume = await Volume();
        var seen = new List<string>();
        await using var service = fixture.Open(seen.Add);
        fixture.Targets.Before = (call, _) => { seen.Add(call); return Task.CompletedTask; };
        await ServiceFixture.RunOn(service.PublishAsync(new PublishRequest(volume.Id), fixture.Stop));
        Assert.Equal(
            [
                "before intent", "after intent", "before step 1", "after step 1", "before journal", "after journal",
                "before step 2", "publish", "after step 2", "before outcome", "after outcome",
            ], seen);
        var entry = await Last();
        Assert.Equal((BlockStates.Succeeded, "Publish", volume.Name, Environment.ProcessId), (entry.State, entry.Kind, entry.Volume, entry.ProcessId));
        Assert.NotNull(entry.EndedAt);
    }

    [Fact]
    public async Task A_failing_step_is_undone_in_reverse_and_nothing_is_left()
    {
        var volume = await Volume();
        var secretsAtUndo = -1;
        fixture.Targets.Before = (call, _) =>
        {
            if (call == "publish")
                throw new BlockStorageException(BlockErrors.PortalUnreachable, "No portal today.", "p");
            secretsAtUndo = Secrets.List().Count;
            return Task.CompletedTask;
        };
        var before = Secrets.List().Count;
        var error = await ServiceFixture.Fails(_service.PublishAsync(new PublishRequest(volume.Id), fixture.Stop), BlockErrors.PortalUnreachable);
        Assert.Equal(before + 1, secretsAtUndo);
        Assert.Equal(before, Secrets.List().Count);
        Assert.Empty(await _service.GetTargetsAsync(new TargetQuery(Volume: [volume.Name]), fixture.Stop));
        var entry = await Last();
        Assert.Equal((BlockStates.Failed, error.OperationId, "No portal today."), (entry.State, entry.Id, entry.Error));
        Assert.Equal(["undone", "undone"], entry.Step.Select(step => step.State));
        Assert.Contains(await _service.GetEventsAsync(new EventQuery(["Error"]), fixture.Stop), told => told.OperationId == entry.Id);
        Assert.Equal(BlockStates.Available, (await _service.GetVolumesAsync(new VolumeQuery([volume.Name]), fixture.Stop))[0].State);
    }

    [Fact]
    public async Task An_unknown_failure_is_told_as_ours_with_its_cause()
    {
        var volume = await Volume();
        fixture.Targets.Before = (call, _) => call == "publish" ? throw new InvalidTimeZoneException("odd") : Task.CompletedTask;
        var error = await ServiceFixture.Fails(_service.PublishAsync(new PublishRequest(volume.Id), fixture.Stop), BlockErrors.Unexpected);
        Assert.IsType<InvalidTimeZoneException>(error.InnerException);
        Assert.Contains("odd", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_undo_that_fails_stays_open_until_recovery_closes_it()
    {
        var volume = await Volume();
        fixture.Targets.Before = (call, _) => throw new BlockStorageException(BlockErrors.TargetUnavailable, $"{call} is impossible", "t");
        var error = await ServiceFixture.Fails(_service.PublishAsync(new PublishRequest(volume.Id), fixture.Stop), BlockErrors.TargetUnavailable);
        Assert.Equal("publish is impossible", error.Message);
        var entry = await Last();
        Assert.Equal((BlockStates.Interrupted, error.OperationId), (entry.State, entry.Id));
        Assert.Contains("unpublish is impossible", entry.Error, StringComparison.Ordinal);

        var failed = Assert.Single(await _service.RecoverAsync(SilentSink.Instance, fixture.Stop));
        Assert.Equal(("failed", "unpublish is impossible"), (failed.State, failed.Error));
        Assert.Equal(BlockStates.Interrupted, (await Last()).State);

        fixture.Targets.Before = MemoryTargets.Nothing;
        var done = Assert.Single(await _service.RecoverAsync(SilentSink.Instance, fixture.Stop));
        Assert.Equal(("done", "Took it back."), (done.State, done.Action));
        Assert.Equal(BlockStates.Failed, (await Last()).State);
        Assert.Empty(await _service.GetTargetsAsync(new TargetQuery(Volume: [volume.Name]), fixture.Stop));
        Assert.Empty(await _service.RecoverAsync(SilentSink.Instance, fixture.Stop));
    }

    [Fact]
    public async Task The_next_operation_on_the_same_thing_settles_what_is_open()
    {
        var volume = await Volume();
        fixture.Targets.Before = (call, _) => throw new BlockStorageException(BlockErrors.TargetUnavailable, "impossible", "t");
        await ServiceFixture.Fails(_service.PublishAsync(new PublishRequest(volume.Id), fixture.Stop), BlockErrors.TargetUnavailable);
        var open = await Last();
        fixture.Targets.Before = MemoryTargets.Nothing;
        await fixture.Run(_service.RenameVolumeAsync(volume.Id, volume.Name + "-2", fixture.Stop));
        Assert.Equal(BlockStates.Failed, (await _service.GetOperationsAsync(new OperationQuery([open.Id]), fixture.Stop))[0].State);
    }

    [Fact]
    public async Task Stopped_between_steps_it_is_taken_back()
    {
        var volume = await Volume();
        var calls = fixture.Targets.Calls.Count;
        using var stop = new CancellationTokenSource();
        await using var service = fixture.Open(boundary => { if (boundary == "after step 1") stop.Cancel(); });
        var plan = await service.PublishAsync(new PublishRequest(volume.Id), fixture.Stop);
        var error = await Assert.ThrowsAsync<BlockStorageException>(() => plan.RunAsync(SilentSink.Instance, stop.Token));
        Assert.Equal(BlockErrors.Canceled.Id, error.ErrorId);
        Assert.DoesNotContain(fixture.Targets.Calls.Skip(calls), call => call.StartsWith("publish", StringComparison.Ordinal));
        Assert.Equal(BlockStates.Failed, (await Last()).State);
        Assert.Empty(await _service.GetTargetsAsync(new TargetQuery(Volume: [volume.Name]), fixture.Stop));
    }

    [Fact]
    public async Task Another_shell_can_stop_it_in_the_middle_of_a_step()
    {
        var volume = await Volume();
        var reached = new TaskCompletionSource();
        fixture.Targets.Before = (call, cancel) =>
        {
            if (call != "publish")
                return Task.CompletedTask;
            reached.SetResult();
            return Task.Delay(TimeSpan.FromMinutes(1), cancel);
        };
        var running = ServiceFixture.Fails(_service.PublishAsync(new PublishRequest(volume.Id), fixture.Stop), BlockErrors.Canceled);
        await reached.Task;
        await using var other = fixture.Open();
        var entry = Assert.Single(await other.GetOperationsAsync(new OperationQuery(State: [BlockStates.Running]), fixture.Stop));
        Assert.Equal(["done", "running"], entry.Step.Select(step => step.State));
        Assert.Equal(50, entry.PercentComplete);
        await ServiceFixture.RunOn(other.StopOperationAsync(entry.Id, fixture.Stop));
        Assert.Equal(entry.Id, (await running.WaitAsync(TimeSpan.FromSeconds(20))).OperationId);
        var again = await other.StopOperationAsync(entry.Id, fixture.Stop);
        Assert.Empty(again.Steps);
        Assert.Equal(BlockStates.Failed, (await ServiceFixture.RunOn(Task.FromResult(again))).State);
        await ServiceFixture.Fails(other.StopOperationAsync("no-such", fixture.Stop), BlockErrors.OperationNotFound);
    }

    [Fact]
    public async Task A_lock_that_another_process_holds_is_waited_for_and_its_process_named()
    {
        var volume = await Volume();
        await fixture.Run(_service.SetConfigurationAsync(new SetConfigurationRequest(LockTimeoutSeconds: 1), fixture.Stop));
        using var holder = HostProcess.Start("hold", Path.Combine(fixture.Root.LockFolder, $"volume-{volume.Id}"), "exclusive");
        Assert.Equal("held", await holder.StandardOutput.ReadLineAsync());
        var operations = (await _service.GetOperationsAsync(new OperationQuery(), fixture.Stop)).Count;
        var error = await ServiceFixture.Fails(_service.RemoveVolumeAsync(volume.Id, false, false, fixture.Stop), BlockErrors.LockTimeout);
        Assert.Contains($"process {holder.Id}", error.Message, StringComparison.Ordinal);
        Assert.Equal(operations, (await _service.GetOperationsAsync(new OperationQuery(), fixture.Stop)).Count);
        holder.StandardInput.Close();
        await holder.WaitForExitAsync();
        await fixture.Run(_service.RemoveVolumeAsync(volume.Id, false, false, fixture.Stop));
        await fixture.Run(_service.SetConfigurationAsync(new SetConfigurationRequest(LockTimeoutSeconds: 30), fixture.Stop));
    }

    [Fact]
    public async Task Recovery_waits_for_a_child_that_outlived_its_parent()
    {
        await Volume();
        var name = $"v{Guid.NewGuid():N}"[..12];
        using (var killed = HostProcess.Start("crash", fixture.Home))
        {
            await HostProcess.OrderAsync(killed, "create", name, 2);
            await HostProcess.EndAsync(killed);
        }
        var open = Assert.Single(await _service.GetOperationsAsync(new OperationQuery(State: [BlockStates.Running]), fixture.Stop));
        Assert.Equal(BlockStates.Creating, Assert.Single(await _service.GetVolumesAsync(new VolumeQuery([name]), fixture.Stop)).State);
        using var child = Process.Start(new ProcessStartInfo("sleep", "2") { Environment = { [ProcessTable.OperationVariable] = open.Id } })!;
        var action = Assert.Single(await _service.RecoverAsync(SilentSink.Instance, fixture.Stop));
        Assert.True(child.HasExited);
        Assert.Equal((open.Id, "done"), (action.Id, action.State));
        Assert.Empty(await _service.GetVolumesAsync(new VolumeQuery([name]), fixture.Stop));
    }
}
