using System.Reflection;

namespace BlockStorage;

/// <summary>The catalogue of errors. Every error that reaches a user is one of these.</summary>
public static class BlockErrors
{
    /// <summary>No volume of that name or id.</summary>
    public static readonly BlockError VolumeNotFound = new(nameof(VolumeNotFound), "ObjectNotFound",
        "No volume of that name or id.", "Get-BlockVolume");
    /// <summary>No pool of that name or id.</summary>
    public static readonly BlockError PoolNotFound = new(nameof(PoolNotFound), "ObjectNotFound",
        "No pool of that name or id.", "Get-BlockPool");
    /// <summary>No snapshot of that name or id.</summary>
    public static readonly BlockError SnapshotNotFound = new(nameof(SnapshotNotFound), "ObjectNotFound",
        "No snapshot of that name or id.", "Get-BlockSnapshot");
    /// <summary>No target of that IQN.</summary>
    public static readonly BlockError TargetNotFound = new(nameof(TargetNotFound), "ObjectNotFound",
        "No target of that IQN.", "Get-IscsiTarget");
    /// <summary>The initiator has no access to the target.</summary>
    public static readonly BlockError AccessNotFound = new(nameof(AccessNotFound), "ObjectNotFound",
        "The initiator has no access to the target.", "Get-IscsiTargetAccess");
    /// <summary>No connection of that volume, device or id.</summary>
    public static readonly BlockError ConnectionNotFound = new(nameof(ConnectionNotFound), "ObjectNotFound",
        "No connection of that volume, device or id.", "Get-BlockConnection");
    /// <summary>No operation of that id.</summary>
    public static readonly BlockError OperationNotFound = new(nameof(OperationNotFound), "ObjectNotFound",
        "No operation of that id.", "Get-BlockOperation");
    /// <summary>No driver of that name.</summary>
    public static readonly BlockError DriverNotFound = new(nameof(DriverNotFound), "ObjectNotFound",
        "No driver of that name.", "Get-BlockStorageDriver");
    /// <summary>No server of that name.</summary>
    public static readonly BlockError ServerNotFound = new(nameof(ServerNotFound), "ObjectNotFound",
        "No server of that name.", "Get-BlockStorageServer");
    /// <summary>The name is taken; case does not count.</summary>
    public static readonly BlockError NameExists = new(nameof(NameExists), "ResourceExists",
        "The name is taken; names that differ only in case are the same.", "Use another name, or -IfNotExists where the cmdlet has it.");
    /// <summary>The name breaks the rules for names.</summary>
    public static readonly BlockError InvalidName = new(nameof(InvalidName), "InvalidArgument",
        "The name breaks the rules for names.", "Use 1 to 63 letters, digits, '.', '_' or '-', beginning with a letter or digit.");
    /// <summary>The size cannot be read or is out of range.</summary>
    public static readonly BlockError InvalidSize = new(nameof(InvalidSize), "InvalidArgument",
        "The size cannot be read or is out of range.", "Write a size such as 10GB, '10GiB' or '1.5TB'.");
    /// <summary>An argument is missing, out of range or in conflict with another.</summary>
    public static readonly BlockError InvalidArgument = new(nameof(InvalidArgument), "InvalidArgument",
        "An argument is missing, out of range or in conflict with another.", "Get-Help about_BlockStorage");
    /// <summary>The IQN is not a valid iSCSI name.</summary>
    public static readonly BlockError InvalidIqn = new(nameof(InvalidIqn), "InvalidArgument",
        "The IQN is not a valid iSCSI name (RFC 7143, 4.2.7).", "Use a name such as iqn.2026-01.org.example:db1.");
    /// <summary>The CHAP user name or secret cannot be used.</summary>
    public static readonly BlockError InvalidCredential = new(nameof(InvalidCredential), "InvalidArgument",
        "The CHAP user name or secret cannot be used.", "Give a credential with a secret of 12 to 16 printable ASCII characters: -Credential (Get-Credential).");
    /// <summary>The folder cannot hold a pool.</summary>
    public static readonly BlockError InvalidPath = new(nameof(InvalidPath), "InvalidArgument",
        "The folder cannot hold a pool.", "New-BlockPool -Name NAME -Driver File -Path /another/folder");
    /// <summary>The pool has not enough space.</summary>
    public static readonly BlockError InsufficientSpace = new(nameof(InsufficientSpace), "LimitsExceeded",
        "The pool has not enough space.", "Get-BlockVolumeSupportedSize");
    /// <summary>No pool can take the volume.</summary>
    public static readonly BlockError NoValidPool = new(nameof(NoValidPool), "LimitsExceeded",
        "No pool can take the volume.", "Get-BlockPool | Format-List Name, State, Health, AvailableSize");
    /// <summary>The volume cannot become smaller.</summary>
    public static readonly BlockError ShrinkNotAllowed = new(nameof(ShrinkNotAllowed), "InvalidOperation",
        "The volume cannot become smaller.", "Give a size larger than the current one.");
    /// <summary>The object is in use.</summary>
    public static readonly BlockError VolumeInUse = new(nameof(VolumeInUse), "ResourceBusy",
        "The object is in use.", "Get-BlockConnection | Disconnect-BlockVolume");
    /// <summary>The object is published.</summary>
    public static readonly BlockError VolumePublished = new(nameof(VolumePublished), "ResourceBusy",
        "The object is published by a target.", "Get-IscsiTarget | Unpublish-IscsiTarget");
    /// <summary>The target already publishes something else.</summary>
    public static readonly BlockError TargetInUse = new(nameof(TargetInUse), "ResourceBusy",
        "The target publishes something else.", "Get-IscsiTarget");
    /// <summary>Initiators are logged in to the target.</summary>
    public static readonly BlockError TargetHasSessions = new(nameof(TargetHasSessions), "ResourceBusy",
        "Initiators are logged in to the target.", "Disconnect them first, or use -Force, which ends their sessions.");
    /// <summary>The device is mounted or held.</summary>
    public static readonly BlockError DeviceInUse = new(nameof(DeviceInUse), "ResourceBusy",
        "The device is mounted or held by something.", "Unmount it first.");
    /// <summary>Snapshots depend on the volume.</summary>
    public static readonly BlockError SnapshotDependency = new(nameof(SnapshotDependency), "InvalidOperation",
        "Snapshots depend on the volume.", "Remove the snapshots first, or use -Cascade.");
    /// <summary>A snapshot by copying cannot be taken while something can write.</summary>
    public static readonly BlockError SnapshotNeedsQuiesce = new(nameof(SnapshotNeedsQuiesce), "InvalidOperation",
        "This pool copies for a snapshot, which would be torn while something can write.", "Disconnect and unpublish the volume first, or use a pool whose file system shares extents: New-BlockPool -Name NAME -Driver File -Path /folder -Size 100GB");
    /// <summary>The pool still holds something.</summary>
    public static readonly BlockError PoolNotEmpty = new(nameof(PoolNotEmpty), "InvalidOperation",
        "The pool still holds volumes or snapshots.", "Get-BlockVolume | Remove-BlockVolume -Cascade");
    /// <summary>The pool is not available now.</summary>
    public static readonly BlockError PoolUnavailable = new(nameof(PoolUnavailable), "ResourceUnavailable",
        "The pool cannot be used now.", "Repair-BlockStorage");
    /// <summary>The state of the object does not allow it.</summary>
    public static readonly BlockError InvalidState = new(nameof(InvalidState), "InvalidOperation",
        "The state of the object does not allow it.", "Get-BlockOperation");
    /// <summary>Somebody changed the object at the same time.</summary>
    public static readonly BlockError Conflict = new(nameof(Conflict), "ResourceBusy",
        "Somebody changed the object at the same time.", "Run the command again.");
    /// <summary>Somebody holds the lock.</summary>
    public static readonly BlockError LockTimeout = new(nameof(LockTimeout), "ResourceBusy",
        "Another command holds the lock.", "Get-BlockOperation -State running");
    /// <summary>It needs root.</summary>
    public static readonly BlockError PrivilegeRequired = new(nameof(PrivilegeRequired), "PermissionDenied",
        "It needs root.", "sudo pwsh");
    /// <summary>A tool is not installed.</summary>
    public static readonly BlockError ToolMissing = new(nameof(ToolMissing), "NotInstalled",
        "A tool is not installed.", "Test-BlockStorageServer -Detailed");
    /// <summary>A tool failed.</summary>
    public static readonly BlockError ToolFailed = new(nameof(ToolFailed), "InvalidResult",
        "A tool failed.", "Test-BlockStorageServer -Detailed");
    /// <summary>A tool did not answer in time.</summary>
    public static readonly BlockError ToolTimeout = new(nameof(ToolTimeout), "OperationTimeout",
        "A tool did not answer in time.", "Get-BlockOperation");
    /// <summary>The backend is not able to do it.</summary>
    public static readonly BlockError NotSupported = new(nameof(NotSupported), "NotImplemented",
        "The driver cannot do it.", "Get-BlockStorageDriver | Format-List");
    /// <summary>The target refused the CHAP secret.</summary>
    public static readonly BlockError ChapRejected = new(nameof(ChapRejected), "AuthenticationError",
        "The target refused the CHAP secret.", "Connect-BlockVolume with -Credential (Get-Credential) of an initiator that has access: Get-IscsiTargetAccess");
    /// <summary>The target wants a CHAP secret that is not known here.</summary>
    public static readonly BlockError CredentialRequired = new(nameof(CredentialRequired), "AuthenticationError",
        "The target wants a CHAP secret that is not known here.", "Connect-BlockVolume with -Credential (Get-Credential)");
    /// <summary>The CHAP user name is in use with another secret.</summary>
    public static readonly BlockError CredentialConflict = new(nameof(CredentialConflict), "ResourceExists",
        "The CHAP user name is in use with another secret.", "Use another user name.");
    /// <summary>The target does not let this initiator in.</summary>
    public static readonly BlockError AccessDenied = new(nameof(AccessDenied), "PermissionDenied",
        "The target does not let this initiator in.", "Get-IscsiTargetAccess");
    /// <summary>The portal cannot be reached.</summary>
    public static readonly BlockError PortalUnreachable = new(nameof(PortalUnreachable), "ConnectionError",
        "The portal cannot be reached.", "Get-IscsiTarget; Test-BlockStorageServer -Detailed");
    /// <summary>The connection to the target is dead.</summary>
    public static readonly BlockError ConnectionLost = new(nameof(ConnectionLost), "ConnectionError",
        "The connection to the target is dead.", "Repair-BlockStorage, or Disconnect-BlockVolume -Force, which gives up unwritten data.");
    /// <summary>The device is not the one that was asked for.</summary>
    public static readonly BlockError WrongDevice = new(nameof(WrongDevice), "InvalidResult",
        "The device is not the one that was asked for.", "Repair-BlockStorage");
    /// <summary>The target driver's service does not run or answer.</summary>
    public static readonly BlockError TargetUnavailable = new(nameof(TargetUnavailable), "ResourceUnavailable",
        "The target service does not answer.", "Repair-BlockStorage");
    /// <summary>Data or metadata of a volume is gone or damaged.</summary>
    public static readonly BlockError VolumeDamaged = new(nameof(VolumeDamaged), "InvalidData",
        "The data or the description of the object is gone or damaged.", "Repair-BlockStorage -WhatIf");
    /// <summary>The catalogue is damaged.</summary>
    public static readonly BlockError CatalogDamaged = new(nameof(CatalogDamaged), "InvalidData",
        "The catalogue file is damaged.", "Repair-BlockStorage, which keeps the damaged file aside and reads the pools again.");
    /// <summary>The catalogue was written by a newer version.</summary>
    public static readonly BlockError CatalogTooNew = new(nameof(CatalogTooNew), "InvalidData",
        "The catalogue was written by a newer version of BlockStorage.", "Install-PSResource BlockStorage");
    /// <summary>The catalogue cannot be opened or written.</summary>
    public static readonly BlockError CatalogUnavailable = new(nameof(CatalogUnavailable), "ResourceUnavailable",
        "The catalogue cannot be opened or written.", "Test-BlockStorageServer -Detailed");
    /// <summary>The user stopped it.</summary>
    public static readonly BlockError Canceled = new(nameof(Canceled), "OperationStopped",
        "The command was stopped; what it had done was undone.", "Get-BlockOperation");
    /// <summary>The file system refused.</summary>
    public static readonly BlockError IoFailed = new(nameof(IoFailed), "WriteError",
        "The file system or a device refused.", "Test-BlockStorageServer -Detailed");
    /// <summary>A failure that has no entry of its own.</summary>
    public static readonly BlockError Unexpected = new(nameof(Unexpected), "InvalidResult",
        "A failure that has no entry of its own.", "Get-BlockStorageEvent; Repair-BlockStorage -WhatIf");

    /// <summary>All entries, by id.</summary>
    public static IReadOnlyList<BlockError> All { get; } = typeof(BlockErrors)
        .GetFields(BindingFlags.Public | BindingFlags.Static)
        .Where(field => field.FieldType == typeof(BlockError))
        .Select(field => (BlockError)field.GetValue(null)!)
        .OrderBy(error => error.Id, StringComparer.Ordinal)
        .ToArray();
}
