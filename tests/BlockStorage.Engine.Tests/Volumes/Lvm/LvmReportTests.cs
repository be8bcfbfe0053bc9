using BlockStorage.Engine.Host;
using BlockStorage.Engine.Volumes;
using BlockStorage.Engine.Volumes.Lvm;
using BlockStorage.Services;

namespace BlockStorage.Engine.Tests.Volumes.Lvm;

/// <summary>What LVM says, and LVM that says nonsense. Recorded from LVM 2.03.16.</summary>
public sealed class LvmReportTests
{
    private const string Id = "01234567-89ab-4def-8123-456789abcdef";
    private const string Recorded = """
          WARNING: Consider pruning vg VG archive with more than 8 MiB in 8192 files (check archiving is needed in lvm.conf).
          { "report": [ {
              "vg": [ {"vg_name":"vg", "vg_size":"4223664128", "vg_free":"2009071616", "vg_extent_size":"4194304", "vg_seqno":"27", "vg_mda_size":"68153344", "vg_mda_free":"34073088", "vg_missing_pv_count":"0", "vg_tags":"blockstorage.pool=0123456789ab4def8123456789abcdef,theirs"} ],
              "pv": [ {"pv_name":"/dev/ubdb", "pv_uuid":"uMWmht-vlPo-YDIC-aQEe-yWRk-fCwq-DODrXt", "pv_free":"2009071616"} ],
              "lv": [
                  {"lv_name":"bspool", "lv_size":"2147483648", "origin_size":"", "lv_tags":"", "origin":"", "lv_profile":""},
                  {"lv_name":"[snap-0123456789ab4def8123456789abcdef]", "lv_size":"67108864", "origin_size":"", "lv_tags":"blockstorage.id=0123456789ab4def8123456789abcdef", "origin":"vol-1", "lv_profile":""},
                  {"lv_name":"vol-0123456789ab4def8123456789abcdef", "lv_size":"67108864", "origin_size":"", "lv_tags":"blockstorage.id=0123456789ab4def8123456789abcdef", "origin":"", "lv_profile":""},
                  {"lv_name":"vol-1", "lv_size":"8388608", "origin_size":"16777216", "lv_tags":"blockstorage.id=0123456789ab4def8123456789abcdef", "origin":"", "lv_profile":""} ],
              "pvseg": [ {"pvseg_start":"0"} ],
              "seg": [
                  {"lv_name":"bspool", "segtype":"thin-pool", "thin_id":"", "chunk_size":"65536", "seg_pe_ranges":"bspool_tdata:0-511", "seg_start":"0", "transaction_id":""},
                  {"lv_name":"vol-1", "segtype":"linear", "thin_id":"", "chunk_size":"0", "seg_pe_ranges":"/dev/ubdb:9-9", "seg_start":"4194304", "transaction_id":""},
                  {"lv_name":"vol-1", "segtype":"linear", "thin_id":"", "chunk_size":"0", "seg_pe_ranges":"/dev/ubdb:0-0", "seg_start":"0", "transaction_id":""},
                  {"lv_name":"vol-0123456789ab4def8123456789abcdef", "segtype":"thin", "thin_id":"4", "chunk_size":"0", "seg_pe_ranges":"", "seg_start":"0", "transaction_id":""} ]
          } , { "pv": [ {"pv_name":"/dev/ubdc", "pv_uuid":"012345-6789-ab4d-ef81-2345-6789-abcd01", "pv_free":"0"} ], "pvseg": [ {"pvseg_start":"0"} ] } ] }
          """;

    [Fact]
    public void A_report_is_read_with_advice_around_it()
    {
        var report = LvmReport.Parse(Recorded + "\n  WARNING: late\n");
        var group = Assert.Single(report.Groups);
        Assert.Equal(("vg", 4223664128, 2009071616, 4194304, "27", 0), (group.Name, group.Size, group.Free, group.ExtentSize, group.Sequence, group.MissingDisks));
        Assert.Equal(Id, LvmTags.PoolOf(group.Tags));
        Assert.Equal([new LvmDisk("/dev/ubdb", "uMWmht-vlPo-YDIC-aQEe-yWRk-fCwq-DODrXt", 2009071616)], group.Disks);
        var volume = group.Find(Id)!;
        Assert.Equal((BackendKind.Volume, 64L << 20, "thin", 4), (volume.Kind, volume.Size, volume.Type, volume.ThinId));
        Assert.True(group.Volumes.Single(item => item.Kind == BackendKind.Snapshot).Hidden);
        var plain = group.Volumes.Single(item => item.Name == "vol-1");
        Assert.Equal((BackendKind.Foreign, null), (plain.Kind, plain.Id));
        Assert.Equal(16 << 20, plain.Size);
        Assert.Equal(["/dev/ubdb:0-0", "/dev/ubdb:9-9"], plain.Ranges);
        Assert.True(LvmDisks.IsOurs(Assert.Single(report.FreeDisks).Uuid, Id));
        Assert.Equal("012345-6789-ab4d-ef81-2345-6789-abcd01", LvmDisks.Uuid(Id, 1));
    }

    [Theory]
    [InlineData("")]
    [InlineData("{}")]
    [InlineData("{\"report\": 5}")]
    [InlineData("Segmentation fault")]
    [InlineData("{\"report\": [{\"vg\": [{\"vg_name\":\"vg\"}]}]}")]
    [InlineData("{\"report\": [{\"vg\": [{\"vg_name\":\"vg\",\"vg_size\":\"many\"}]}]}")]
    public async Task Nonsense_is_asked_for_once_more_and_then_told(string output)
    {
        var tool = new Script(new CommandResult(0, output, ""), new CommandResult(0, Recorded, ""));
        Assert.NotNull(await new LvmTool("vg", Id, tool).ReadAsync(SilentSink.Instance, default));
        tool = new Script(new CommandResult(0, output, ""), new CommandResult(0, output, ""));
        await FilePools.FailsAsync("ToolFailed", () => new LvmTool("vg2", Id, tool).ReadAsync(SilentSink.Instance, default));
        Assert.Equal(2, tool.Commands.Count);
    }

    [Theory]
    [InlineData(139, "")]
    [InlineData(1, "setsid: child 17 did not exit normally: Success")]
    public async Task A_report_that_crashed_is_asked_for_once_more(int code, string error)
    {
        var tool = new Script(new CommandResult(code, "", error), new CommandResult(0, Recorded, ""));
        Assert.NotNull(await new LvmTool("vg", Id, tool).ReadAsync(SilentSink.Instance, default));
        tool = new Script(new CommandResult(code, "", error), new CommandResult(code, "", error));
        await FilePools.FailsAsync("ToolFailed", () => new LvmTool("vg4", Id, tool).ReadAsync(SilentSink.Instance, default));
        tool = new Script(new CommandResult(5, "", "no"));
        await FilePools.FailsAsync("ToolFailed", () => new LvmTool("vg4", Id, tool).ReadAsync(SilentSink.Instance, default));
    }

    [Fact]
    public async Task Commands_see_the_disks_of_their_group_only_and_are_never_asked_twice()
    {
        var tool = new Script(new CommandResult(0, Recorded, ""), new CommandResult(5, "", "Insufficient free space"));
        var lvm = new LvmTool("vg", Guid.Empty.ToString(), tool);
        await FilePools.FailsAsync("InsufficientSpace", () => lvm.RunAsync("lvcreate", ["--size", "1m", "vg"], SilentSink.Instance, default));
        Assert.Equal([false, true], tool.Commands.Select(command => command.Mutates));
        Assert.Contains("filter=[\"a|^/dev/ubdb$|\",\"r|.*|\"]", tool.Commands[1].ToString(), StringComparison.Ordinal);
        Assert.All(tool.Commands, command => Assert.Contains("scan_lvs=0", command.ToString(), StringComparison.Ordinal));
    }

    [Fact]
    public void Tags_hold_all_that_fits_and_what_LVM_takes()
    {
        var identity = FilePools.Identity("nеw ☃ \"name\"", 1 << 20) with { Description = "a, b@c%d\n", Tags = ["x", "y z"], ReadOnly = true };
        var tags = LvmTags.Of(identity);
        Assert.All(tags, tag => Assert.Matches("^[A-Za-z0-9_+.=/!:&#-]{1,1000}$", tag));
        Assert.Equivalent(identity, LvmTags.Read(Volume(identity.Id, tags)));
        var longOne = identity with { Description = new string('☃', 5000) };
        var cut = LvmTags.Read(Volume(identity.Id, LvmTags.Of(longOne)))!;
        Assert.Equal((identity.Name, 2), (cut.Name, cut.Tags.Count));
        Assert.InRange(cut.Description.Length, 300, 1500);
        Assert.Empty(LvmTags.Change([.. tags, "theirs"], tags));
        Assert.Null(LvmTags.Read(Volume(identity.Id, [tags[0], "blockstorage.0=!!!"])));
    }

    [Fact]
    public void Thin_pools_are_read_in_every_state()
    {
        var pool = ThinPool.Read("3 831/8192 16384/32768 - rw no_discard_passdown error_if_no_space - 1024", 2L << 30);
        Assert.Equal((0.5, "", true, 1L << 30), (pool.DataUsed, pool.Trouble, pool.Works, pool.Free));
        Assert.Equal((3, false), (pool.Transaction, pool.HasSnapshot));
        pool = ThinPool.Read("4 1/8192 90/100 245 rw discard_passdown error_if_no_space - 1024", 1);
        Assert.Equal(("data 90 %, metadata 0 %", true, true), (pool.Figures, pool.HasSnapshot, pool.IsFilling));
        Assert.True(ThinPool.Read("3 5000/8192 1/100 - rw discard_passdown error_if_no_space - 1024", 1).IsFilling);
        Assert.Contains("full", ThinPool.Read("3 1/8192 100/100 - out_of_data_space discard_passdown error_if_no_space - 1024", 1).Trouble, StringComparison.Ordinal);
        Assert.Contains("check", ThinPool.Read("3 1/8192 1/100 - ro discard_passdown error_if_no_space needs_check 1024", 1).Trouble, StringComparison.Ordinal);
        Assert.False(ThinPool.Read("Fail", 1).Works);
    }

    [Theory]
    [InlineData(4L << 30, 4 << 20, null, 64 << 10)]
    [InlineData(1L << 40, 4 << 20, null, 64 << 10)]
    [InlineData(64L << 40, 4 << 20, null, 1 << 20)]
    [InlineData(4L << 30, 1 << 20, 1L << 30, 64 << 10)]
    public void Shapes_fit_and_keep_room(long free, long extent, long? size, long chunk)
    {
        var shape = PoolShape.Of(free, extent, size);
        Assert.Equal(chunk, shape.Chunk);
        Assert.Equal((0, 0), (shape.Data % extent, shape.Metadata % extent));
        Assert.InRange(shape.Whole, 0, free * 95 / 100);
        Assert.InRange(shape.Metadata, shape.Data / shape.Chunk * 64, 16L << 30);
        Assert.True(size is null ? shape.Data > free / 100 * 84 : shape.Data == size);
    }

    [Theory]
    [InlineData("scan_lvs=0\nuse_devicesfile=0\nglobal_filter=[\"a|.*|\"]\nfilter=[\"a|.*|\"]", "warning", "devices/global_filter=[\"a|^/dev/sdb$|\",\"a|^/dev/x\\.y$|\",\"r|.*|\"]")]
    [InlineData("scan_lvs=0\nuse_devicesfile=0\nglobal_filter=[\"a|^/dev/sdb$|\",\"r|.*|\"]", "ok", "")]
    [InlineData("scan_lvs=0\nuse_devicesfile=0\nglobal_filter=[\"a/sd/\",\"r/.*/\"]", "warning", "devices/global_filter")]
    [InlineData("scan_lvs=0\nuse_devicesfile=0\nglobal_filter=[\"a|(|\",\"r|.*|\"]", "warning", "devices/global_filter")]
    [InlineData("scan_lvs=0\nuse_devicesfile=1\nglobal_filter=[\"a|.*|\"]", "ok", "")]
    [InlineData("scan_lvs=1\nuse_devicesfile=1\nglobal_filter=[\"a|.*|\"]", "warning", "devices/scan_lvs=0")]
    [InlineData("", "warning", "devices/global_filter")]
    public void A_host_whose_LVM_looks_into_volumes_is_told_the_exact_line(string config, string state, string line)
    {
        var check = LvmHostView.Check(config, ["/dev/x.y", "/dev/sdb", "/dev/sdc", "/dev/loop0", "[unknown]"], ["/dev/sdc"]);
        Assert.Equal(("host LVM cannot see volumes", state), (check.Name, check.State));
        Assert.Contains(line, check.Fix, StringComparison.Ordinal);
        Assert.DoesNotContain("sdc", check.Fix, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Commands_that_hang_are_a_clear_error()
    {
        var error = await FilePools.FailsAsync("ToolTimeout", () => new LvmTool("vg5", Id, new Hanging()).ReadAsync(SilentSink.Instance, default));
        Assert.Contains("did not end", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_machine_without_LVM_is_told_the_package()
    {
        var probe = await new LvmVolumeDriverFactory(LvmPools.Root, new NoTools()).ProbeAsync(default);
        Assert.False(probe.Usable);
        Assert.Contains(probe.Checks, check => check is { Name: "lvm", State: "missing", Fix: "apt-get install lvm2" });
        Assert.Null(new LvmVolumeDriverFactory(LvmPools.Root, new NoTools()).Identify("vg"));
    }

    private static LvmVolume Volume(string id, IReadOnlyList<string> tags) =>
        new(LvmNames.Volume(id), false, id, BackendKind.Volume, 1 << 20, "thin", "", 1, 0, [], tags);

    /// <summary>Never ends within its time.</summary>
    private sealed class Hanging : ICommandRunner
    {
        public string? Find(string program) => "/usr/bin/sleep";

        public Task<CommandResult> RunAsync(Command command, IWorkSink sink, CancellationToken cancel)
        {
            Assert.False(command.Mutates);
            return new CommandRunner().RunAsync(new Command("sleep", ["60"], TimeSpan.FromMilliseconds(200), Mutates: false), sink, cancel);
        }
    }

    /// <summary>Answers in turn.</summary>
    private sealed class Script(params CommandResult[] answers) : ICommandRunner
    {
        public List<Command> Commands { get; } = [];

        public string? Find(string program) => "/usr/sbin/" + program;

        public Task<CommandResult> RunAsync(Command command, IWorkSink sink, CancellationToken cancel)
        {
            Commands.Add(command);
            return Task.FromResult(answers[Commands.Count - 1]);
        }
    }
}
