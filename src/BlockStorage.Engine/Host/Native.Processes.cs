using System.Runtime.InteropServices;

namespace BlockStorage.Engine.Host;

/// <summary>Signals that we send.</summary>
internal enum Signal
{
    Kill = 9,
    Terminate = 15,
    Continue = 18,
    Stop = 19,
}

/// <summary>Processes.</summary>
internal static unsafe partial class Native
{
    // Opaque types of spawn.h; glibc's are 336 and 80 bytes, musl's 336 and 80.
    private const int SpawnBufferSize = 512;
    private const int SignalSetSize = 128;
    private const short SpawnSetSignalDefaults = 4, SpawnSetSignalMask = 8, SpawnSetSession = 128;
    private const int AppendToFile = 0x400;

    /// <summary>Sends a signal.</summary>
    /// <returns>False when the process is gone.</returns>
    public static bool SendSignal(int pid, Signal signal)
    {
        if (kill(pid, (int)signal) == 0)
            return true;
        return LastError == Errno.NoProcess ? false : throw Errno.Failure(LastError, $"Sending signal {signal} to process", $"{pid}");
    }

    /// <summary>
    /// Starts a program in a session of its own with stdin and stdout on /dev/null and no other descriptor of ours.
    /// </summary>
    /// <param name="program">Full path.</param>
    /// <param name="arguments">Arguments, without the program's name.</param>
    /// <param name="environment">NAME=value, all of them.</param>
    /// <param name="folder">Working folder.</param>
    /// <param name="errorFile">Where stderr goes; made for the owner alone.</param>
    /// <returns>Its process id; the caller reaps it.</returns>
    public static int Spawn(
        string program, IEnumerable<string> arguments, IEnumerable<string> environment, string folder, string errorFile)
    {
        using var argv = new StringVector(arguments.Prepend(program));
        using var envp = new StringVector(environment);
        var actions = stackalloc byte[SpawnBufferSize];
        var attributes = stackalloc byte[SpawnBufferSize];
        var none = stackalloc byte[SignalSetSize];
        var all = stackalloc byte[SignalSetSize];
        sigemptyset(none);
        sigfillset(all);

        posix_spawn_file_actions_init(actions);
        posix_spawnattr_init(attributes);
        try
        {
            // Spawn functions give the error number back and leave errno alone.
            CheckSpawn(posix_spawnattr_setflags(attributes, SpawnSetSession | SpawnSetSignalMask | SpawnSetSignalDefaults), program);
            // .NET ignores SIGPIPE and blocks nothing; a daemon must start with the defaults.
            CheckSpawn(posix_spawnattr_setsigdefault(attributes, all), program);
            CheckSpawn(posix_spawnattr_setsigmask(attributes, none), program);
            CheckSpawn(posix_spawn_file_actions_addopen(actions, 0, "/dev/null", (int)OpenMode.ReadOnly, 0), program);
            CheckSpawn(posix_spawn_file_actions_addopen(actions, 1, "/dev/null", (int)OpenMode.WriteOnly, 0), program);
            CheckSpawn(posix_spawn_file_actions_addopen(
                actions, 2, errorFile, (int)(OpenMode.WriteOnly | OpenMode.Create) | AppendToFile, PrivateFile), errorFile);
            // Needs glibc 2.34: Debian 12, Ubuntu 22.04, RHEL 9.
            CheckSpawn(posix_spawn_file_actions_addclosefrom_np(actions, 3), program);
            CheckSpawn(posix_spawn_file_actions_addchdir_np(actions, folder), folder);
            int pid;
            CheckSpawn(posix_spawn(&pid, program, actions, attributes, argv.Pointer, envp.Pointer), program);
            return pid;
        }
        finally
        {
            posix_spawn_file_actions_destroy(actions);
            posix_spawnattr_destroy(attributes);
        }
    }

    /// <summary>Waits for the end of a child.</summary>
    /// <returns>Exit code; 128 and the signal when one killed it; 0 when somebody else has reaped it.</returns>
    public static int WaitForChild(int pid)
    {
        int status = 0;
        var result = Retry(() => { int s; var r = waitpid(pid, &s, 0); status = s; return r; });
        if (result < 0)
            return LastError == Errno.NoChild ? 0 : throw Errno.Failure(LastError, "Waiting for process", $"{pid}");
        return (status & 0x7F) == 0 ? (status >> 8) & 0xFF : 128 + (status & 0x7F);
    }

    private static void CheckSpawn(int error, string path)
    {
        if (error != 0)
            throw Errno.Failure(error, "Starting", path);
    }

    /// <summary>A null-terminated array of C strings.</summary>
    private sealed class StringVector : IDisposable
    {
        private readonly nint[] _items;
        private readonly GCHandle _pin;

        public StringVector(IEnumerable<string> texts)
        {
            _items = [.. texts.Select(Marshal.StringToCoTaskMemUTF8), 0];
            _pin = GCHandle.Alloc(_items, GCHandleType.Pinned);
        }

        public byte** Pointer => (byte**)_pin.AddrOfPinnedObject();

        public void Dispose()
        {
            _pin.Free();
            foreach (var item in _items)
                Marshal.FreeCoTaskMem(item);
        }
    }

    [LibraryImport(Libc, SetLastError = true)]
    private static partial int kill(int pid, int signal);

    [LibraryImport(Libc, SetLastError = true)]
    private static partial int waitpid(int pid, int* status, int options);

    [LibraryImport(Libc)]
    private static partial int sigemptyset(byte* set);

    [LibraryImport(Libc)]
    private static partial int sigfillset(byte* set);

    [LibraryImport(Libc)]
    private static partial int posix_spawn_file_actions_init(byte* actions);

    [LibraryImport(Libc)]
    private static partial int posix_spawn_file_actions_destroy(byte* actions);

    [LibraryImport(Libc, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int posix_spawn_file_actions_addopen(byte* actions, int fd, string path, int flags, int mode);

    [LibraryImport(Libc)]
    private static partial int posix_spawn_file_actions_addclosefrom_np(byte* actions, int from);

    [LibraryImport(Libc, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int posix_spawn_file_actions_addchdir_np(byte* actions, string path);

    [LibraryImport(Libc)]
    private static partial int posix_spawnattr_init(byte* attributes);

    [LibraryImport(Libc)]
    private static partial int posix_spawnattr_destroy(byte* attributes);

    [LibraryImport(Libc)]
    private static partial int posix_spawnattr_setflags(byte* attributes, short flags);

    [LibraryImport(Libc)]
    private static partial int posix_spawnattr_setsigdefault(byte* attributes, byte* set);

    [LibraryImport(Libc)]
    private static partial int posix_spawnattr_setsigmask(byte* attributes, byte* set);

    [LibraryImport(Libc, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int posix_spawn(int* pid, string path, byte* actions, byte* attributes, byte** argv, byte** envp);
}
