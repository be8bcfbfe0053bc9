namespace BlockStorage.Services;

/// <summary>
/// One method for each verb that a front door offers. Reading verbs answer at once and change nothing. Changing verbs
/// check the request and give a plan; only running the plan changes anything. Every failure is a
/// <see cref="BlockStorageException"/>. Objects are named by id in requests; a literal name or id in a query that
/// matches nothing is the caller's to report.
/// </summary>
public interface IBlockStorageService : IAsyncDisposable
{
    /// <summary>Finishes or undoes operations whose process has died. Cheap when there are none.</summary>
    Task<IReadOnlyList<BlockRepairAction>> RecoverAsync(IWorkSink sink, CancellationToken cancel);

    /// <summary>This machine.</summary>
    Task<BlockStorageServer> GetServerAsync(CancellationToken cancel);
    /// <summary>Everything this machine needs, has and lacks. Works without a catalogue.</summary>
    Task<IReadOnlyList<BlockServerCheck>> TestServerAsync(CancellationToken cancel);
    /// <summary>Drivers and what they can do here.</summary>
    Task<IReadOnlyList<BlockStorageDriver>> GetDriversAsync(CancellationToken cancel);
    /// <summary>Settings.</summary>
    Task<BlockStorageConfiguration> GetConfigurationAsync(CancellationToken cancel);
    /// <summary>Changes settings.</summary>
    Task<BlockPlan<BlockStorageConfiguration>> SetConfigurationAsync(SetConfigurationRequest request, CancellationToken cancel);
    /// <summary>Operations, newest first.</summary>
    Task<IReadOnlyList<BlockOperation>> GetOperationsAsync(OperationQuery query, CancellationToken cancel);
    /// <summary>Asks a running operation to stop and undo.</summary>
    Task<BlockPlan<BlockOperation>> StopOperationAsync(string id, CancellationToken cancel);
    /// <summary>Events, oldest first.</summary>
    Task<IReadOnlyList<BlockStorageEvent>> GetEventsAsync(EventQuery query, CancellationToken cancel);
    /// <summary>Differences between record and reality and what would set them right; running the plan does it.</summary>
    Task<BlockPlan<IReadOnlyList<BlockRepairAction>>> RepairAsync(CancellationToken cancel);
    /// <summary>The same; when forced, sessions of targets that nobody granted end too.</summary>
    Task<BlockPlan<IReadOnlyList<BlockRepairAction>>> RepairAsync(bool force, CancellationToken cancel);

    /// <summary>Pools.</summary>
    Task<IReadOnlyList<BlockPool>> GetPoolsAsync(ObjectQuery query, CancellationToken cancel);
    /// <summary>Makes a pool.</summary>
    Task<BlockPlan<BlockPool>> NewPoolAsync(NewPoolRequest request, CancellationToken cancel);
    /// <summary>Changes settings of a pool.</summary>
    Task<BlockPlan<BlockPool>> SetPoolAsync(string id, SetPoolRequest request, CancellationToken cancel);
    /// <summary>Renames a pool; its data stays where it is.</summary>
    Task<BlockPlan<BlockPool>> RenamePoolAsync(string id, string newName, CancellationToken cancel);
    /// <summary>Removes an empty pool.</summary>
    Task<BlockPlan<bool>> RemovePoolAsync(string id, CancellationToken cancel);

    /// <summary>Volumes.</summary>
    Task<IReadOnlyList<BlockVolume>> GetVolumesAsync(VolumeQuery query, CancellationToken cancel);
    /// <summary>Makes a volume; on a machine without a pool also the pool "default".</summary>
    Task<BlockPlan<BlockVolume>> NewVolumeAsync(NewVolumeRequest request, CancellationToken cancel);
    /// <summary>Changes texts and flags of a volume.</summary>
    Task<BlockPlan<BlockVolume>> SetVolumeAsync(string id, SetVolumeRequest request, CancellationToken cancel);
    /// <summary>Renames a volume; device, IQN and serial stay.</summary>
    Task<BlockPlan<BlockVolume>> RenameVolumeAsync(string id, string newName, CancellationToken cancel);
    /// <summary>Makes a volume larger, through target and connection.</summary>
    Task<BlockPlan<BlockVolume>> ResizeVolumeAsync(string id, ResizeVolumeRequest request, CancellationToken cancel);
    /// <summary>Removes a volume.</summary>
    /// <param name="id">Id.</param>
    /// <param name="cascade">Its snapshots too.</param>
    /// <param name="force">Disconnect and unpublish it first.</param>
    /// <param name="cancel">Stops it.</param>
    Task<BlockPlan<bool>> RemoveVolumeAsync(string id, bool cascade, bool force, CancellationToken cancel);
    /// <summary>Sizes that a new volume in a pool can have.</summary>
    Task<BlockSizeRange> GetPoolSizesAsync(string poolId, CancellationToken cancel);
    /// <summary>Sizes that a volume can get.</summary>
    Task<BlockSizeRange> GetVolumeSizesAsync(string volumeId, CancellationToken cancel);

    /// <summary>Snapshots.</summary>
    Task<IReadOnlyList<BlockSnapshot>> GetSnapshotsAsync(SnapshotQuery query, CancellationToken cancel);
    /// <summary>Takes a snapshot.</summary>
    Task<BlockPlan<BlockSnapshot>> NewSnapshotAsync(NewSnapshotRequest request, CancellationToken cancel);
    /// <summary>Changes texts of a snapshot.</summary>
    Task<BlockPlan<BlockSnapshot>> SetSnapshotAsync(string id, SetSnapshotRequest request, CancellationToken cancel);
    /// <summary>Removes a snapshot.</summary>
    Task<BlockPlan<bool>> RemoveSnapshotAsync(string id, bool force, CancellationToken cancel);
    /// <summary>Sets a volume back to a snapshot, atomically; the snapshot stays.</summary>
    Task<BlockPlan<BlockVolume>> RestoreSnapshotAsync(string id, CancellationToken cancel);

    /// <summary>Targets.</summary>
    Task<IReadOnlyList<IscsiTarget>> GetTargetsAsync(TargetQuery query, CancellationToken cancel);
    /// <summary>Makes a target that publishes nothing yet.</summary>
    Task<BlockPlan<IscsiTarget>> NewTargetAsync(NewTargetRequest request, CancellationToken cancel);
    /// <summary>Changes credentials of a target.</summary>
    Task<BlockPlan<IscsiTarget>> SetTargetAsync(string id, SetTargetRequest request, CancellationToken cancel);
    /// <summary>Removes a target and its access rights.</summary>
    Task<BlockPlan<bool>> RemoveTargetAsync(string id, bool force, CancellationToken cancel);
    /// <summary>Publishes a volume or snapshot.</summary>
    Task<BlockPlan<IscsiTarget>> PublishAsync(PublishRequest request, CancellationToken cancel);
    /// <summary>Stops publishing; an automatic target goes, a made one stays empty.</summary>
    Task<BlockPlan<bool>> UnpublishAsync(string targetId, bool force, CancellationToken cancel);
    /// <summary>Access rights of the targets.</summary>
    Task<IReadOnlyList<IscsiTargetAccess>> GetAccessAsync(TargetQuery query, CancellationToken cancel);
    /// <summary>Lets an initiator in.</summary>
    Task<BlockPlan<IscsiTargetAccess>> GrantAccessAsync(
        string targetId, string initiator, ChapCredential? credential, bool noChap, CancellationToken cancel);
    /// <summary>Shuts an initiator out.</summary>
    Task<BlockPlan<bool>> RevokeAccessAsync(string targetId, string initiator, CancellationToken cancel);

    /// <summary>Asks a portal for its targets.</summary>
    Task<IReadOnlyList<IscsiTargetAddress>> FindTargetsAsync(DiscoveryRequest request, CancellationToken cancel);
    /// <summary>Connects; gives the connection that exists where there is one.</summary>
    Task<BlockPlan<BlockConnection>> ConnectAsync(ConnectRequest request, CancellationToken cancel);
    /// <summary>Disconnects: flush, detach, log out, clean up.</summary>
    /// <param name="connectionId">Id.</param>
    /// <param name="force">Also when it is mounted or its link is dead; unwritten data is lost.</param>
    /// <param name="cancel">Stops it.</param>
    Task<BlockPlan<bool>> DisconnectAsync(string connectionId, bool force, CancellationToken cancel);
    /// <summary>Connections of this machine, probed.</summary>
    Task<IReadOnlyList<BlockConnection>> GetConnectionsAsync(ConnectionQuery query, CancellationToken cancel);
    /// <summary>This machine as an initiator.</summary>
    Task<IscsiInitiator> GetInitiatorAsync(CancellationToken cancel);
    /// <summary>Changes the IQN of this machine for new connections.</summary>
    Task<BlockPlan<IscsiInitiator>> SetInitiatorAsync(string iqn, CancellationToken cancel);
}
