using BlockStorage.Engine.Catalog;
using BlockStorage.Engine.Catalog.Sqlite;
using BlockStorage.Engine.Host;
using Microsoft.Data.Sqlite;

namespace BlockStorage.Engine.Tests.Catalog;

/// <summary>The suite over SQLite, and what can happen to a file.</summary>
public sealed class SqliteCatalogTests : CatalogSuite
{
    private readonly TestFolder _folder = new();

    private StateRoot Root => new(_folder.File("home"));

    private string File => Root.CatalogFile;

    private protected override ICatalog Make() => new SqliteCatalog(Root);

    public override void Dispose()
    {
        base.Dispose();
        _folder.Dispose();
    }

    [Fact]
    public void Reads_make_no_file()
    {
        Open().Read(catalog => catalog.List<PoolRecord>());
        Assert.False(Directory.Exists(Root.Home));
    }

    [Fact]
    public void The_file_and_its_folder_are_closed_to_others_and_nothing_else_is_left()
    {
        Fill();
        const UnixFileMode file = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        Assert.Equal(file, System.IO.File.GetUnixFileMode(File));
        Assert.Equal(file | UnixFileMode.UserExecute, System.IO.File.GetUnixFileMode(Root.Home));
        SqliteConnection.ClearAllPools();
        Assert.Equal([File], Directory.GetFileSystemEntries(Root.Home));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(100)]
    [InlineData(70_000)]
    public void Garbage_is_refused_and_kept(int length)
    {
        Place(Enumerable.Range(0, length).Select(number => (byte)(number * 37)).ToArray());
        Refused(BlockErrors.CatalogDamaged);
    }

    [Fact]
    public void A_foreign_database_is_refused_and_kept()
    {
        Directory.CreateDirectory(Root.Home);
        Sql("CREATE TABLE pool (id TEXT); INSERT INTO pool VALUES ('x'); PRAGMA user_version = 1;", SqliteOpenMode.ReadWriteCreate);
        Assert.Contains("not a BlockStorage catalogue", Refused(BlockErrors.CatalogDamaged).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_newer_version_is_refused_and_kept()
    {
        Fill();
        Sql($"PRAGMA user_version = {Schema.Current + 1};");
        var error = Refused(BlockErrors.CatalogTooNew);
        Assert.Contains($"version {Schema.Current + 1}", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(50)]
    [InlineData(4096)]
    [InlineData(9000)]
    public void A_truncated_file_is_refused_and_kept(int length)
    {
        Fill();
        Place(System.IO.File.ReadAllBytes(File)[..length]);
        Refused(BlockErrors.CatalogDamaged);
    }

    [Fact]
    public void A_torn_page_is_refused_and_kept()
    {
        Fill();
        var bytes = System.IO.File.ReadAllBytes(File);
        Array.Fill(bytes, (byte)0xA5, 4096, 4096);
        Place(bytes);
        Refused(BlockErrors.CatalogDamaged);
    }

    [Fact]
    public void Set_aside_keeps_the_old_bytes_and_the_next_write_begins_anew()
    {
        byte[] garbage = [1, 2, 3, 4, 5];
        Place(garbage);
        var catalog = new SqliteCatalog(Root);
        var aside = catalog.SetAside();
        Assert.Equal(garbage, System.IO.File.ReadAllBytes(aside));
        Assert.Empty(catalog.Read(read => read.List<VolumeRecord>()));
        catalog.Write(write => write.Insert(Sample.Volume()));
        Assert.Single(catalog.Read(read => read.List<VolumeRecord>()));
        Assert.Equal(garbage, System.IO.File.ReadAllBytes(aside));
        catalog.Dispose();
    }

    [Fact]
    public void Two_damaged_files_of_one_second_are_both_kept()
    {
        var catalog = new SqliteCatalog(Root);
        Place([1]);
        var first = catalog.SetAside();
        Place([2]);
        var second = catalog.SetAside();
        Assert.Equal([1], System.IO.File.ReadAllBytes(first));
        Assert.Equal([2], System.IO.File.ReadAllBytes(second));
    }

    [Fact]
    public void The_log_of_an_older_database_does_not_get_into_a_new_one()
    {
        Fill();
        using (var catalog = new SqliteCatalog(Root))
        {
            catalog.Write(write => write.Insert(Sample.Volume("in-the-log")));
            System.IO.File.Copy(File + "-wal", _folder.File("wal"));
        }
        foreach (var name in Directory.GetFiles(Root.Home))
            System.IO.File.Delete(name);
        System.IO.File.Copy(_folder.File("wal"), File + "-wal");
        using var fresh = new SqliteCatalog(Root);
        fresh.Write(write => write.Insert(Sample.Volume("new")));
        Assert.Equal("new", Assert.Single(fresh.Read(read => read.List<VolumeRecord>())).Name);
    }

    [Fact]
    public void What_a_killed_maker_left_does_not_get_in_the_way()
    {
        Directory.CreateDirectory(Root.Home);
        System.IO.File.WriteAllText(File + ".new", "half");
        System.IO.File.WriteAllText(File + ".new.lock", "process 999999 (x)");
        Fill();
        Assert.Single(Open().Read(read => read.List<VolumeRecord>()));
        Assert.DoesNotContain(Directory.GetFiles(Root.Home), name => name.Contains(".new", StringComparison.Ordinal));
    }

    [RootFact]
    public Task A_full_file_system_is_told_and_nothing_is_lost() => OnFileSystemAsync("size=1m", MountFlags.None, () =>
    {
        Fill();
        SqliteConnection.ClearAllPools();
        using (var ballast = System.IO.File.Create(Path.Combine(Root.Home, "ballast")))
            Assert.Throws<IOException>(() => { for (var i = 0; i < 4096; i++) ballast.Write(new byte[4096]); ballast.Flush(flushToDisk: true); });
        var error = Fails(BlockErrors.CatalogUnavailable, () => Open().Write(write => write.Insert(Sample.Volume("one-more"))));
        Assert.True(error.Message.Contains("full", StringComparison.Ordinal), error.Message);
        System.IO.File.Delete(Path.Combine(Root.Home, "ballast"));
        Assert.Equal("v", Assert.Single(Open().Read(read => read.List<VolumeRecord>())).Name);
    });

    [RootFact]
    public Task Making_it_on_a_full_file_system_leaves_nothing() => OnFileSystemAsync("size=16k", MountFlags.None, () =>
    {
        Fails(BlockErrors.CatalogUnavailable, () => Open().Write(write => write.Insert(Sample.Volume())));
        Assert.Empty(Directory.GetFileSystemEntries(Root.Home));
    });

    [RootFact]
    public Task A_read_only_file_system_is_told() => OnFileSystemAsync("size=1m", MountFlags.ReadOnly, () =>
    {
        Assert.Empty(Open().Read(read => read.List<VolumeRecord>()));
        Fails(BlockErrors.CatalogUnavailable, () => Open().Write(write => write.Insert(Sample.Volume())));
    });

    private async Task OnFileSystemAsync(string options, MountFlags flags, Action test)
    {
        Directory.CreateDirectory(Root.Home);
        Mounts.Mount("tmpfs", Root.Home, "tmpfs", flags, options);
        try
        {
            test();
        }
        finally
        {
            SqliteConnection.ClearAllPools();
            await Mounts.UnmountAsync(Root.Home, default);
        }
    }

    private void Fill()
    {
        using var catalog = new SqliteCatalog(Root);
        catalog.Write(write => write.Insert(Sample.Volume()));
    }

    private void Place(byte[] bytes)
    {
        Directory.CreateDirectory(Root.Home);
        SqliteConnection.ClearAllPools();
        System.IO.File.WriteAllBytes(File, bytes);
    }

    private void Sql(string text, SqliteOpenMode mode = SqliteOpenMode.ReadWrite)
    {
        using var connection = new SqliteConnection(new SqliteConnectionStringBuilder { DataSource = File, Mode = mode, Pooling = false }.ToString());
        connection.Open();
        using var command = connection.CreateCommand();
        command.CommandText = text;
        command.ExecuteNonQuery();
    }

    private BlockStorageException Refused(BlockError error)
    {
        var before = System.IO.File.ReadAllBytes(File);
        Fails(error, () => Open().Read(read => read.List<VolumeRecord>()));
        var thrown = Fails(error, () => Open().Write(write => write.Insert(Sample.Volume("w"))));
        Assert.Equal(before, System.IO.File.ReadAllBytes(File));
        Assert.Equal(File, thrown.Subject);
        return thrown;
    }
}
