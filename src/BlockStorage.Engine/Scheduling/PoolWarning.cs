using System.Globalization;
using BlockStorage.Engine.Catalog;
using BlockStorage.Engine.Volumes;

namespace BlockStorage.Engine.Scheduling;

/// <summary>What people should know of a pool that fills up.</summary>
internal static class PoolWarning
{
    /// <summary>Per cent of metadata: full metadata costs more than full data, so it warns earlier.</summary>
    public const double Metadata = 60;

    /// <summary>Per cent of the physical size in use, by anybody.</summary>
    public static double UsedPercent(PoolStatus status) =>
        status.Total == 0 ? 0 : Math.Round(100.0 * Math.Max(0, status.Total - status.Free) / status.Total, 1);

    /// <summary>The warning, or null.</summary>
    public static string? Of(PoolRecord pool, PoolStatus status)
    {
        var lines = new List<string>();
        void Compare(string what, double? percent, double limit)
        {
            if (percent >= limit)
                lines.Add(string.Create(CultureInfo.InvariantCulture, $"{what}{percent:0.#} % used, warning from {limit:0.#} %"));
        }
        Compare("data ", status.DataPercent, pool.WarningPercent);
        Compare("metadata ", status.MetadataPercent, Metadata);
        Compare("", UsedPercent(status), pool.WarningPercent);
        return lines.Count == 0 ? null : string.Join("; ", lines) + (status.Outlook.Length > 0 ? $"; {status.Outlook}" : "");
    }
}
