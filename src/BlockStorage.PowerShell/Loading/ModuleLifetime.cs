using System.Management.Automation;

namespace BlockStorage.Loading;

/// <summary>Called by PowerShell when the module is imported and removed.</summary>
public sealed class ModuleLifetime : IModuleAssemblyInitializer, IModuleAssemblyCleanup
{
    /// <inheritdoc/>
    public void OnImport() => EngineBridge.Attach();

    /// <inheritdoc/>
    public void OnRemove(PSModuleInfo psModuleInfo) => EngineBridge.Detach();
}
