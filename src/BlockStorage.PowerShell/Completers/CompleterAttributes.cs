using System.Management.Automation;

namespace BlockStorage.Commands;

/// <summary>Tab completes volumes.</summary>
[AttributeUsage(AttributeTargets.Property)]
internal sealed class VolumeNamesAttribute() : ArgumentCompleterAttribute(typeof(VolumeCompleter));

/// <summary>Tab completes pools.</summary>
[AttributeUsage(AttributeTargets.Property)]
internal sealed class PoolNamesAttribute() : ArgumentCompleterAttribute(typeof(PoolCompleter));

/// <summary>Tab completes snapshots.</summary>
[AttributeUsage(AttributeTargets.Property)]
internal sealed class SnapshotNamesAttribute() : ArgumentCompleterAttribute(typeof(SnapshotCompleter));

/// <summary>Tab completes IQNs of targets.</summary>
[AttributeUsage(AttributeTargets.Property)]
internal sealed class TargetNamesAttribute() : ArgumentCompleterAttribute(typeof(TargetCompleter));

/// <summary>Tab completes devices of connections.</summary>
[AttributeUsage(AttributeTargets.Property)]
internal sealed class DevicePathsAttribute() : ArgumentCompleterAttribute(typeof(DeviceCompleter));

/// <summary>Tab completes drivers.</summary>
[AttributeUsage(AttributeTargets.Property)]
internal sealed class DriverNamesAttribute() : ArgumentCompleterAttribute(typeof(DriverCompleter));

/// <summary>Tab completes ids of operations.</summary>
[AttributeUsage(AttributeTargets.Property)]
internal sealed class OperationIdsAttribute() : ArgumentCompleterAttribute(typeof(OperationCompleter));
