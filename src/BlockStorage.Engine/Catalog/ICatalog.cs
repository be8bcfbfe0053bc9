namespace BlockStorage.Engine.Catalog;

/// <summary>The records. No business rules; it never runs a command.</summary>
internal interface ICatalog : IDisposable
{
    /// <summary>Reads in one consistent view. Before the first write everything is empty and no file is made.</summary>
    T Read<T>(Func<ICatalogReader, T> read);

    /// <summary>Changes in one short immediate transaction: all or nothing, durable when it returns.</summary>
    void Write(Action<ICatalogTransaction> write);
}

/// <summary>Reading records.</summary>
internal interface ICatalogReader
{
    /// <summary>All records of a kind.</summary>
    IReadOnlyList<T> List<T>() where T : CatalogRecord;

    /// <summary>The records whose column has the value. Names compare without regard to case.</summary>
    IReadOnlyList<T> ListBy<T>(string column, string value) where T : CatalogRecord;

    /// <summary>The record of that id, or null.</summary>
    T? Find<T>(string id) where T : CatalogRecord;
}

/// <summary>Changing records.</summary>
internal interface ICatalogTransaction : ICatalogReader
{
    /// <summary>Adds a record.</summary>
    /// <exception cref="BlockStorageException">NameExists.</exception>
    void Insert<T>(T record) where T : CatalogRecord;

    /// <summary>Replaces the record if nobody has changed it since it was read.</summary>
    /// <returns>The record with its new version.</returns>
    /// <exception cref="BlockStorageException">Conflict, NameExists.</exception>
    T Update<T>(T record) where T : CatalogRecord;

    /// <summary>Removes the record if it is there.</summary>
    void Delete<T>(string id) where T : CatalogRecord;

    /// <summary>Removes finished operations and events from before the time.</summary>
    void Prune(DateTime before);
}
