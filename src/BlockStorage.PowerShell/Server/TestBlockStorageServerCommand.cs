using System.Management.Automation;

namespace BlockStorage.Commands;

/// <summary>Tells whether a machine can serve volumes: one usable driver of each kind. With -Detailed, everything it needs, has and lacks.</summary>
[Cmdlet(VerbsDiagnostic.Test, "BlockStorageServer")]
[OutputType(typeof(bool), typeof(BlockServerCheck))]
public sealed class TestBlockStorageServerCommand : BlockStorageCommand
{
    /// <summary>Names of machines.</summary>
    [Parameter(Position = 0, ValueFromPipelineByPropertyName = true)]
    [SupportsWildcards]
    [NameTransformation]
    public string[]? Name { get; set; }

    /// <summary>Each driver, tool and privilege with its version, what is missing and how to get it.</summary>
    [Parameter]
    public SwitchParameter Detailed { get; set; }

    private protected override bool RecoversFirst => false;

    /// <inheritdoc/>
    protected override void ProcessRecord()
    {
        if (Name is not null && Named<BlockStorageServer>(ObjectKind.Server, Name,
                async (service, cancel) => [await service.GetServerAsync(cancel).ConfigureAwait(false)]).Count == 0)
            return;
        Try(null, () =>
        {
            if (Detailed)
                WriteObject(Read((service, cancel) => service.TestServerAsync(cancel)), enumerateCollection: true);
            else
                WriteObject(Read((service, cancel) => service.GetDriversAsync(cancel))
                    .GroupBy(driver => driver.Kind).All(kind => kind.Any(driver => driver.Usable)));
        });
    }
}
