using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using BlockStorage.Engine.Host;

namespace BlockStorage.Engine.Targets.Lio;

/// <summary>
/// Where things of ours are in configfs, and how they are told from those of others. A target carries a mark in its alias,
/// which targetcli saves and restores: the state root it belongs to and the serial of what it publishes. A backstore is named
/// after the serial.
/// </summary>
internal sealed class LioNames(StateRoot root)
{
    public const string Target = ConfigFs.Root + "/target";
    public const string Core = Target + "/core";
    public const string Fabric = Target + "/iscsi";

    /// <summary>How names of our backstores begin.</summary>
    public const string BackstorePrefix = "bs-";

    private const string MarkWord = "blockstorage";
    private const string NoSerial = "none";
    private const string OnlyGroup = "/tpgt_1";

    // Ours are above all numbers that rtslib gives (below 2^20): bit 30, 10 bits of the state root, 20 bits of the serial.
    private const int OurNumbers = 1 << 30;
    private const int RootShift = 20;

    private readonly byte[] _root = SHA256.HashData(Encoding.UTF8.GetBytes(root.Home));

    /// <summary>The portal group of a target.</summary>
    public static string Group(string iqn) => $"{Fabric}/{iqn}{OnlyGroup}";

    /// <summary>The attribute that holds the mark.</summary>
    public static string MarkFile(string iqn) => $"{Group(iqn)}/param/TargetAlias";

    /// <summary>The mark of a target of ours.</summary>
    public string Mark(string? serial) => $"{MarkPrefix}{serial ?? NoSerial}";

    /// <summary>Whether a mark is ours, and the serial in it.</summary>
    public bool IsMark(string? text, out string? serial)
    {
        var ours = text?.StartsWith(MarkPrefix, StringComparison.Ordinal) == true;
        serial = ours && text![MarkPrefix.Length..] is var told && IsSerial(told) ? told : null;
        return ours;
    }

    /// <summary>Whether it is a serial: 32 lowercase hex digits.</summary>
    public static bool IsSerial(string text) => text.Length == 32 && text.All(char.IsAsciiHexDigitLower);

    /// <summary>The name of a backstore.</summary>
    public static string BackstoreName(string serial) => BackstorePrefix + serial;

    /// <summary>Where we make a backstore. Two that share an adapter do not mind.</summary>
    public string Backstore(string plugin, string serial) => $"{Core}/{plugin}_{Adapter(serial)}/{BackstoreName(serial)}";

    /// <summary>Whether an adapter, such as iblock_7, is one that this state root makes.</summary>
    public bool IsOurAdapter(string name) => Number(name) >> RootShift == (OurNumbers >> RootShift | RootBits);

    /// <summary>Whether an adapter is one that rtslib makes.</summary>
    public static bool IsToolAdapter(string name) => Number(name) is >= 0 and < 1 << RootShift;

    /// <summary>In words, what an object or attribute of a target is about.</summary>
    public static string Explain(string path, string iqn)
    {
        var part = path.StartsWith(Group(iqn), StringComparison.Ordinal) ? path[Group(iqn).Length..].Split('/') is { Length: > 1 } parts ? parts[1] : "" : "lun";
        return part switch
        {
            "acls" => "its access rights or their secrets are not as granted",
            "np" => "it listens at other addresses",
            "lun" or "param" => "its logical unit is not as published",
            _ => "its settings differ",
        };
    }

    private string MarkPrefix => $"{MarkWord}.{Convert.ToHexStringLower(_root, 0, 4)}.";

    private int RootBits => (_root[4] << 8 | _root[5]) & 0x3FF;

    private int Adapter(string serial) =>
        OurNumbers | RootBits << RootShift | int.Parse(serial.AsSpan(0, 5), NumberStyles.HexNumber, CultureInfo.InvariantCulture);

    private static int Number(string adapter) =>
        int.TryParse(adapter.AsSpan(adapter.LastIndexOf('_') + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : -1;
}
