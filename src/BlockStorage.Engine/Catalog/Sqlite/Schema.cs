namespace BlockStorage.Engine.Catalog.Sqlite;

/// <summary>The schema, version by version. A released version never changes; a new one adds statements.</summary>
internal static class Schema
{
    /// <summary>Marks the file as ours (PRAGMA application_id): "BLKS".</summary>
    public const int ApplicationId = 0x424C4B53;

    /// <summary>Newest version this build knows.</summary>
    public static int Current => Versions.Count;

    /// <summary>Statements that lead from version N to N+1, at index N.</summary>
    public static IReadOnlyList<string> Versions { get; } =
    [
        """
        CREATE TABLE pool (id TEXT PRIMARY KEY, version INTEGER NOT NULL, name TEXT NOT NULL COLLATE NOCASE UNIQUE,
            driver TEXT NOT NULL, path TEXT NOT NULL UNIQUE, size INTEGER, ratio REAL NOT NULL, reserved_percent INTEGER NOT NULL,
            warning_percent INTEGER NOT NULL, provisioning TEXT NOT NULL, description TEXT NOT NULL, state TEXT NOT NULL,
            last_error TEXT NOT NULL, operation_id TEXT NOT NULL, created_at TEXT NOT NULL) WITHOUT ROWID;
        CREATE TABLE volume (id TEXT PRIMARY KEY, version INTEGER NOT NULL, name TEXT NOT NULL COLLATE NOCASE UNIQUE,
            pool_id TEXT NOT NULL, size INTEGER NOT NULL, provisioning TEXT NOT NULL, read_only INTEGER NOT NULL,
            description TEXT NOT NULL, tags TEXT NOT NULL, pending INTEGER NOT NULL, state TEXT NOT NULL,
            last_error TEXT NOT NULL, operation_id TEXT NOT NULL, created_at TEXT NOT NULL) WITHOUT ROWID;
        CREATE INDEX volume_pool ON volume (pool_id);
        CREATE TABLE snapshot (id TEXT PRIMARY KEY, version INTEGER NOT NULL, name TEXT NOT NULL COLLATE NOCASE UNIQUE,
            volume_id TEXT NOT NULL, pool_id TEXT NOT NULL, size INTEGER NOT NULL, description TEXT NOT NULL, tags TEXT NOT NULL,
            expires_at TEXT, pending INTEGER NOT NULL, state TEXT NOT NULL, last_error TEXT NOT NULL,
            operation_id TEXT NOT NULL, created_at TEXT NOT NULL) WITHOUT ROWID;
        CREATE INDEX snapshot_volume ON snapshot (volume_id);
        CREATE TABLE target (id TEXT PRIMARY KEY, version INTEGER NOT NULL, name TEXT NOT NULL COLLATE NOCASE UNIQUE,
            driver TEXT NOT NULL, portals TEXT NOT NULL, volume_id TEXT NOT NULL, snapshot_id TEXT NOT NULL, lun INTEGER,
            read_only INTEGER NOT NULL, serial TEXT NOT NULL, automatic INTEGER NOT NULL, mutual_secret_id TEXT NOT NULL,
            state TEXT NOT NULL, last_error TEXT NOT NULL, operation_id TEXT NOT NULL, created_at TEXT NOT NULL) WITHOUT ROWID;
        CREATE INDEX target_volume ON target (volume_id);
        CREATE TABLE access (id TEXT PRIMARY KEY, version INTEGER NOT NULL, target_id TEXT NOT NULL,
            initiator TEXT NOT NULL COLLATE NOCASE, user_name TEXT NOT NULL, created_at TEXT NOT NULL,
            UNIQUE (target_id, initiator)) WITHOUT ROWID;
        CREATE TABLE connection (id TEXT PRIMARY KEY, version INTEGER NOT NULL, protocol TEXT NOT NULL, connector TEXT NOT NULL,
            volume_id TEXT NOT NULL, snapshot_id TEXT NOT NULL, iqn TEXT NOT NULL, portal TEXT NOT NULL, lun INTEGER,
            serial TEXT NOT NULL, size INTEGER NOT NULL, read_only INTEGER NOT NULL, device_path TEXT NOT NULL,
            hctl TEXT NOT NULL, state TEXT NOT NULL, last_error TEXT NOT NULL, operation_id TEXT NOT NULL,
            created_at TEXT NOT NULL) WITHOUT ROWID;
        CREATE INDEX connection_volume ON connection (volume_id);
        CREATE TABLE operation (id TEXT PRIMARY KEY, version INTEGER NOT NULL, kind TEXT NOT NULL, state TEXT NOT NULL,
            target TEXT NOT NULL, volume TEXT NOT NULL, body TEXT NOT NULL, steps TEXT NOT NULL, done INTEGER NOT NULL,
            undoing INTEGER NOT NULL, stop_requested INTEGER NOT NULL, error TEXT NOT NULL, process_id INTEGER NOT NULL,
            user_name TEXT NOT NULL, started_at TEXT NOT NULL, ended_at TEXT);
        CREATE INDEX operation_state ON operation (state);
        CREATE TABLE event (id TEXT PRIMARY KEY, version INTEGER NOT NULL, time TEXT NOT NULL, level TEXT NOT NULL,
            message TEXT NOT NULL, volume TEXT NOT NULL, operation_id TEXT NOT NULL, user_name TEXT NOT NULL);
        CREATE INDEX event_time ON event (time);
        CREATE TABLE setting (id TEXT PRIMARY KEY, version INTEGER NOT NULL, value TEXT NOT NULL) WITHOUT ROWID;
        """,
    ];
}
