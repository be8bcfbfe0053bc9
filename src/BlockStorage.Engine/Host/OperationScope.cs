namespace BlockStorage.Engine.Host;

/// <summary>The operation at work on this flow of control; children carry it in their environment.</summary>
internal static class OperationScope
{
    private static readonly AsyncLocal<string?> Id = new();

    /// <summary>Id of the operation, or empty.</summary>
    public static string CurrentId
    {
        get => Id.Value ?? "";
        set => Id.Value = value;
    }
}
