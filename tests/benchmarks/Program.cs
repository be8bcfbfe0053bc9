using BlockStorage.Benchmarks;

// Ours beside the raw tools, in one run, on one pool. See README.md beside this file.
return args switch
{
    ["verbs", var home, var rounds] => await VerbBenchmark.RunAsync(home, int.Parse(rounds, null)),
    ["list", var home, var count] => await ListBenchmark.RunAsync(home, int.Parse(count, null)),
    ["data", var home] => await DataBenchmark.RunAsync(home),
    ["storage", var home, var rounds, .. var counts] => await StorageBenchmark.RunAsync(home, int.Parse(rounds, null), counts),
    ["export", var home, var rounds] => await ExportBenchmark.RunAsync(home, int.Parse(rounds, null)),
    ["fio", var home] => await FioBenchmark.RunAsync(home),
    ["clean", var home] => await Sandbox.CleanAsync(home),
    _ => 64,
};
