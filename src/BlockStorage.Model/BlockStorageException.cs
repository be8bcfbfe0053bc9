namespace BlockStorage;

/// <summary>The one exception of BlockStorage: an id from <see cref="BlockErrors"/>, the object, the cause and a next step.</summary>
public sealed class BlockStorageException : Exception
{
    /// <summary>Makes an error.</summary>
    /// <param name="error">Entry of the catalogue.</param>
    /// <param name="message">What is wrong, with the figures. Never a secret.</param>
    /// <param name="target">Name of the object it is about.</param>
    /// <param name="nextStep">What the user can run; null for the catalogue's own.</param>
    /// <param name="cause">What led to it.</param>
    public BlockStorageException(
        BlockError error, string message, string? target = null, string? nextStep = null, Exception? cause = null)
        : base(message, cause)
    {
        Error = error;
        Subject = target ?? "";
        NextStep = nextStep ?? error.NextStep;
    }

    /// <summary>The entry of the catalogue.</summary>
    public BlockError Error { get; }

    /// <summary>Short and stable id, such as VolumeNotFound.</summary>
    public string ErrorId => Error.Id;

    /// <summary>Name of the object it is about.</summary>
    public string Subject { get; }

    /// <summary>What the user can run next.</summary>
    public string NextStep { get; }

    /// <summary>The operation that failed, or empty.</summary>
    public string OperationId { get; set; } = "";
}

/// <summary>One entry of the error catalogue.</summary>
/// <param name="Id">Short and stable id.</param>
/// <param name="Category">Name of a PowerShell ErrorCategory, never NotSpecified.</param>
/// <param name="Summary">When it is raised.</param>
/// <param name="NextStep">What the user can run where the error itself says nothing better.</param>
public sealed record BlockError(string Id, string Category, string Summary, string NextStep);
