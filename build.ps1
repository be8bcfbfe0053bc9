#!/usr/bin/env pwsh
<#
.SYNOPSIS
Builds, tests and tries BlockStorage from inside PowerShell.
.DESCRIPTION
The same tasks as build.sh, which does the work. Before tests and docs it brings Pester and platyPS from the PowerShell
Gallery where that can be reached.
.EXAMPLE
./build.ps1 -Task Test
#>
[CmdletBinding()]
param(
    [ValidateSet('Build', 'Test', 'Demo', 'Docs', 'Package', 'Bench', 'Deps', 'Clean')]
    [string] $Task = 'Build'
)
$ErrorActionPreference = 'Stop'

$modules = @{ Test = @{ Pester = '5.7.1'; PSScriptAnalyzer = '1.25.0' }; Docs = @{ 'Microsoft.PowerShell.PlatyPS' = '1.0.3' } }
foreach ($module in $modules[$Task].Keys) {
    $version = $modules[$Task][$module]
    if (Get-Module -ListAvailable $module | Where-Object Version -EQ $version) { continue }
    try {
        Install-PSResource -Name $module -Version $version -TrustRepository -Scope CurrentUser
    }
    catch {
        Write-Warning "$module $version could not be had from the Gallery: $_"
    }
}

& (Join-Path $PSScriptRoot 'build.sh') $Task.ToLowerInvariant()
exit $LASTEXITCODE
