@{
    RootModule = 'BlockStorage.PowerShell.dll'
    ModuleVersion = '0.1.0'
    GUID = 'ff357272-bd34-4dd3-81f0-f681101c3cdc'
    Author = 'BlockStorage contributors'
    CompanyName = 'BlockStorage contributors'
    Copyright = '(c) BlockStorage contributors. MIT licence.'
    Description = 'Makes a Linux machine a block-storage service: pools, volumes, snapshots, iSCSI targets and connections as typed objects in the pipeline.'
    PowerShellVersion = '7.6'
    CompatiblePSEditions = @('Core')
    RequiredAssemblies = @('BlockStorage.Model.dll')
    TypesToProcess = @('BlockStorage.Types.ps1xml')
    FormatsToProcess = @('BlockStorage.Volume.Format.ps1xml', 'BlockStorage.Iscsi.Format.ps1xml', 'BlockStorage.Server.Format.ps1xml')
    FunctionsToExport = @()
    VariablesToExport = @()
    CmdletsToExport = @(
        'Get-BlockStorageServer', 'Test-BlockStorageServer', 'Get-BlockStorageDriver'
        'Get-BlockStorageConfiguration', 'Set-BlockStorageConfiguration', 'Get-BlockStorageEvent', 'Repair-BlockStorage'
        'Get-BlockOperation', 'Wait-BlockOperation', 'Stop-BlockOperation'
        'Get-BlockPool', 'New-BlockPool', 'Set-BlockPool', 'Rename-BlockPool', 'Remove-BlockPool'
        'Get-BlockVolume', 'New-BlockVolume', 'Set-BlockVolume', 'Rename-BlockVolume', 'Resize-BlockVolume', 'Remove-BlockVolume'
        'Copy-BlockVolume', 'Get-BlockVolumeSupportedSize'
        'Get-BlockSnapshot', 'New-BlockSnapshot', 'Set-BlockSnapshot', 'Remove-BlockSnapshot', 'Restore-BlockSnapshot'
        'Get-IscsiTarget', 'New-IscsiTarget', 'Set-IscsiTarget', 'Remove-IscsiTarget', 'Publish-IscsiTarget', 'Unpublish-IscsiTarget'
        'Get-IscsiTargetAccess', 'Grant-IscsiTargetAccess', 'Revoke-IscsiTargetAccess', 'Find-IscsiTarget'
        'Connect-BlockVolume', 'Disconnect-BlockVolume', 'Get-BlockConnection', 'Get-IscsiInitiator', 'Set-IscsiInitiator'
    )
    AliasesToExport = @(
        'gbpl', 'nbpl', 'gbv', 'nbv', 'rbv', 'rzbv', 'ccbv', 'dcbv', 'gbs', 'nbs', 'rbs', 'rrbs', 'gist', 'pbist', 'ubist', 'fdist'
        'Checkpoint-BlockVolume', 'Mount-BlockVolume', 'Dismount-BlockVolume'
    )
    PrivateData = @{
        PSData = @{
            Tags = @('PSEdition_Core', 'Linux', 'Storage', 'BlockStorage', 'iSCSI', 'Volume', 'Snapshot', 'LVM')
            LicenseUri = 'https://github.com/blockstorage/blockstorage/blob/main/LICENSE'
            ProjectUri = 'https://github.com/blockstorage/blockstorage'
            ReleaseNotes = 'https://github.com/blockstorage/blockstorage/blob/main/CHANGELOG.md'
        }
    }
}
