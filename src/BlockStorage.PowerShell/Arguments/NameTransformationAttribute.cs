using System.Collections;
using System.Management.Automation;

namespace BlockStorage.Commands;

/// <summary>Lets an object stand where a name is asked for: -Pool $pool, -FromSnapshot $snapshot. An empty text means not given.</summary>
[AttributeUsage(AttributeTargets.Property)]
public sealed class NameTransformationAttribute : ArgumentTransformationAttribute
{
    /// <summary>Take the id of the object where it has one, because its name alone may not be unique.</summary>
    public bool PreferId { get; set; }

    /// <inheritdoc/>
    public override object? Transform(EngineIntrinsics engineIntrinsics, object? inputData)
    {
        var item = inputData is PSObject source ? BlockObjectConverter.Rehydrate(source) ?? source.BaseObject : inputData;
        return item switch
        {
            BlockObject thing => PreferId && thing.Id.Length > 0 ? thing.Id : thing.Name,
            string text => text.Length == 0 ? null : text,
            IEnumerable many => many.Cast<object?>().Select(each => Transform(engineIntrinsics, each)).ToArray(),
            _ => inputData,
        };
    }
}
