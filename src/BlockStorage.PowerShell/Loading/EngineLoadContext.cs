using System.Reflection;
using System.Runtime.Loader;

namespace BlockStorage.Loading;

/// <summary>Holds the engine and all it brings, so that no other module in the shell can clash with it.</summary>
internal sealed class EngineLoadContext : AssemblyLoadContext
{
    /// <summary>Simple name of the only assembly that the default context gets from here.</summary>
    public const string EngineName = "BlockStorage.Engine";

    private readonly AssemblyDependencyResolver _resolver;

    /// <summary>Takes the engine that lies beside the module.</summary>
    public EngineLoadContext(string enginePath) : base(EngineName) => _resolver = new AssemblyDependencyResolver(enginePath);

    /// <inheritdoc/>
    protected override Assembly? Load(AssemblyName assemblyName)
    {
        // The model must be the very copy that cmdlets use, or its types would differ on both sides.
        if (assemblyName.Name == typeof(BlockObject).Assembly.GetName().Name)
            return null;
        var path = _resolver.ResolveAssemblyToPath(assemblyName);
        return path is null ? null : LoadFromAssemblyPath(path);
    }

    /// <inheritdoc/>
    protected override IntPtr LoadUnmanagedDll(string unmanagedDllName)
    {
        var path = _resolver.ResolveUnmanagedDllToPath(unmanagedDllName);
        return path is null ? IntPtr.Zero : LoadUnmanagedDllFromPath(path);
    }
}
