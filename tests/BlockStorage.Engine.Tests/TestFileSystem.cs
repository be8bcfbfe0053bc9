using BlockStorage.Engine.Host;

namespace BlockStorage.Engine.Tests;

/// <summary>A file system of its own for one test, mounted below the test's folder.</summary>
internal sealed class TestFileSystem : IAsyncDisposable
{
    private readonly string _image;

    private TestFileSystem(string image, string path) => (_image, Path) = (image, path);

    public string Path { get; }

    public static async Task<TestFileSystem> MakeAsync(TestFolder folder, string type, long size, string options = "")
    {
        var made = new TestFileSystem(folder.File($"{type}.img"), folder.File(type));
        using (var handle = Native.Open(made._image, OpenMode.ReadWrite | OpenMode.Create))
            Native.SetSize(handle, size, made._image);
        await new CommandRunner().RunCheckedAsync(
            new Command($"mkfs.{type}", ["-q", made._image], TimeSpan.FromSeconds(60)), SilentSink.Instance, CancellationToken.None);
        Directory.CreateDirectory(made.Path);
        using var loop = LoopDevices.Attach(made._image, readOnly: false, directIo: false, autoClear: true);
        Mounts.Mount(loop.Path, made.Path, type, options: options);
        return made;
    }

    public async ValueTask DisposeAsync()
    {
        await Mounts.UnmountAsync(Path, CancellationToken.None);
        Assert.True(await Poll.UntilAsync(
            () => LoopDevices.FindByBackingFile(_image).Count == 0, TimeSpan.FromSeconds(20), CancellationToken.None));
    }
}
