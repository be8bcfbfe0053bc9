namespace BlockStorage.Engine.Tests;

/// <summary>The tree that the tests were built from.</summary>
internal static class Repository
{
    /// <summary>Its folder.</summary>
    public static string Folder { get; } = Find();

    private static string Find()
    {
        var folder = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(folder, "BlockStorage.psd1")))
            folder = Path.GetDirectoryName(folder)!;
        return folder;
    }
}
