# Runs the Pester tests against a staged module in a child shell, so that the module never stays loaded in the caller's.
[CmdletBinding()]
param(
    # Folder of one version of the module, such as artifacts/module/BlockStorage/0.1.0.
    [Parameter(Mandatory)] [string] $ModulePath,
    # NUnit XML goes here.
    [Parameter(Mandatory)] [string] $OutFile,
    # Test files to run; all without it.
    [string[]] $Path = $PSScriptRoot,
    # Manifest of Pester; the installed one without it.
    [string] $PesterPath = 'Pester',
    # Only blocks with this tag; without it all that can run outside the lab.
    [string] $Tag,
    # "passed failed skipped" goes here.
    [string] $CountFile
)
$ErrorActionPreference = 'Stop'

$manifest = (Resolve-Path (Join-Path $ModulePath 'BlockStorage.psd1')).ProviderPath
$out = $ExecutionContext.SessionState.Path.GetUnresolvedProviderPathFromPSPath($OutFile)
$null = New-Item -ItemType Directory -Force (Split-Path $out)
$counts = [System.IO.Path]::GetTempFileName()
$saved = $env:BLOCKSTORAGE_TEST_MANIFEST
try {
    $env:BLOCKSTORAGE_TEST_MANIFEST = $manifest
    $command = {
        param($paths, $out, $counts, $pester, $tag)
        Import-Module $pester -MinimumVersion 5.7 -MaximumVersion 5.99
        $configuration = New-PesterConfiguration
        $configuration.Run.Path = $paths -split '\n'
        $configuration.Run.PassThru = $true
        if ($tag) { $configuration.Filter.Tag = $tag } else { $configuration.Filter.ExcludeTag = 'Lab' }
        $configuration.Output.Verbosity = 'Detailed'
        $configuration.TestResult.Enabled = $true
        $configuration.TestResult.OutputPath = $out
        $result = Invoke-Pester -Configuration $configuration
        # What the tags leave out is not skipped, it belongs to another run.
        $notRun = @($result.NotRun | Where-Object ShouldRun)
        [ordered]@{
            Passed = $result.PassedCount
            # A block or file that could not run counts as one failure: nothing may be lost in silence.
            Failed = $result.FailedCount + $result.FailedBlocksCount + $result.FailedContainersCount
            Skipped = $result.SkippedCount + $notRun.Count
            SkippedName = @(@($result.Skipped) + $notRun | ForEach-Object { "$($_.ExpandedPath): $($_.ErrorRecord.TargetObject.Message)" })
        } | ConvertTo-Json | Set-Content $counts
    }
    $text = "& { $command } @'`n$($Path -join "`n")`n'@ '$out' '$counts' '$PesterPath' '$Tag'"
    pwsh -NoProfile -NonInteractive -OutputFormat Text -EncodedCommand ([Convert]::ToBase64String([Text.Encoding]::Unicode.GetBytes($text))) | Out-Host
    $result = Get-Content -Raw $counts | ConvertFrom-Json
    $result.SkippedName | ForEach-Object { Write-Output "SKIPPED: $_" }
    if ($CountFile) {
        "$($result.Passed) $($result.Failed) $($result.Skipped)" | Set-Content $CountFile
    }
    $result
}
finally {
    $env:BLOCKSTORAGE_TEST_MANIFEST = $saved
    Remove-Item $counts -ErrorAction Ignore
}
