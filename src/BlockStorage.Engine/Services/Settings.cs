using System.Globalization;
using BlockStorage.Engine.Catalog;
using BlockStorage.Engine.Host;

namespace BlockStorage.Engine.Services;

/// <summary>Settings as the catalogue keeps them, with defaults.</summary>
internal sealed record Settings(
    string PortalAddress, int PortalPort, string IqnPrefix, string InitiatorIqn, string DefaultPool, int LockTimeoutSeconds, int HistoryDays)
{
    private static Settings Defaults { get; } = new(
        "127.0.0.1", 0, "iqn.2026-01.org.blockstorage", $"iqn.2026-01.org.blockstorage:host:{HostName()}", "", 30, 90);

    /// <summary>How long to wait for a lock.</summary>
    public TimeSpan LockTimeout => TimeSpan.FromSeconds(LockTimeoutSeconds);

    /// <summary>Reads them.</summary>
    public static Settings Read(ICatalogReader catalog)
    {
        var values = catalog.List<SettingRecord>().ToDictionary(setting => setting.Id, setting => setting.Value, StringComparer.Ordinal);
        string Text(string name, string or) => values.GetValueOrDefault(name, or);
        int Number(string name, int or) => values.TryGetValue(name, out var text) ? int.Parse(text, CultureInfo.InvariantCulture) : or;
        return new Settings(
            Text(nameof(PortalAddress), Defaults.PortalAddress), Number(nameof(PortalPort), Defaults.PortalPort),
            Text(nameof(IqnPrefix), Defaults.IqnPrefix), Text(nameof(InitiatorIqn), Defaults.InitiatorIqn),
            Text(nameof(DefaultPool), Defaults.DefaultPool), Number(nameof(LockTimeoutSeconds), Defaults.LockTimeoutSeconds),
            Number(nameof(HistoryDays), Defaults.HistoryDays));
    }

    /// <summary>Writes one.</summary>
    public static void Write(ICatalogTransaction catalog, string name, string value)
    {
        if (catalog.Find<SettingRecord>(name) is { } old)
            catalog.Update(old with { Value = value });
        else
            catalog.Insert(new SettingRecord { Id = name, Value = value });
    }

    /// <summary>The form that users see.</summary>
    public BlockStorageConfiguration ToModel(string server, StateRoot root) => new()
    {
        Name = "BlockStorage",
        Server = server,
        PortalAddress = PortalAddress,
        PortalPort = PortalPort,
        IqnPrefix = IqnPrefix,
        InitiatorIqn = InitiatorIqn,
        DefaultPool = DefaultPool,
        LockTimeoutSeconds = LockTimeoutSeconds,
        HistoryDays = HistoryDays,
        StateRoot = root.Home,
    };

    private static string HostName() =>
        string.Concat(Environment.MachineName.ToLowerInvariant().Select(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '-' ? c : '-'));
}
