using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.Loader;
using BlockStorage.Engine;
using BlockStorage.Services;

namespace BlockStorage.Loading;

/// <summary>The only place that touches the engine, and only in method bodies, so that importing the module loads none of it.</summary>
internal static class EngineBridge
{
    private static readonly Lock Gate = new();
    private static readonly Dictionary<string, IBlockStorageService> Services = new(StringComparer.Ordinal);
    private static EngineLoadContext? s_context;

    /// <summary>The service for the state root that the environment names now.</summary>
    public static IBlockStorageService Service
    {
        get
        {
            var home = Environment.GetEnvironmentVariable("BLOCKSTORAGE_HOME") ?? "";
            lock (Gate)
            {
                if (!Services.TryGetValue(home, out var service))
                    Services[home] = service = Open();
                return service;
            }
        }
    }

    /// <summary>Lets the default context find the engine.</summary>
    public static void Attach()
    {
        AssemblyLoadContext.Default.Resolving -= Resolve;
        AssemblyLoadContext.Default.Resolving += Resolve;
    }

    /// <summary>Closes all services and takes the handler away.</summary>
    public static void Detach()
    {
        AssemblyLoadContext.Default.Resolving -= Resolve;
        lock (Gate)
        {
            foreach (var service in Services.Values)
                service.DisposeAsync().AsTask().GetAwaiter().GetResult();
            Services.Clear();
        }
    }

    // Not inlined: the engine loads when this method is compiled, which must not be before it is called.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static IBlockStorageService Open() => BlockStorageService.Open();

    private static Assembly? Resolve(AssemblyLoadContext context, AssemblyName name)
    {
        if (name.Name != EngineLoadContext.EngineName)
            return null;
        lock (Gate)
        {
            s_context ??= new EngineLoadContext(Path.Combine(
                Path.GetDirectoryName(typeof(EngineBridge).Assembly.Location)!, "Dependencies", EngineLoadContext.EngineName + ".dll"));
            return s_context.LoadFromAssemblyName(name);
        }
    }
}
