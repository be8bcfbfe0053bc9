using BlockStorage.Engine.Connectors;
using BlockStorage.Engine.Connectors.Local;
using BlockStorage.Engine.Connectors.OpenIscsi;
using BlockStorage.Engine.Connectors.Userspace;
using BlockStorage.Engine.Host;
using BlockStorage.Engine.Targets;
using BlockStorage.Engine.Targets.Lio;
using BlockStorage.Engine.Targets.Tgt;
using BlockStorage.Engine.Volumes;
using BlockStorage.Engine.Volumes.File;
using BlockStorage.Engine.Volumes.Lvm;

namespace BlockStorage.Engine.Nodes;

/// <summary>Every driver that exists, best first. A new driver is one folder and one line here.</summary>
internal static class DriverRegistry
{
    public static IReadOnlyList<IVolumeDriverFactory> VolumeDrivers(StateRoot root) =>
        [new FileVolumeDriverFactory(new CommandRunner()), new LvmVolumeDriverFactory(root, new CommandRunner())];

    public static IReadOnlyList<ITargetDriver> TargetDrivers(StateRoot root) =>
        [new LioTargetDriver(root, new CommandRunner()), new TgtTargetDriver(root, new CommandRunner())];

    public static IReadOnlyList<IConnector> Connectors(StateRoot root) =>
        [new OpenIscsiConnector(root, new CommandRunner()), new UserspaceConnector(root, new CommandRunner()), new LocalConnector(root)];
}
