# Import time, listing and pipeline cost in real PowerShell; each figure is the median of several fresh shells.
param([Parameter(Mandatory)][string] $ModulePath, [string] $StateFolder, [int] $Rounds = 7)
$ErrorActionPreference = 'Stop'

function Get-Median([double[]] $Value) { ($Value | Sort-Object)[[Math]::Floor($Value.Count / 2)] }

# Milliseconds that a fresh shell, after its own start, needs for a piece of script.
function Measure-Shell([string] $Script) {
    $times = foreach ($round in 0..$Rounds) {
        [double](pwsh -NoProfile -NonInteractive -Command "`$c = [Diagnostics.Stopwatch]::StartNew(); $Script; `$c.Stop(); `$c.Elapsed.TotalMilliseconds" | Select-Object -Last 1)
    }
    Get-Median ($times | Select-Object -Skip 1)
}

$bare = Measure-Shell '$null = 1'
$import = Measure-Shell "Import-Module '$ModulePath'"
'Import-Module over bare pwsh, warm: {0:0} ms' -f ($import - $bare)
if ($StateFolder) {
    $env:BLOCKSTORAGE_HOME = $StateFolder
    $script = @'
Import-Module '{0}'
$first = Measure-Command {{ Get-BlockVolume vol00001 }}
$list = foreach ($round in 1..7) {{ (Measure-Command {{ Get-BlockVolume | Out-Null }}).TotalMilliseconds }}
$table = (Measure-Command {{ Get-BlockVolume | Out-String -Stream | Out-Null }}).TotalMilliseconds
'First Get-BlockVolume of one name: {{0:0}} ms' -f $first.TotalMilliseconds
'Get-BlockVolume of {{0}} volumes to $null: median {{1:0}} ms, best {{2:0}} ms' -f (Get-BlockVolume).Count, ($list | Sort-Object)[3], ($list | Measure-Object -Minimum).Minimum
'The same as a table: {{0:0}} ms' -f $table
'@ -f $ModulePath
    pwsh -NoProfile -NonInteractive -Command $script
}
