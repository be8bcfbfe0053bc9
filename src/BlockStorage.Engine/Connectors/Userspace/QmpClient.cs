using System.Net.Sockets;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace BlockStorage.Engine.Connectors.Userspace;

/// <summary>Runs one command over the QMP socket of a qemu-storage-daemon.</summary>
internal static class QmpClient
{
    private const int LineLimit = 1 << 20;

    /// <summary>Runs a command.</summary>
    /// <param name="socketPath">Socket.</param>
    /// <param name="command">Name of the command.</param>
    /// <param name="arguments">Its arguments, or null.</param>
    /// <param name="timeout">How long it may take.</param>
    /// <param name="cancel">Stops the waiting.</param>
    /// <exception cref="BlockStorageException">ConnectionLost: no answer. ToolFailed: qemu's own words.</exception>
    public static async Task RunAsync(string socketPath, string command, JsonObject? arguments, TimeSpan timeout, CancellationToken cancel)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        limit.CancelAfter(timeout);
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(socketPath), limit.Token).ConfigureAwait(false);
            using var stream = new NetworkStream(socket);
            using var reader = new StreamReader(stream);
            await SendAsync(stream, reader, "qmp_capabilities", null, limit.Token).ConfigureAwait(false);
            await SendAsync(stream, reader, command, arguments, limit.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
            throw Lost(command, $"does not answer within {timeout.TotalSeconds:0} s", null);
        }
        catch (Exception error) when (error is SocketException or IOException or JsonException)
        {
            throw Lost(command, "is gone or does not answer properly", error);
        }
    }

    private static async Task SendAsync(Stream stream, StreamReader reader, string command, JsonObject? arguments, CancellationToken cancel)
    {
        var request = new JsonObject { ["execute"] = command };
        if (arguments is not null)
            request["arguments"] = arguments;
        await stream.WriteAsync(System.Text.Encoding.UTF8.GetBytes(request.ToJsonString() + "\n"), cancel).ConfigureAwait(false);
        while (true)
        {
            // The greeting and events come between.
            var answer = JsonNode.Parse(await ReadLineAsync(reader, cancel).ConfigureAwait(false)) as JsonObject;
            if (answer?.ContainsKey("return") == true)
                return;
            if (answer?["error"] is JsonObject error)
                throw new BlockStorageException(BlockErrors.ToolFailed, $"qemu-storage-daemon refuses {command}: {error["desc"]}", command);
        }
    }

    private static async Task<string> ReadLineAsync(StreamReader reader, CancellationToken cancel)
    {
        var line = await reader.ReadLineAsync(cancel).ConfigureAwait(false) ?? throw new EndOfStreamException("The socket was closed.");
        return line.Length <= LineLimit ? line : throw new JsonException("The answer is too long.");
    }

    private static BlockStorageException Lost(string command, string what, Exception? cause) =>
        new(BlockErrors.ConnectionLost, $"The qemu-storage-daemon {what} ({command}).", "qemu-storage-daemon", cause: cause);
}
