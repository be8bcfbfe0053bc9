using BlockStorage.Engine.Operations;
using BlockStorage.Engine.Tests.Catalog;
using BlockStorage.Engine.Volumes;
using BlockStorage.Services;

namespace BlockStorage.Engine.Tests.Operations;

public sealed class OperationJsonTests
{
    private const string Secret = "TOP-secret-16chr";
    private static readonly ChapCredential Chap = new("user-1", Secret);

    private static IEnumerable<Operation> All()
    {
        var (pool, volume, snapshot, target, grant, connection) =
            (Sample.Pool(), Sample.Volume(), Sample.Snapshot(), Sample.Target(), Sample.Grant(), Sample.Connection());
        yield return new CreatePool(pool);
        yield return new UpdatePool(pool, pool with { Name = "new" });
        yield return new RemovePool(pool);
        yield return new CreateVolume(volume, pool.Name, null);
        yield return new CreateVolume(volume, pool.Name, new VolumeSource(BackendKind.Snapshot, snapshot.Id, snapshot.Name));
        yield return new UpdateVolume(volume, volume with { Tags = [] });
        yield return new ResizeVolume(volume, pool.Name, long.MaxValue, target.Id, [connection.Id, "other"]);
        yield return new RemoveVolume(volume, pool.Name);
        yield return new CreateSnapshot(snapshot, volume.Name, pool.Name);
        yield return new UpdateSnapshot(snapshot, snapshot with { ExpiresAt = null });
        yield return new RemoveSnapshot(snapshot, volume.Name, pool.Name);
        yield return new RestoreSnapshot(snapshot, volume, pool.Name, target.Id);
        yield return new Publish(target, [grant], volume.Name, pool.Id, Exists: false) { Secrets = Secrets(grant.Id, target.MutualSecretId) };
        yield return new Publish(target with { Lun = null, VolumeId = "" }, [], "", "", Exists: true);
        yield return new ServeTarget(target);
        yield return new Unpublish(target, volume.Name, RemoveTarget: true, Force: true);
        yield return new ChangeAccess(target, [grant], [Sample.Grant(target.Id, "*")], [grant], "mutual-2", "Grant access") { Secrets = Secrets("x") };
        yield return new Connect(connection, volume.Name, target.Id, pool.Id, "iqn.2026-01.org.example:host", TimeSpan.FromSeconds(7)) { Chap = Chap, MutualChap = Chap };
        yield return new Disconnect(connection, volume.Name, Force: true);
    }

    [Fact]
    public void Every_operation_comes_back_the_same()
    {
        foreach (var operation in All())
        {
            var body = OperationJson.Write(operation);
            var back = OperationJson.Read(Sample.Operation() with { Kind = operation.KindName, Body = body });
            Assert.Equal(operation.GetType(), back.GetType());
            Assert.Equal(body, OperationJson.Write(back));
            Assert.Equal((operation.Action, operation.Target, operation.VolumeName, operation.RollsForward(0)), (back.Action, back.Target, back.VolumeName, back.RollsForward(0)));
            Assert.Equal(operation.Locks(), back.Locks());
        }
    }

    [Fact]
    public void No_secret_is_in_any_of_them()
    {
        foreach (var operation in All())
        {
            Assert.DoesNotContain(Secret, OperationJson.Write(operation), StringComparison.Ordinal);
            Assert.DoesNotContain(Secret, operation.Target + operation.Action, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Every_kind_of_operation_is_tried_here() => Assert.Equal(
        typeof(Operation).Assembly.GetTypes().Where(type => type.IsSubclassOf(typeof(Operation))).Select(type => type.Name).Order(),
        All().Select(operation => operation.KindName).Distinct().Order());

    [Theory]
    [InlineData("CreateVolume", "")]
    [InlineData("CreateVolume", "{")]
    [InlineData("CreateVolume", "null")]
    [InlineData("CreateVolume", "{\"Volume\":7}")]
    [InlineData("FromTheFuture", "{}")]
    [InlineData("OperationRunner", "{}")]
    public void What_cannot_be_read_is_damage_with_the_id(string kind, string body)
    {
        var entry = Sample.Operation() with { Kind = kind, Body = body };
        var error = Assert.Throws<BlockStorageException>(() => OperationJson.Read(entry));
        Assert.Equal((BlockErrors.CatalogDamaged.Id, entry.Id), (error.ErrorId, error.Subject));
    }

    private static NewSecrets Secrets(params string[] ids)
    {
        var secrets = new NewSecrets();
        foreach (var id in ids)
            secrets.Add(id, Chap);
        return secrets;
    }
}
