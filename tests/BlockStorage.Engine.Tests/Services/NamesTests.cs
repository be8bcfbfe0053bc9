using System.Diagnostics;
using BlockStorage.Engine.Services;

namespace BlockStorage.Engine.Tests.Services;

public sealed class NamesTests
{
    [Theory]
    [InlineData("a")]
    [InlineData("0")]
    [InlineData("db1")]
    [InlineData("A.b_c-9")]
    [InlineData("a..b")]
    [InlineData("123456789012345678901234567890123456789012345678901234567890123")]
    public void Plain_names_are_taken(string name)
    {
        Assert.Equal(name, Names.Check(name));
        Assert.Equal(name, Names.CheckSnapshot(name));
    }

    [Theory]
    [InlineData("")]
    [InlineData(" ")]
    [InlineData("a b")]
    [InlineData("a\n")]
    [InlineData("\na")]
    [InlineData("a\0b")]
    [InlineData("-a")]
    [InlineData("_a")]
    [InlineData(".")]
    [InlineData("..")]
    [InlineData("a/b")]
    [InlineData("a\\b")]
    [InlineData("a;b")]
    [InlineData("a*")]
    [InlineData("a,b")]
    [InlineData("$(id)")]
    [InlineData("{Volume}")]
    [InlineData("größe")]
    [InlineData("ａ")]
    [InlineData("a\u200b")]
    [InlineData("\u001b[31mred")]
    [InlineData("1234567890123456789012345678901234567890123456789012345678901234")]
    public void Others_are_refused_and_never_printed_raw(string name)
    {
        var error = Refused(BlockErrors.InvalidName, () => Names.Check(name));
        Assert.DoesNotContain(error.Message + error.Subject, char.IsControl);
    }

    [Fact]
    public void Names_of_snapshots_may_be_longer()
    {
        Assert.Equal(127, Names.CheckSnapshot(new string('s', 127)).Length);
        var error = Refused(BlockErrors.InvalidName, () => Names.CheckSnapshot(new string('s', 128)));
        Assert.Contains("128", error.Message, StringComparison.Ordinal);
        Assert.True(error.Message.Length < 200);
    }

    [Theory]
    [InlineData("iqn.2026-01.org.example", "iqn.2026-01.org.example")]
    [InlineData("IQN.2026-01.Org.Example:Disk_1.a-B", "iqn.2026-01.org.example:disk_1.a-b")]
    [InlineData("iqn.1993-08.org.debian:01:abcdef", "iqn.1993-08.org.debian:01:abcdef")]
    public void Good_iqns_come_back_in_lower_case(string iqn, string expected) => Assert.Equal(expected, Names.CheckIqn(iqn));

    [Theory]
    [InlineData("")]
    [InlineData("iqn")]
    [InlineData("iqn.2026.org.example")]
    [InlineData("iqn.2026-01.")]
    [InlineData("iqn.2026-01.org.example:")]
    [InlineData("iqn.2026-01.org.example:a b")]
    [InlineData("iqn.2026-01.org.example:a\n")]
    [InlineData("iqn.2026-01.org.example:a,b")]
    [InlineData("iqn.2026-01.-example")]
    [InlineData("eui.02004567A425678D")]
    [InlineData("--op")]
    public void Others_are_no_iqns(string iqn) => Refused(BlockErrors.InvalidIqn, () => Names.CheckIqn(iqn));

    [Fact]
    public void An_iqn_has_223_characters_at_most()
    {
        var longest = "iqn.2026-01.org.example:" + new string('x', 223 - 24);
        Assert.Equal(longest, Names.CheckIqn(longest));
        Refused(BlockErrors.InvalidIqn, () => Names.CheckIqn(longest + "x"));
    }

    [Theory]
    [InlineData("db1", "db1", true)]
    [InlineData("DB1", "db1", true)]
    [InlineData("db", "db1", false)]
    [InlineData("db*", "db1", true)]
    [InlineData("*", "", true)]
    [InlineData("db?", "db1", true)]
    [InlineData("db?", "db", false)]
    [InlineData("?*?", "d", false)]
    [InlineData("db[0-9]", "db7", true)]
    [InlineData("db[0-9]", "dbx", false)]
    [InlineData("[DX]b*", "db1", true)]
    [InlineData("[a-c", null, null)]
    [InlineData("[]", null, null)]
    [InlineData("[z-a]", null, null)]
    [InlineData("a]*", "a]b", true)]
    [InlineData("a.*", "ab", false)]
    [InlineData("a.*", "a.b", true)]
    [InlineData("(a+)+*", "aaaa", false)]
    [InlineData("a|b*", "b", false)]
    [InlineData("a{2}*", "aa", false)]
    [InlineData("^a$*", "a", false)]
    [InlineData(@"\w*", "abc", false)]
    [InlineData(@"\*", @"\abc", true)]
    [InlineData("[^a]*", "^x", true)]
    [InlineData("[^a]*", "bx", false)]
    [InlineData("*#*", "a#b", true)]
    [InlineData("a *", "a b", true)]
    public void Wildcards_are_those_of_PowerShell_and_nothing_else_is_special(string pattern, string? text, bool? expected)
    {
        if (text is null)
        {
            Refused(BlockErrors.InvalidArgument, () => Names.Matcher([pattern]));
            return;
        }
        Assert.Equal(expected, Names.Matcher([pattern])(text));
    }

    [Fact]
    public void Several_patterns_are_alternatives_and_none_is_everything()
    {
        var matcher = Names.Matcher(["a*", "literal"]);
        Assert.Equal([true, true, false], new[] { "abc", "LITERAL", "b" }.Select(matcher));
        Assert.True(Names.Matcher(null)("x"));
        Assert.True(Names.Matcher([])("x"));
    }

    [Fact]
    public void A_hostile_pattern_takes_no_time()
    {
        var watch = Stopwatch.StartNew();
        Assert.False(Names.Matcher([string.Concat(Enumerable.Repeat("*a", 60)) + "b"])(new string('a', 127)));
        Assert.True(watch.ElapsedMilliseconds < 5000, $"{watch.ElapsedMilliseconds} ms");
    }

    [Fact]
    public void A_pattern_of_absurd_length_is_refused_as_one() =>
        Refused(BlockErrors.InvalidArgument, () => Names.Matcher([string.Concat(Enumerable.Repeat("[a-z]?*", 20_000))]));

    private static BlockStorageException Refused(BlockError error, Func<object> action)
    {
        var thrown = Assert.Throws<BlockStorageException>(action);
        Assert.Equal(error.Id, thrown.ErrorId);
        Assert.NotEmpty(thrown.NextStep);
        return thrown;
    }
}
