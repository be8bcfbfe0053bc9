using BlockStorage.Engine.Catalog;

namespace BlockStorage.Engine.Tests.Catalog;

/// <summary>What every catalogue does. A new one is finished when this is green for it.</summary>
public abstract class CatalogSuite : IDisposable
{
    private readonly List<ICatalog> _opened = [];

    /// <summary>A catalogue over the store of this test, as a process of its own opens it.</summary>
    private protected abstract ICatalog Make();

    private protected ICatalog Open()
    {
        var catalog = Make();
        _opened.Add(catalog);
        return catalog;
    }

    public virtual void Dispose()
    {
        foreach (var catalog in _opened)
            catalog.Dispose();
        GC.SuppressFinalize(this);
    }

    [Fact]
    public void Before_the_first_write_everything_is_empty()
    {
        var catalog = Open();
        Assert.Empty(catalog.Read(reader => reader.List<VolumeRecord>()));
        Assert.Empty(catalog.Read(reader => reader.ListBy<VolumeRecord>("name", "v")));
        Assert.Null(catalog.Read(reader => reader.Find<PoolRecord>("x")));
    }

    [Fact]
    public void Every_kind_of_record_comes_back_as_it_was_written()
    {
        RoundTrip(Sample.Pool());
        RoundTrip(Sample.Pool("other") with { Size = null });
        RoundTrip(Sample.Volume());
        RoundTrip(Sample.Snapshot());
        RoundTrip(Sample.Snapshot("never") with { ExpiresAt = null, Tags = [] });
        RoundTrip(Sample.Target());
        RoundTrip(Sample.Target("iqn.2026-01.org.example:empty") with { Lun = null });
        RoundTrip(Sample.Grant());
        RoundTrip(Sample.Connection());
        RoundTrip(Sample.Connection() with { Lun = null });
        RoundTrip(Sample.Operation());
        RoundTrip(Sample.Operation(ended: Sample.Moment));
        RoundTrip(Sample.Event(Sample.Moment));
        RoundTrip(new SettingRecord { Id = "PortalPort", Value = "3260" });
    }

    private void RoundTrip<T>(T record) where T : CatalogRecord
    {
        Open().Write(catalog => catalog.Insert(record));
        var found = Open().Read(catalog => catalog.Find<T>(record.Id));
        Assert.Equivalent(record with { Version = 1 }, found, strict: true);
    }

    [Fact]
    public void ListBy_finds_by_a_column_and_names_without_regard_to_case()
    {
        var (one, two) = (Sample.Volume("One", "pool-a"), Sample.Volume("Two", "pool-b"));
        Open().Write(catalog => { catalog.Insert(one); catalog.Insert(two); });
        var read = Open();
        Assert.Equal(one.Id, Assert.Single(read.Read(catalog => catalog.ListBy<VolumeRecord>("pool_id", "pool-a"))).Id);
        Assert.Equal(two.Id, Assert.Single(read.Read(catalog => catalog.ListBy<VolumeRecord>("name", "tWO"))).Id);
        Assert.Empty(read.Read(catalog => catalog.ListBy<VolumeRecord>("name", "T%")));
        Assert.Empty(read.Read(catalog => catalog.ListBy<VolumeRecord>("name", "' OR 1=1 --")));
        Assert.Throws<ArgumentException>(() => read.Read(catalog => catalog.ListBy<VolumeRecord>("id; DROP TABLE volume", "x")));
        Assert.Equal(2, read.Read(catalog => catalog.List<VolumeRecord>()).Count);
    }

    [Fact]
    public void An_update_of_a_stale_record_is_a_conflict_and_changes_nothing()
    {
        var (mine, theirs) = (Open(), Open());
        var volume = Sample.Volume();
        mine.Write(catalog => catalog.Insert(volume));
        var stale = mine.Read(catalog => catalog.Find<VolumeRecord>(volume.Id))!;
        VolumeRecord? updated = null;
        theirs.Write(catalog => updated = catalog.Update(stale with { Size = 2 }));
        Assert.Equal(stale.Version + 1, updated!.Version);
        Fails(BlockErrors.Conflict, () => mine.Write(catalog => catalog.Update(stale with { Size = 3 })));
        Assert.Equal(2, mine.Read(catalog => catalog.Find<VolumeRecord>(volume.Id))!.Size);
    }

    [Fact]
    public void An_update_of_what_is_gone_is_a_conflict()
    {
        var catalog = Open();
        var volume = Sample.Volume();
        catalog.Write(write => write.Insert(volume));
        catalog.Write(write => write.Delete<VolumeRecord>(volume.Id));
        catalog.Write(write => write.Delete<VolumeRecord>(volume.Id));
        Fails(BlockErrors.Conflict, () => catalog.Write(write => write.Update(volume with { Version = 1 })));
        Assert.Empty(catalog.Read(read => read.List<VolumeRecord>()));
    }

    [Fact]
    public void Names_are_unique_without_regard_to_case_at_insert_and_at_rename()
    {
        var catalog = Open();
        var other = Sample.Volume("other");
        catalog.Write(write => { write.Insert(Sample.Volume("Name")); write.Insert(other); });
        Assert.Contains("nAME", Fails(BlockErrors.NameExists, () => catalog.Write(write => write.Insert(Sample.Volume("nAME")))).Message, StringComparison.Ordinal);
        Fails(BlockErrors.NameExists, () => catalog.Write(write => write.Update(other with { Version = 1, Name = "NAME" })));
        var pool = Sample.Pool("Pool");
        catalog.Write(write => write.Insert(pool));
        Fails(BlockErrors.NameExists, () => catalog.Write(write => write.Insert(Sample.Pool("POOL"))));
        Fails(BlockErrors.NameExists, () => catalog.Write(write => write.Insert(Sample.Pool("elsewhere") with { Path = pool.Path })));
        catalog.Write(write => write.Insert(Sample.Snapshot("Name")));
        Fails(BlockErrors.NameExists, () => catalog.Write(write => write.Insert(Sample.Snapshot("name"))));
        catalog.Write(write => write.Insert(Sample.Target()));
        Fails(BlockErrors.NameExists, () => catalog.Write(write => write.Insert(Sample.Target())));
        catalog.Write(write => write.Insert(Sample.Grant()));
        Fails(BlockErrors.NameExists, () => catalog.Write(write => write.Insert(Sample.Grant())));
        Assert.Equal(["Name", "other"], catalog.Read(read => read.List<VolumeRecord>()).Select(volume => volume.Name).Order());
    }

    [Fact]
    public void A_write_that_throws_changes_nothing()
    {
        var catalog = Open();
        var kept = Sample.Volume("kept");
        catalog.Write(write => write.Insert(kept));
        Assert.Throws<InvalidOperationException>(() => catalog.Write(write =>
        {
            write.Insert(Sample.Volume("lost"));
            write.Update(kept with { Version = 1, Size = 1 });
            write.Delete<VolumeRecord>(kept.Id);
            write.Insert(Sample.Pool());
            throw new InvalidOperationException("in the middle");
        }));
        var found = Assert.Single(catalog.Read(read => read.List<VolumeRecord>()));
        Assert.Equal((kept.Id, kept.Size, 1L), (found.Id, found.Size, found.Version));
        Assert.Empty(catalog.Read(read => read.List<PoolRecord>()));
        catalog.Write(write => write.Insert(Sample.Volume("later")));
    }

    [Fact]
    public void A_transaction_sees_its_own_changes_and_a_reader_one_moment()
    {
        var (writer, reader) = (Open(), Open());
        writer.Write(write =>
        {
            write.Insert(Sample.Volume("a"));
            Assert.Single(write.List<VolumeRecord>());
        });
        var counts = reader.Read(read =>
        {
            var before = read.List<VolumeRecord>().Count;
            writer.Write(write => write.Insert(Sample.Volume("b")));
            return (before, after: read.List<VolumeRecord>().Count);
        });
        Assert.Equal((1, 1), counts);
        Assert.Equal(2, reader.Read(read => read.List<VolumeRecord>().Count));
    }

    [Fact]
    public async Task Writers_at_the_same_time_lose_nothing()
    {
        var counter = new SettingRecord { Id = "counter", Value = "0" };
        Open().Write(write => write.Insert(counter));
        var catalogs = Enumerable.Range(0, 4).Select(_ => Open()).ToArray();
        await Task.WhenAll(catalogs.Select(catalog => Task.Run(() =>
        {
            for (var round = 0; round < 25; round++)
            {
                catalog.Write(write =>
                {
                    var now = write.Find<SettingRecord>("counter")!;
                    write.Update(now with { Value = (int.Parse(now.Value, null) + 1).ToString((IFormatProvider?)null) });
                });
            }
        })));
        var end = Open().Read(read => read.Find<SettingRecord>("counter"))!;
        Assert.Equal(("100", 101L), (end.Value, end.Version));
    }

    [Fact]
    public async Task Two_that_make_the_catalogue_at_once_make_one()
    {
        var catalogs = Enumerable.Range(0, 4).Select(_ => Open()).ToArray();
        await Task.WhenAll(catalogs.Select((catalog, number) => Task.Run(() => catalog.Write(write => write.Insert(Sample.Volume($"v{number}"))))));
        Assert.Equal(4, Open().Read(read => read.List<VolumeRecord>()).Count);
    }

    [Fact]
    public void Prune_removes_what_ended_before_and_nothing_open()
    {
        var limit = Sample.Moment;
        var (ended, late, open) = (
            Sample.Operation(BlockStates.Succeeded, limit.AddSeconds(-1)), Sample.Operation(BlockStates.Failed, limit.AddSeconds(1)),
            Sample.Operation(BlockStates.Interrupted) with { StartedAt = limit.AddYears(-1) });
        var catalog = Open();
        catalog.Write(write =>
        {
            write.Insert(ended);
            write.Insert(late);
            write.Insert(open);
            write.Insert(Sample.Event(limit.AddMilliseconds(-1)));
            write.Insert(Sample.Event(limit));
            write.Insert(Sample.Volume());
            write.Prune(limit);
        });
        Assert.Equal(new[] { late.Id, open.Id }.Order(), catalog.Read(read => read.List<OperationRecord>()).Select(entry => entry.Id).Order());
        Assert.Equal(limit, Assert.Single(catalog.Read(read => read.List<EventRecord>())).Time);
        Assert.Single(catalog.Read(read => read.List<VolumeRecord>()));
    }

    private protected static BlockStorageException Fails(BlockError error, Action action)
    {
        var thrown = Assert.Throws<BlockStorageException>(action);
        Assert.Equal(error.Id, thrown.ErrorId);
        Assert.NotEmpty(thrown.NextStep);
        return thrown;
    }
}
