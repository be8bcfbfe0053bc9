using System.Collections;
using System.Management.Automation;

namespace BlockStorage.Commands;

/// <summary>
/// Rehydrates serialized objects before the binder looks at them: otherwise it would take only their Name and act on whatever thing of
/// that name is here.
/// </summary>
[AttributeUsage(AttributeTargets.Property)]
public sealed class ObjectTransformationAttribute : ArgumentTransformationAttribute
{
    /// <inheritdoc/>
    public override object? Transform(EngineIntrinsics engineIntrinsics, object? inputData)
    {
        if (inputData is not PSObject source)
            return inputData is object[] items ? items.Select(item => Transform(engineIntrinsics, item)).ToArray() : inputData;
        if (BlockObjectConverter.Rehydrate(source) is { } one)
            return one;
        return source.BaseObject is IList list
            ? list.Cast<object?>().Select(item => Transform(engineIntrinsics, item)).ToArray()
            : source.BaseObject;
    }
}
