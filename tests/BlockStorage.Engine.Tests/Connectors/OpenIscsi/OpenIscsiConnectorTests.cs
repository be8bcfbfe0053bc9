using BlockStorage.Engine.Connectors;
using BlockStorage.Engine.Connectors.OpenIscsi;
using BlockStorage.Engine.Host;
using BlockStorage.Engine.Tests.Lab;

namespace BlockStorage.Engine.Tests.Connectors.OpenIscsi;

/// <summary>The kernel's initiator: volume file, tgtd, open-iscsi, SCSI disk.</summary>
[Trait("Needs", "Lab")]
[Collection(LabCollection.Name)]
public sealed class OpenIscsiConnectorTests : IscsiConnectorSuite
{
    private protected override IConnector Make(StateRoot root) => new OpenIscsiConnector(root, new CommandRunner());

    private protected override void AssertNothingLeft()
    {
        base.AssertNothingLeft();
        Assert.Empty(KernelSession.List());
        foreach (var folder in new[] { "nodes", "ifaces" }.Select(name => Path.Combine("/etc/iscsi", name)).Where(Directory.Exists))
            Assert.Empty(Directory.EnumerateFileSystemEntries(folder));
        Assert.Empty(Directory.EnumerateFileSystemEntries("/sys/block", "sd*"));
    }
}
