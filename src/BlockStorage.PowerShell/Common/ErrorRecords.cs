using System.Management.Automation;

namespace BlockStorage.Commands;

/// <summary>The one place that makes error records: id, category, object and next step come from the error catalogue.</summary>
internal static class ErrorRecords
{
    /// <summary>The record of a failure.</summary>
    /// <param name="error">The failure.</param>
    /// <param name="target">The object it is about; the exception's own subject where there is none.</param>
    /// <param name="commandType">Cmdlet class, where PowerShell does not add it to the id by itself.</param>
    public static ErrorRecord From(BlockStorageException error, object? target = null, string? commandType = null) =>
        new(error, commandType is null ? error.ErrorId : $"{error.ErrorId},{commandType}", Enum.Parse<ErrorCategory>(error.Error.Category), target ?? error.Subject)
        {
            ErrorDetails = new ErrorDetails(error.Message) { RecommendedAction = error.NextStep },
        };

    /// <summary>Puts what nobody foresaw into the catalogue's terms.</summary>
    public static BlockStorageException Wrap(Exception error) => error as BlockStorageException
        ?? new BlockStorageException(BlockErrors.Unexpected, $"{error.GetType().Name}: {error.Message}", cause: error);
}
