using System.Globalization;
using System.Text;

namespace BlockStorage.Engine.Volumes.Lvm;

/// <summary>A section of LVM's text format: settings and sections by name (lvm.conf(5), "SYNTAX").</summary>
internal sealed class LvmSection
{
    private const int MostDepth = 16;
    private readonly Dictionary<string, object> _values = new(StringComparer.Ordinal);

    /// <summary>Sections in it, in order.</summary>
    public IEnumerable<(string Name, LvmSection Section)> Sections =>
        from pair in _values where pair.Value is LvmSection select (pair.Key, (LvmSection)pair.Value);

    /// <summary>Reads a whole text.</summary>
    /// <exception cref="FormatException">It is not such a text.</exception>
    public static LvmSection Parse(string text)
    {
        var at = 0;
        return Parse(text, ref at, 0);
    }

    /// <summary>A section that must be there.</summary>
    public LvmSection Section(string name) => FindSection(name) ?? throw new FormatException($"There is no section '{name}'.");

    /// <summary>A section, or null.</summary>
    public LvmSection? FindSection(string name) => _values.GetValueOrDefault(name) as LvmSection;

    /// <summary>A number that must be there.</summary>
    public long Number(string name) => FindNumber(name) ?? throw new FormatException($"There is no number '{name}'.");

    /// <summary>A number, or null.</summary>
    public long? FindNumber(string name) => _values.GetValueOrDefault(name) is long number ? number : null;

    /// <summary>A text, or empty.</summary>
    public string String(string name) => _values.GetValueOrDefault(name) as string ?? "";

    /// <summary>What stands in a list: texts and numbers; empty where there is none.</summary>
    public IReadOnlyList<object> List(string name) => _values.GetValueOrDefault(name) as List<object> ?? [];

    private static LvmSection Parse(string text, ref int at, int depth)
    {
        if (depth > MostDepth)
            throw new FormatException("It is nested too deep.");
        var section = new LvmSection();
        while (true)
        {
            SkipBlank(text, ref at);
            if (at == text.Length && depth == 0)
                return section;
            if (Peek(text, at) == '}' && depth > 0)
            {
                at++;
                return section;
            }
            var name = Word(text, ref at);
            SkipBlank(text, ref at);
            var sign = Peek(text, at++);
            section._values[name] = sign switch
            {
                '{' => Parse(text, ref at, depth + 1),
                '=' => Value(text, ref at),
                _ => throw new FormatException($"'{sign}' stands behind '{name}'."),
            };
        }
    }

    private static object Value(string text, ref int at)
    {
        SkipBlank(text, ref at);
        if (Peek(text, at) == '"')
            return Quoted(text, ref at);
        if (Peek(text, at) != '[')
            return NumberAt(text, ref at);
        at++;
        var list = new List<object>();
        while (true)
        {
            SkipBlank(text, ref at);
            var next = Peek(text, at);
            if (next == ']')
            {
                at++;
                return list;
            }
            if (next == ',')
                at++;
            else
                list.Add(next == '"' ? Quoted(text, ref at) : NumberAt(text, ref at));
        }
    }

    private static object NumberAt(string text, ref int at)
    {
        var word = Word(text, ref at);
        return long.TryParse(word, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number) ? (object)number
            : double.TryParse(word, CultureInfo.InvariantCulture, out var real) ? real : throw new FormatException($"'{word}' is no value.");
    }

    private static string Quoted(string text, ref int at)
    {
        var start = ++at;
        // Only a text with a backslash has to be put together.
        StringBuilder? made = null;
        for (; Peek(text, at) != '"'; at++)
        {
            if (text[at] == '\\')
                (made ??= new StringBuilder().Append(text, start, at - start)).Append(Peek(text, ++at));
            else
                made?.Append(text[at]);
        }
        at++;
        return made?.ToString() ?? text[start..(at - 1)];
    }

    private static string Word(string text, ref int at)
    {
        var start = at;
        while (at < text.Length && text[at] is not (' ' or '\t' or '\n' or '=' or '{' or '}' or '[' or ']' or ',' or '#' or '"'))
            at++;
        return at > start ? text[start..at] : throw new FormatException($"A word is missing at {at}.");
    }

    private static void SkipBlank(string text, ref int at)
    {
        while (at < text.Length && (text[at] is ' ' or '\t' or '\n' or '#'))
            at = text[at] == '#' && text.IndexOf('\n', at) is var end ? (end < 0 ? text.Length : end) : at + 1;
    }

    private static char Peek(string text, int at) => at < text.Length ? text[at] : throw new FormatException("It ends in the middle.");
}
