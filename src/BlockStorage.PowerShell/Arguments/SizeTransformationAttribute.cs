using System.Collections.Concurrent;
using System.Globalization;
using System.Management.Automation;

namespace BlockStorage.Commands;

/// <summary>Lets a size be written as 10GB, '10GiB', '1.5TB' or a number of bytes. An empty text, as in a CSV cell, means not given.</summary>
[AttributeUsage(AttributeTargets.Property)]
public sealed class SizeTransformationAttribute : ArgumentTransformationAttribute
{
    // PowerShell hides what a transformation throws behind an error of its own, without id and next step. So a size that cannot be
    // read is bound as a number that no size can be, and the cmdlet finds the error when it takes the value.
    private static readonly ConcurrentDictionary<long, BlockStorageException> Deferred = new();
    private static long s_lastDeferred = long.MinValue;

    /// <inheritdoc/>
    public override object? Transform(EngineIntrinsics engineIntrinsics, object? inputData)
    {
        var value = inputData is PSObject wrapped ? wrapped.BaseObject : inputData;
        if (value is null || (value is string text && string.IsNullOrWhiteSpace(text)))
            return null;
        try
        {
            return Parse(value);
        }
        catch (BlockStorageException error)
        {
            var key = Interlocked.Increment(ref s_lastDeferred);
            Deferred[key] = error;
            return key;
        }
    }

    /// <summary>The size that was bound.</summary>
    /// <exception cref="BlockStorageException">InvalidSize.</exception>
    internal static long? Take(long? bound) =>
        bound is long key && Deferred.TryRemove(key, out var error) ? throw error : bound;

    private static long Parse(object value) => value switch
    {
        string text => ByteSize.Parse(text),
        double or float or decimal => ByteSize.Check(Convert.ToDouble(value, CultureInfo.InvariantCulture)),
        _ => ByteSize.Parse(Convert.ToString(value, CultureInfo.InvariantCulture) ?? ""),
    };
}
