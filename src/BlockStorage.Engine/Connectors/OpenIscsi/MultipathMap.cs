using System.Globalization;
using BlockStorage.Engine.Host;

namespace BlockStorage.Engine.Connectors.OpenIscsi;

/// <summary>A map of the multipath daemon, found from below whatever its name is.</summary>
/// <param name="Kernel">Such as dm-0.</param>
/// <param name="Name">Name in /dev/mapper: the WWID, or a friendly one.</param>
/// <param name="Wwid">Which disk it is.</param>
internal sealed record MultipathMap(string Kernel, string Name, string Wwid)
{
    private const string Prefix = "mpath-";

    /// <summary>Its device node.</summary>
    public string Device => $"/dev/mapper/{Name}";

    /// <summary>It is still there.</summary>
    public bool Exists => SysAttribute.Read($"{Folder}/dm/uuid") == Prefix + Wwid;

    /// <summary>Bytes.</summary>
    public long Size =>
        long.TryParse(SysAttribute.Read($"{Folder}/size"), NumberStyles.None, CultureInfo.InvariantCulture, out var sectors) ? sectors * 512 : 0;

    /// <summary>The kernel refuses writes.</summary>
    public bool ReadOnly => SysAttribute.Read($"{Folder}/ro") == "1";

    /// <summary>Names of the disks below it.</summary>
    public IReadOnlyList<string> Below => Names($"{Folder}/slaves");

    private string Folder => $"/sys/block/{Kernel}";

    /// <summary>The map over some of these disks, or null.</summary>
    public static MultipathMap? Over(IEnumerable<ScsiDisk> disks) => disks
        .SelectMany(disk => Names($"/sys/block/{disk.Name}/holders"))
        .Select(kernel => (kernel, Uuid: SysAttribute.Read($"/sys/block/{kernel}/dm/uuid"), Name: SysAttribute.Read($"/sys/block/{kernel}/dm/name")))
        .Where(each => each.Uuid.StartsWith(Prefix, StringComparison.Ordinal) && each.Name.Length > 0)
        .Select(each => new MultipathMap(each.kernel, each.Name, each.Uuid[Prefix.Length..])).FirstOrDefault();

    private static string[] Names(string folder)
    {
        try
        {
            return Directory.Exists(folder) ? Directory.EnumerateFileSystemEntries(folder).Select(entry => Path.GetFileName(entry)).ToArray() : [];
        }
        catch (DirectoryNotFoundException)
        {
            return [];
        }
    }
}
