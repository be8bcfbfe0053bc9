using System.Collections;
using System.Globalization;
using System.Management.Automation;
using System.Reflection;

namespace BlockStorage.Commands;

/// <summary>
/// Turns what a pipeline from another process or machine holds (Deserialized.BlockStorage.X) back into X, property by property with
/// type checks, never from a serialized blob. BlockStorage.Types.ps1xml registers it for each public type.
/// </summary>
public sealed class BlockObjectConverter : PSTypeConverter
{
    private const string Prefix = "Deserialized.";
    private const int KnownSchema = 1;

    /// <inheritdoc/>
    public override bool CanConvertFrom(object sourceValue, Type destinationType) =>
        sourceValue is PSObject source && SourceType(source) is { } type && destinationType.IsAssignableFrom(type);

    /// <inheritdoc/>
    public override object ConvertFrom(object sourceValue, Type destinationType, IFormatProvider formatProvider, bool ignoreCase) =>
        CanConvertFrom(sourceValue, destinationType)
            ? Rehydrate((PSObject)sourceValue)!
            : throw new PSInvalidCastException($"This is not a serialized {destinationType.Name}.");

    /// <inheritdoc/>
    public override bool CanConvertTo(object sourceValue, Type destinationType) => false;

    /// <inheritdoc/>
    public override object ConvertTo(object sourceValue, Type destinationType, IFormatProvider formatProvider, bool ignoreCase) =>
        throw new PSInvalidCastException($"No conversion to {destinationType.Name}.");

    /// <summary>The object that was serialized, or null when it is not one of ours.</summary>
    internal static object? Rehydrate(PSObject source)
    {
        if (SourceType(source) is not { } type)
            return null;
        if (source.Properties[nameof(BlockObject.SchemaVersion)]?.Value is { } schema && ToInt(schema) > KnownSchema)
            throw new PSInvalidCastException(
                $"The {type.Name} was made by a newer version of BlockStorage (schema {ToInt(schema)}, this one knows {KnownSchema}).");
        var result = Activator.CreateInstance(type)!;
        foreach (var property in type.GetProperties(BindingFlags.Public | BindingFlags.Instance).Where(p => p.CanWrite))
        {
            if (source.Properties[property.Name]?.Value is { } value)
                property.SetValue(result, Convert(value, property.PropertyType));
        }
        return result;
    }

    private static object? Convert(object value, Type type)
    {
        var bare = value is PSObject wrapped ? wrapped.BaseObject : value;
        if (type.IsArray)
        {
            var items = bare is IEnumerable many and not string ? many.Cast<object>().ToArray() : [value];
            var array = Array.CreateInstance(type.GetElementType()!, items.Length);
            for (var i = 0; i < items.Length; i++)
                array.SetValue(Convert(items[i], type.GetElementType()!), i);
            return array;
        }
        if (value is PSObject child && SourceType(child) is { } childType && type.IsAssignableFrom(childType))
            return Rehydrate(child);
        return LanguagePrimitives.ConvertTo(bare, type, CultureInfo.InvariantCulture);
    }

    private static int ToInt(object value) => LanguagePrimitives.ConvertTo<int>(value);

    // Only types of the model: a name in a foreign stream never chooses anything else.
    private static Type? SourceType(PSObject source)
    {
        var name = source.TypeNames.FirstOrDefault();
        if (name is null || !name.StartsWith(Prefix, StringComparison.Ordinal))
            return null;
        var type = typeof(BlockObject).Assembly.GetType(name[Prefix.Length..]);
        return type is { IsPublic: true, IsAbstract: false } && (type.IsSubclassOf(typeof(BlockObject)) || type == typeof(BlockOperationStep))
            ? type : null;
    }
}
