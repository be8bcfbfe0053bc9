# Lints the scripts and the staged module with the rules of the Gallery and of cmdlet design.
param([Parameter(Mandatory)][string] $ModulePath)
$ErrorActionPreference = 'Stop'
$root = Split-Path $PSScriptRoot
$findings = foreach ($settings in 'PSGallery', 'CmdletDesign') {
    foreach ($path in $ModulePath, "$root/build", "$root/examples", "$root/tests/BlockStorage.PowerShell.Tests") {
        # Pester runs a test in another scope than its setup, which these two rules cannot see.
        $excluded = $path -like '*Tests' ? @('PSUseDeclaredVarsMoreThanAssignments', 'PSUseShouldProcessForStateChangingFunctions') : @()
        Invoke-ScriptAnalyzer -Path $path -Recurse -Settings $settings -Severity Error, Warning -ExcludeRule $excluded
    }
}
$findings | Format-Table ScriptName, Line, RuleName, Message -Wrap | Out-String -Width 160 | Write-Output
exit [int]($null -ne $findings)
