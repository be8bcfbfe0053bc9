using BlockStorage.Engine.Targets;
using BlockStorage.Engine.Targets.Tgt;

namespace BlockStorage.Engine.Tests.Targets.Tgt;

public class TgtReportTests
{
    // Recorded from tgtd 1.0.85.
    private const string Recorded = """
        Target 1: iqn.2026-01.org.example:a
            System information:
                Driver: iscsi
                State: ready
            I_T nexus information:
                I_T nexus: 6
                    Initiator: iqn.2026-01.org.example:host1 alias: none
                    Connection: 0
                        IP Address: 127.0.0.1
            LUN information:
                LUN: 0
                    Type: controller
                    SCSI ID: IET     00010000
                    SCSI SN: beaf10
                    Size: 0 MB, Block size: 1
                    Online: Yes
                    Readonly: No
                    Backing store path: None
                LUN: 1
                    Type: disk
                    SCSI ID: 0123456789abcdef0123456789abcdef
                    SCSI SN: 0123456789abcdef0123456789abcdef
                    Size: 67 MB, Block size: 512
                    Online: Yes
                    Removable media: No
                    Readonly: Yes
                    Thin-provisioning: Yes
                    Backing store type: rdwr
                    Backing store path: /tmp/a b/LUN: 7
                    Backing store flags: 
            Account information:
                u1
                u2 (outgoing)
            ACL information:
                ALL
                iqn.2026-01.org.example:host1
        Target 2: iqn.2026-01.org.example:b
            LUN information:
            Account information:
            ACL information:

        """;

    [Fact]
    public void Targets_are_read()
    {
        var targets = TgtReport.ParseTargets(Recorded);
        Assert.Equal([(1, "iqn.2026-01.org.example:a"), (2, "iqn.2026-01.org.example:b")], targets.Select(target => (target.Tid, target.Iqn)));
        var unit = targets[0].Units[1];
        Assert.Equal((1, "0123456789abcdef0123456789abcdef", "/tmp/a b/LUN: 7", 67L), (unit.Lun, unit.Serial, unit.Path, unit.Megabytes));
        Assert.True(unit is { Online: true, ReadOnly: true, Thin: true });
        Assert.Equal("", targets[0].Units[0].Path);
        Assert.Equal(["u1"], targets[0].Incoming);
        Assert.Equal("u2", targets[0].Outgoing);
        Assert.Equal(["ALL", "iqn.2026-01.org.example:host1"], targets[0].Acl);
        var session = Assert.Single(targets[0].Sessions);
        Assert.Equal((6UL, "iqn.2026-01.org.example:host1", "127.0.0.1"), (session.Id, session.Initiator, session.Address));
        Assert.Equal([0u], session.Connections);
        Assert.Empty(targets[1].Units);
    }

    [Fact]
    public void Portals_and_accounts_are_read()
    {
        Assert.Equal([new Portal("::1", 33991), new Portal("127.0.0.1", 3260)],
            TgtReport.ParsePortals("Portal: [::1]:33991,1\nPortal: 127.0.0.1:3260,1\n"));
        Assert.Equal(["u2", "name with blank"], TgtReport.ParseAccounts("Account list:\n    u2\n    name with blank\n"));
    }

    [Theory]
    [InlineData("  1   1   6   749   9   749   9   0   0   0   0   1", false)]
    [InlineData("  1   1   6   749   9   749   8   0   0   0   0   1", true)]
    [InlineData("  1   1   6   749   9   749   9   0   5   0   4   1", true)]
    public void Busy_units_are_told_from_idle_ones(string line, bool busy) =>
        Assert.Equal(busy, TgtReport.IsBusy($"tgt lun sid rd_subm(bytes,cmds) ...\n{line}\n"));

    [Theory]
    [InlineData(64L << 20, 67)]
    [InlineData(128L << 20, 134)]
    public void Megabytes_are_those_of_tgtd(long size, long shown) => Assert.Equal(shown, TgtReport.Megabytes(size));

    [Theory]
    [InlineData("")]
    [InlineData("\0\0\0")]
    [InlineData("Target : \n        LUN: 1\n            SCSI SN: x")]
    [InlineData("Target 99999999999999999999: a\n    LUN information:\n        LUN: -1\n            Size: MB")]
    [InlineData("            SCSI SN: x\n        I_T nexus: 5\nPortal: \nPortal: :,:\nPortal: [::1,1:")]
    [InlineData("    Account information:\n        u1\n    ACL information:\n        ALL")]
    public void Garbage_gives_nothing_and_no_exception(string text)
    {
        Assert.Empty(TgtReport.ParseTargets(text));
        Assert.Empty(TgtReport.ParsePortals(text));
        Assert.False(TgtReport.IsBusy(text));
    }

    [Theory]
    [InlineData("*", "ALL")]
    [InlineData("iqn.2026-01.org.example:h", "iqn.2026-01.org.example:h")]
    [InlineData("10.1.2.3", "10.1.2.3")]
    [InlineData("10.1.2.3/32", "10.1.2.3")]
    [InlineData("10.1.2.3/20", "10.1.0.0/20")]
    [InlineData("fd00::5", "[fd00::5]")]
    [InlineData("fd00:1:2:3::5/48", "[fd00:1:2::]/48")]
    public void Rules_are_in_the_words_of_tgtd(string initiator, string rule) => Assert.Equal(rule, TgtAcl.Rule(initiator));

    [Theory]
    [InlineData("")]
    [InlineData("ALL")]
    [InlineData("10.1.2.3/33")]
    [InlineData("10.1.2.3/-1")]
    [InlineData("10.1.2.3/x")]
    [InlineData("0.0.0.0/0")]
    [InlineData("::/0")]
    [InlineData("0.0.0.1/8")]
    [InlineData("host name")]
    [InlineData("10.1.2.3,initiator-name=iqn.x")]
    public void Rules_that_mean_something_else_to_tgtd_are_refused(string initiator) =>
        Assert.Equal(BlockErrors.InvalidArgument, Assert.Throws<BlockStorageException>(() => TgtAcl.Rule(initiator)).Error);
}
