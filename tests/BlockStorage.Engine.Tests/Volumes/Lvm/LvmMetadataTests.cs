using System.Buffers.Binary;
using System.IO.Compression;
using BlockStorage.Engine.Host;
using BlockStorage.Engine.Tests.Lab;
using BlockStorage.Engine.Volumes;
using BlockStorage.Engine.Volumes.Lvm;

namespace BlockStorage.Engine.Tests.Volumes.Lvm;

/// <summary>LVM's metadata read from the disks themselves: it says what LVM says, or nothing.</summary>
public sealed class LvmMetadataTests
{
    // The first 160 KiB of a physical volume with a group of two volumes, one of them in two pieces; LVM 2.03.16, gzip.
    private const string Recorded = """
        H4sIAAAAAAACA+3Y224bxxkA4KQXAbpA0Vz0uhjQKJC0XZnLkygBKSAriitbthJbtmoFhrAiVzITnkRSrJwgAYI+UO/6CH2IPkKv+gjdJSlFcRQnFSI3h+8TBO4O9/DPP7Mzs3ztNX7O
        ttZubWxt3994fbH/z89/+6tQlD++VwnlclJOKtVavbHcXEkPau3ssHlhv9Uul4tz5ue++fIbnX39n19f+vUvzq8DAADAdfj7x//eC7OXvdMP62u/G5Xv//5Pr1/2vvabxWvcG/PPf3zx
        t3/J3o/fwTgeZa3wadRph3dC6d1s/c+t47jyycPt+Ha61Y0P31++G783vv04zsaba/Gd6oPm4Z1SNM6O+4P8hCQ6HIx66aQ4tzvtVfJvJunkZJzvf1h6sPFwc29j7dbWRumPId9be7f4
        3H2wubNRehoddtOj2XFPo8liq3TQHbQ+Hk8Go/QoWxoOBt13Xv77Q3ZYXHHyLOuMxvkls9NJ1p/sjzufZPnlKuVaM+qlp/vdab5Xnm0OF5vZJG2nk3S/NRh2svGsLBo+ez7utNLu/nTQ
        PenlpZ/mZdPyeW7mocTFveMimLiIJr5YVvwgUora2bTTKgIo3cw3b54ctI9K0cW8rG1tba+v7cwS85U85IefBd+sNpuNcjMaZvv5maPJWX3y/dbgpF/s18or9eiz/C/K/2+E21k/G6WT
        rB0Ons+f6Gk2GncG/VBZKleXksZblbfDW5VypRKX63HSfHs17OYH3x9MQ6UeKslqrblabJQrjShqDfpFKou4Sjt5WsN782Z+PEtNuD0anAxL0dkNin6QBz9ujTrDybygtDvqTLJwOBr0
        wvSoNcryyEJ8HOL4LM3zxppVN+nl5Wm7nfeD8L93gS/PnXeEsOjT59lfytM/iyAPbf/ZYDzvrelB6Zc3wlanf3Ia8p3QWEqWkuVGuJGEh3lN75x0Q6iFpL5aba4mjfBoZ32Wm3DabOw3
        al9ecNLpFQ2WLK/UG7VqtVzPr/rNif2JPf8Vz/8P4PnvDo5eDDw9D7u5cvd450lc++tfVuJsvT6KN/ee9OO9vUe78c79JI17tZPW9u4LDXexqfKNx5sPN78W7Tc+AcuXP215pznqFe1z
        VoF80FgUJXm0s2ruz5tw1iCL1jw7uhpFk+fDWV7Hk3ygydpFzMXGVy44K5lFGJXy1sujL0dPZ2n67HscJ5evY5zsTi+Ok7PKLmoa4k4S4m6ohjjth3gv/++HdDHQvdrhbfnS4W35Bzq8
        cb3jf9X4b/z/kYz/UZ6e+FsXk2dpu7c+eP/WaTzdfnY33jxtP4k/OOyn8d10Yy/+qH1vGB9/8NGDR4dXSNvlnb3T/vau/pKUr1xLyitXTXn1GqbclWufcruhcnF+/U7d5fL3lu/Qmv+X
        yXvl0sl7xeRt/r/a/F8z/5v/rzr/V17l/L+4U+Xrd6q+eKfkqneqW2n8BFYa1eR6VhqzKrcXK40/JIsFwM30lS4BkuSyJcB5lU2IAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA
        AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA
        AAAAAAAAAAAAAAAAAN+z/wLR3eXoAIACAA==
        """;

    private const string Id = "01234567-89ab-4def-8123-456789abcdef";
    private const int AreaStart = 4096;

    [Fact]
    public void A_disk_says_what_lvm_says_of_it()
    {
        using var folder = new TestFolder();
        var disk = Write(folder, Image());
        var state = LvmMetadata.Read([disk], null)!;
        var group = state.Group;
        Assert.Equal(("bs-rec", 4293918720, 4287627264, 1048576, "4", 1044480, 519680, 0),
            (group.Name, group.Size, group.Free, group.ExtentSize, group.Sequence, group.MetadataSize, group.MetadataFree, group.MissingDisks));
        Assert.Equal((Id, disk, "012345-6789-ab4d-ef81-2345-6789-abcd00"), (LvmTags.PoolOf(group.Tags), group.Disks.Single().Path, group.Disks.Single().Uuid));
        Assert.Equal(group.Free, group.Disks.Single().Free);
        Assert.Equal((2 << 20, BackendKind.Volume, "linear"), (group.Find(Id)!.Size, group.Find(Id)!.Kind, group.Find(Id)!.Type));
        Assert.Equal([$"{disk}:0-2", $"{disk}:5-5"], group.Volumes.Single(volume => volume.Name == "a").Ranges);
        Assert.Same(state, LvmMetadata.Read([disk], state));
    }

    [Fact]
    public void A_text_that_comes_round_the_end_of_its_area_is_read()
    {
        using var folder = new TestFolder();
        var image = Image();
        var area = LvmMetadata.Read([Write(folder, image)], null)!.Areas.Single();
        var text = image.AsSpan((int)(area.Start + area.TextOffset), (int)area.TextSize).ToArray();
        var ring = new byte[area.Start + area.Size];
        image.AsSpan(0, AreaStart + 512).CopyTo(ring);
        var first = text.Length / 512 / 2 * 512;
        text.AsSpan(0, first).CopyTo(ring.AsSpan(ring.Length - first));
        text.AsSpan(first).CopyTo(ring.AsSpan(AreaStart + 512));
        BinaryPrimitives.WriteInt64LittleEndian(ring.AsSpan(AreaStart + 40), area.Size - first);
        BinaryPrimitives.WriteUInt32LittleEndian(ring.AsSpan(AreaStart), LvmArea.Sum(ring.AsSpan(AreaStart + 4, 508)));
        Assert.Equal(2, LvmMetadata.Read([Write(folder, ring)], null)!.Group.Volumes.Count);
    }

    [Fact]
    public void Any_damage_and_any_disagreement_leaves_the_word_to_lvm()
    {
        using var folder = new TestFolder();
        var image = Image();
        var whole = LvmMetadata.Read([Write(folder, image)], null)!;
        var area = whole.Areas.Single();
        var used = Enumerable.Range(512, 512).Where(at => image[at] != 0).Concat(Enumerable.Range(AreaStart, 512).Where(at => image[at] != 0))
            .Concat(Enumerable.Range((int)(area.Start + area.TextOffset), (int)area.TextSize)).ToArray();
        var random = new Random(1);
        for (var round = 0; round < 400; round++)
        {
            var damaged = image.ToArray();
            damaged[used[random.Next(used.Length)]] ^= (byte)(1 << random.Next(8));
            // A bit of the label that does not matter, such as the size of the disk, may be other than it was.
            if (LvmMetadata.Read([Write(folder, damaged)], null) is { } read)
                Assert.Equal(whole.Group.Volumes.Select(volume => (volume.Name, volume.Size)), read.Group.Volumes.Select(volume => (volume.Name, volume.Size)));
        }
        Assert.Null(LvmMetadata.Read([Write(folder, image[..4608])], null));
        Assert.Null(LvmMetadata.Read([Write(folder, [])], null));
        Assert.Null(LvmMetadata.Read([Path.Combine(folder.Path, "none")], null));
        Assert.Null(LvmMetadata.Read([], null));
    }

    [Theory]
    [InlineData("a = 1\nb { c = \"x\\\"y\\\\\" # said\n d = [ \"p\", 2, -3 ] }")]
    public void The_text_format_is_read(string text)
    {
        var section = LvmSection.Parse(text);
        Assert.Equal(1, section.Number("a"));
        Assert.Equal("x\"y\\", section.Section("b").String("c"));
        Assert.Equal(["p", 2L, -3L], section.Section("b").List("d"));
    }

    [Theory]
    [InlineData("a")]
    [InlineData("a =")]
    [InlineData("a = \"x")]
    [InlineData("a = [ 1")]
    [InlineData("a = x")]
    [InlineData("a { b = 1")]
    [InlineData("}")]
    [InlineData("a = = 1")]
    public void Nonsense_is_refused(string text) => Assert.Throws<FormatException>(() => LvmSection.Parse(text));

    [Fact]
    public void Nesting_has_a_bound() =>
        Assert.Throws<FormatException>(() => LvmSection.Parse(string.Concat(Enumerable.Repeat("a { ", 100_000))));

    private static byte[] Image()
    {
        using var packed = new GZipStream(new MemoryStream(Convert.FromBase64String(Recorded)), CompressionMode.Decompress);
        using var image = new MemoryStream();
        packed.CopyTo(image);
        return image.ToArray();
    }

    private static string Write(TestFolder folder, byte[] image)
    {
        var path = Path.Combine(folder.Path, "disk");
        File.WriteAllBytes(path, image);
        return path;
    }
}

/// <summary>The same beside LVM itself, with every kind of volume that it can make here.</summary>
[Trait("Needs", "Lab")]
[Collection(LabCollection.Name)]
public sealed class LvmMetadataLabTests : IAsyncLifetime
{
    private static readonly string[] Disks = LabCollection.Disks.Take(3).ToArray();

    public Task InitializeAsync() => LvmPools.ClearAsync();

    public async Task DisposeAsync()
    {
        await LvmPools.ClearAsync();
        await LvmPools.AssertNothingLeftAsync();
    }

    [Fact]
    public async Task It_agrees_with_lvm_after_every_kind_of_change()
    {
        const string group = LvmPools.Group;
        await LvmPools.RunAsync("pvcreate", Disks);
        await LvmPools.RunAsync("vgcreate", ["--physicalextentsize", "1m", "--addtag", "blockstorage.pool=0123456789ab4def8123456789abcdef", group, .. Disks]);
        foreach (var (program, arguments) in new (string, string)[]
        {
            ("lvcreate", $"--yes -l 40 -n plain {group} {Disks[0]}"),
            ("lvextend", $"-l +5 {group}/plain {Disks[1]}"),
            ("lvcreate", $"--yes -i 3 -l 30 -n striped {group}"),
            ("lvcreate", $"--yes --type raid1 -m 1 -L 8m -n mirrored {group}"),
            ("lvcreate", $"--yes --thin -L 100m --thinpool bspool {group}"),
            ("lvcreate", $"--yes -V 1g -n vol-0123456789ab4def8123456789abcdef --addtag blockstorage.id=0123456789ab4def8123456789abcdef --addtag a/=!:&#+ --thinpool bspool {group}"),
            ("lvcreate", $"--yes -s -n snap {group}/vol-0123456789ab4def8123456789abcdef"),
            ("lvcreate", $"--yes -s -l 20 -n aside {group}/plain"),
            ("lvcreate", $"--yes -s -l 20 -n aside2 {group}/plain"),
            ("lvchange", $"-an {group}/vol-0123456789ab4def8123456789abcdef"),
            ("lvrename", $"{group} striped renamed"),
            ("lvremove", $"--yes {group}/renamed"),
        })
        {
            await LvmPools.RunAsync(program, arguments.Split(' '));
            await AssertAgreesAsync($"{program} {arguments}");
        }
        // While a command of LVM has the group, it is for LVM to say what there is.
        var path = $"/run/lock/lvm/V_{group}";
        using (FileLock.Try(path))
            Assert.Null(LvmMetadata.ReadLocked(group, Disks, null));
        Assert.NotNull(LvmMetadata.ReadLocked(group, Disks, null));
        Assert.False(File.Exists(path));
        // A volume that is open is merged later: until then its snapshot is on its way out.
        await using (File.OpenRead($"/dev/{group}/plain"))
        {
            await LvmPools.RunAsync("lvconvert", "--merge", $"{group}/aside");
            await AssertAgreesAsync("merge that waits");
        }
    }

    private static async Task AssertAgreesAsync(string after)
    {
        var report = LvmReport.Parse(await LvmPools.RunAsync("lvm", [.. LvmReport.Arguments()]));
        var (said, read) = (report.Groups.Single(), LvmMetadata.Read(Disks, null)?.Group);
        Assert.True(read is not null, after);
        // LVM counts a sector more of some texts.
        Assert.InRange(read!.MetadataFree - said.MetadataFree, 0, 512);
        Assert.Equivalent(Comparable(said), Comparable(read));
        Assert.Equal(Comparable(said).Volumes.Select(volume => volume.ToString()), Comparable(read).Volumes.Select(volume => volume.ToString()));
    }

    // Extents matter of what lies on disks itself, chunks of thin pools.
    private static LvmGroup Comparable(LvmGroup group) => group with
    {
        MetadataFree = 0,
        Disks = [.. group.Disks.OrderBy(disk => disk.Path, StringComparer.Ordinal)],
        Tags = [.. group.Tags.Order(StringComparer.Ordinal)],
        Volumes = [.. group.Volumes.OrderBy(volume => volume.Name, StringComparer.Ordinal).Select(volume => volume with
        {
            // LVM tells the number of a volume's own change too, which nobody here asks for.
            Transaction = volume.Type == "thin-pool" ? volume.Transaction : 0,
            Ranges = volume.Type == "linear" ? volume.Ranges : [],
            ChunkSize = volume.Type == "thin-pool" ? volume.ChunkSize : 0,
            Tags = [.. volume.Tags.Order(StringComparer.Ordinal)],
        })],
    };
}
