# Lints the scripts and the staged module with the rules of the Gallery and of cmdlet design.
param([Parameter(Mandatory)][string] $ModulePath)
$ErrorActionPreference = 'Stop'
$root = Split-Path $PSScriptRoot
$findings = foreach ($settings in 'PSGallery', 'CmdletDesign') {
    foreach ($path in $ModulePath, "$root/build", "$root/examples", "$root/tests/BlockStorage.PowerShell.Tests") {
        Invoke-ScriptAnalyzer -Path $path -Recurse -Settings $settings -Severity Error, Warning
    }
}
$findings | Format-Table ScriptName, Line, RuleName, Message -Wrap | Out-String -Width 160 | Write-Output
exit [int]($null -ne $findings)
