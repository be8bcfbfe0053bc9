using System.Management.Automation;
using BlockStorage.Loading;
using BlockStorage.Services;

namespace BlockStorage.Commands;

/// <summary>What every cmdlet is: cancellable, one failing item never stops the others, no change without a plan and a question.</summary>
public abstract partial class BlockStorageCommand : PSCmdlet, IDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly List<BlockStorageChildJob> _jobs = [];
    private string? _serverName;
    private bool _recovered;

    /// <summary>Changes are queued for a job instead of being run.</summary>
    private protected virtual bool RunsAsJob => false;

    /// <summary>Interrupted operations are finished first; not where the cmdlet must work on a broken machine.</summary>
    private protected virtual bool RecoversFirst => true;

    /// <inheritdoc/>
    public void Dispose()
    {
        _stop.Dispose();
        GC.SuppressFinalize(this);
    }

    /// <inheritdoc/>
    protected override void StopProcessing() => _stop.Cancel();

    /// <summary>Starts the job that ProcessRecord filled.</summary>
    protected override void EndProcessing()
    {
        if (_jobs.Count == 0)
            return;
        var job = new BlockStorageJob(MyInvocation.Line.Trim(), _jobs);
        JobRepository.Add(job);
        job.Start();
        WriteObject(job);
    }

    /// <summary>Does something for one item; its failure is an error record about that item.</summary>
    private protected void Try(object? target, Action action)
    {
        try
        {
            action();
        }
        catch (BlockStorageException error)
        {
            WriteError(ErrorRecords.From(error, target));
        }
    }

    /// <summary>Asks the service.</summary>
    private protected T Read<T>(Func<IBlockStorageService, CancellationToken, Task<T>> query)
    {
        Recover();
        return Run((_, cancel) => query(EngineBridge.Service, cancel));
    }

    /// <summary>Plans a change, tells its risks, asks, runs it (or queues it for the job) and emits what select makes of the result.</summary>
    /// <returns>True when it was run here.</returns>
    private protected bool Change<T>(
        object? target, Func<IBlockStorageService, CancellationToken, Task<BlockPlan<T>>> makePlan, Func<T, object?>? select = null)
    {
        var plan = Read(makePlan);
        foreach (var warning in plan.Warnings)
            WriteWarning(warning);
        var asks = plan.Steps.Count > 0 || IsWhatIf;
        if (asks && !ShouldProcess(plan.Describe(), $"{plan.Action} {plan.Target}?", MyInvocation.MyCommand.Name))
            return false;
        if (RunsAsJob)
        {
            _jobs.Add(new BlockStorageChildJob($"{plan.Action} {plan.Target}", ServerName, target,
                GetType().FullName!, ChildWork(makePlan, select)));
            return false;
        }
        var result = Run(plan.RunAsync);
        if (select?.Invoke(result) is { } output)
            WriteObject(output, enumerateCollection: true);
        return true;
    }

    /// <summary>Finds things and writes an error for each literal name or id that names none.</summary>
    private protected IReadOnlyList<T> Find<T>(
        ObjectKind kind, string[]? names, string[]? ids, Func<IBlockStorageService, CancellationToken, Task<IReadOnlyList<T>>> query)
        where T : BlockObject
    {
        IReadOnlyList<T> found = [];
        Try(null, () =>
        {
            found = Read(query);
            foreach (var id in ObjectKind.Misses(ids, found.Select(item => item.Id)))
                WriteError(ErrorRecords.From(kind.Missing(id, "id")));
            foreach (var name in ObjectKind.Misses(ids is null ? names : null, found.Select(item => item.Name)))
                WriteError(ErrorRecords.From(kind.Missing(name)));
        });
        return found;
    }

    /// <summary>Things that only this side filters by name.</summary>
    private protected IReadOnlyList<T> Named<T>(
        ObjectKind kind, string[]? names, Func<IBlockStorageService, CancellationToken, Task<IReadOnlyList<T>>> query)
        where T : BlockObject
    {
        var patterns = names?.Select(name => new WildcardPattern(name, WildcardOptions.IgnoreCase)).ToArray();
        return Find<T>(kind, names, null, async (service, cancel) =>
            [.. (await query(service, cancel).ConfigureAwait(false)).Where(item => patterns?.Any(pattern => pattern.IsMatch(item.Name)) ?? true)]);
    }

    /// <summary>Emits the changed object where -PassThru asks for it.</summary>
    private protected static Func<T, object?>? Passed<T>(SwitchParameter passThru) => passThru ? result => result : null;

    /// <summary>Does something for each thing that was given; things of other machines are refused.</summary>
    private protected void ForEach<T>(IEnumerable<T> items, Action<T> action) where T : BlockObject
    {
        foreach (var item in items)
            Try(item, () =>
            {
                CheckServer(item);
                action(item);
            });
    }

    /// <summary>True while -WhatIf or $WhatIfPreference asks only for the plan.</summary>
    private protected bool IsWhatIf => MyInvocation.BoundParameters.TryGetValue("WhatIf", out var bound)
        ? ((SwitchParameter)bound).IsPresent
        : LanguagePrimitives.IsTrue(SessionState.PSVariable.GetValue("WhatIfPreference"));

    /// <summary>The name of this machine as objects carry it.</summary>
    private protected string ServerName => _serverName ??= Read((service, cancel) => service.GetServerAsync(cancel)).Name;

    /// <summary>The error for a thing of a kind that the cmdlet cannot act on.</summary>
    private protected static BlockStorageException WrongKind(BlockObject item, string wanted) =>
        new(BlockErrors.InvalidArgument, $"'{item.Name}' is a {item.GetType().Name}, not {wanted}.", item.Name);

    /// <summary>True when the user gave the parameter.</summary>
    private protected bool IsBound(string parameter) => MyInvocation.BoundParameters.ContainsKey(parameter);

    /// <summary>A credential in the engine's form; the secret is unwrapped here and nowhere else.</summary>
    private protected static ChapCredential? ToChap(PSCredential? credential) =>
        credential is null || credential == PSCredential.Empty
            ? null
            : new ChapCredential(credential.UserName, credential.GetNetworkCredential().Password);

    /// <summary>Seconds as the engine wants them.</summary>
    private protected static TimeSpan? ToTimeSpan(int? seconds) => seconds is int known ? TimeSpan.FromSeconds(known) : null;

    /// <summary>Runs work off the pipeline thread, which meanwhile writes what the work tells.</summary>
    private protected T Run<T>(Func<IWorkSink, CancellationToken, Task<T>> work)
    {
        using var pump = new WorkPump(this, _stop);
        return pump.Run(work);
    }

    // A job plans again when its turn comes, because its brothers may have changed what it builds on.
    private static Func<IWorkSink, CancellationToken, Task<object?>> ChildWork<T>(
        Func<IBlockStorageService, CancellationToken, Task<BlockPlan<T>>> makePlan, Func<T, object?>? select) =>
        async (sink, cancel) =>
        {
            var plan = await makePlan(EngineBridge.Service, cancel).ConfigureAwait(false);
            var result = await plan.RunAsync(sink, cancel).ConfigureAwait(false);
            return select?.Invoke(result);
        };

    private void Recover()
    {
        if (_recovered || !RecoversFirst || IsWhatIf)
            return;
        var actions = Run((sink, cancel) => EngineBridge.Service.RecoverAsync(sink, cancel));
        _recovered = true;
        foreach (var action in actions)
        {
            if (action.Error.Length > 0)
                WriteWarning($"Recovery of {action.Kind} {action.Name} failed: {action.Error}");
            else
                WriteVerbose($"Recovered {action.Kind} {action.Name}: {action.Problem} {action.Action}");
        }
    }

    private void CheckServer(BlockObject item)
    {
        if (item.Server.Length > 0 && !string.Equals(item.Server, ServerName, StringComparison.OrdinalIgnoreCase))
            throw new BlockStorageException(BlockErrors.ServerNotFound,
                $"'{item.Name}' belongs to server '{item.Server}', not to this machine '{ServerName}'.", item.Name,
                $"Run the command on '{item.Server}'.");
    }
}
