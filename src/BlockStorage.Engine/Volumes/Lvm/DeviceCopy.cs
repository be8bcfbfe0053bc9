using BlockStorage.Engine.Host;
using BlockStorage.Services;
using Microsoft.Win32.SafeHandles;

namespace BlockStorage.Engine.Volumes.Lvm;

/// <summary>Copies a device onto one that reads as zeros; zeros are not written.</summary>
internal sealed class DeviceCopy(string activity, IWorkSink sink, CancellationToken cancel)
{
    private const int Step = 1 << 20;
    private const long ReportEvery = 16 << 20;

    /// <summary>Copies the first bytes.</summary>
    public void Run(string from, SafeFileHandle to, string path, long size)
    {
        using var source = Native.Open(from, OpenMode.ReadOnly);
        var buffer = new byte[Step];
        for (var offset = 0L; offset < size; offset += Step)
        {
            cancel.ThrowIfCancellationRequested();
            var part = buffer.AsSpan(0, Native.Read(source, buffer.AsSpan(0, (int)Math.Min(Step, size - offset)), offset, from));
            if (part.ContainsAnyExcept((byte)0))
                Native.Write(to, part, offset, path);
            var done = offset + part.Length;
            if (done == size || done % ReportEvery == 0)
                sink.Progress(new WorkProgress(activity, "Copying", (int)(done * 100.0 / size), done, size));
        }
    }
}
