using BlockStorage.TestHost;

// A process of its own that works on a state folder, so that tests can kill it or run many of them.
return args switch
{
    ["crash", var home] => await CrashHost.RunAsync(home),
    ["load", var home, var seed, var count] => await LoadHost.RunAsync(home, int.Parse(seed, null), int.Parse(count, null)),
    ["hold", var path, var mode] => LockHost.Run(path, mode == "shared"),
    _ => 64,
};
