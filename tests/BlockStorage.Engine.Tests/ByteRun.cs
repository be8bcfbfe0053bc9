namespace BlockStorage.Engine.Tests;

/// <summary>Looks at hundreds of megabytes at once: a call a byte takes minutes where the processor is emulated.</summary>
internal static class ByteRun
{
    public static bool AreAll(this byte[] bytes, byte value) => !bytes.AsSpan().ContainsAnyExcept(value);

    public static bool Has(this byte[] bytes, byte value) => bytes.AsSpan().Contains(value);

    public static int CountOf(this byte[] bytes, byte value) => bytes.AsSpan().Count(value);
}
