using BlockStorage.Engine.Operations;

namespace BlockStorage.Engine.Tests.Operations;

/// <summary>Every state of a volume against every state that an operation gives it.</summary>
public sealed class StateTableTests
{
    private const string Columns = "attaching detaching extending reverting deleting";

    // x: allowed; u: refused because it is connected; i: refused because of its state.
    private const string Table = """
        creating     i i i i i
        available    x i x x x
        reserved     i i i i i
        attaching    u u u u u
        in-use       u x x u u
        detaching    i i i i i
        extending    i i i i i
        retyping     i i i i i
        migrating    i i i i i
        backing-up   i i i i i
        restoring    i i i i i
        reverting    i i i i i
        uploading    i i i i i
        downloading  i i i i i
        deleting     i i i i i
        error        i x i i x
        """;

    public static TheoryData<string, string, char> Cells()
    {
        var data = new TheoryData<string, string, char>();
        var columns = Columns.Split(' ');
        foreach (var line in Table.Split('\n'))
        {
            var words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
            for (var column = 0; column < columns.Length; column++)
                data.Add(words[0], columns[column], words[column + 1][0]);
        }
        return data;
    }

    [Theory]
    [MemberData(nameof(Cells))]
    public void Each_state_allows_what_the_table_says(string from, string to, char expected)
    {
        Assert.Equal(expected == 'x', StateTable.Allows(from, to));
        if (expected == 'x')
        {
            StateTable.Require("v1", from, to);
            return;
        }
        var error = Assert.Throws<BlockStorageException>(() => StateTable.Require("v1", from, to));
        Assert.Equal((expected == 'u' ? BlockErrors.VolumeInUse : BlockErrors.InvalidState).Id, error.ErrorId);
        Assert.Equal("v1", error.Subject);
        Assert.NotEmpty(error.NextStep);
    }

    [Fact]
    public void The_table_has_every_state_and_no_other_state_is_ever_an_operation()
    {
        var rows = Cells().Select(cell => (string)cell[0]).Distinct().ToArray();
        Assert.Equal(BlockStates.Volume.Order(), rows.Order());
        foreach (var from in BlockStates.Volume)
        {
            foreach (var to in BlockStates.Volume.Except(Columns.Split(' ')))
                Assert.False(StateTable.Allows(from, to), $"{from} to {to}");
        }
    }

    [Fact]
    public void Only_complete_things_are_steady()
    {
        foreach (var state in BlockStates.Volume)
        {
            var refused = Record.Exception(() => StateTable.RequireSteady("v1", state)) as BlockStorageException;
            Assert.Equal(state is BlockStates.Available or BlockStates.InUse, refused is null);
            Assert.True(refused is null || refused.ErrorId == BlockErrors.InvalidState.Id);
        }
    }
}
