# Checks the pages of docs/BlockStorage against the module and makes from them what Get-Help shows: the MAML help and the topic of errors.
[CmdletBinding()]
param(
    # The staged module: its manifest or folder.
    [Parameter(Mandatory)] [string] $ModulePath,
    # Where the generated files go.
    [string] $OutputFolder = (Join-Path (Split-Path $PSScriptRoot) 'en-US')
)
$ErrorActionPreference = 'Stop'
. "$PSScriptRoot/maml.ps1"

if (-not (Get-Module -ListAvailable Microsoft.PowerShell.PlatyPS)) {
    throw 'The help is made by Microsoft.PowerShell.PlatyPS 1.0.3 or later, which is not installed: Install-PSResource Microsoft.PowerShell.PlatyPS'
}
Import-Module Microsoft.PowerShell.PlatyPS
Import-Module (Resolve-Path $ModulePath).ProviderPath
$pages = Join-Path (Split-Path $PSScriptRoot) 'docs/BlockStorage'

# What a page and its cmdlet must agree on, one line a fact.
function Get-Shape ($Help) {
    foreach ($syntax in $Help.Syntax) {
        "set $($syntax.ParameterSetName) default=$($syntax.IsDefaultParameterSet) $(@($syntax.SyntaxParameters | ForEach-Object ToString | Sort-Object) -join ' ')"
    }
    foreach ($parameter in $Help.Parameters) {
        $sets = $parameter.ParameterSets | Sort-Object Name | ForEach-Object {
            "$($_.Name) position=$($_.Position) required=$($_.IsRequired) pipeline=$($_.ValueFromPipeline) property=$($_.ValueFromPipelineByPropertyName)"
        }
        "parameter $($parameter.Name) $($parameter.Type) wildcards=$($parameter.SupportsWildcards) aliases=$($parameter.Aliases -join ',') $($sets -join '; ')"
    }
    foreach ($type in $Help.Outputs) { "output $($type.Typename)" }
}

function Get-PageProblem ($Command) {
    $page = Join-Path $pages "$($Command.Name).md"
    if (-not (Test-Path $page)) {
        return "$($Command.Name): no page. New-MarkdownCommandHelp -CommandInfo (Get-Command $($Command.Name)) makes one to fill in."
    }
    if (-not (Test-MarkdownCommandHelp $page)) { "$($Command.Name): the page lacks a section, or its sections are out of order." }
    Select-String -Path $page -SimpleMatch '{{ ', '{{Insert' | ForEach-Object { "$($Command.Name): line $($_.LineNumber) is not filled in: $($_.Line)" }
    $help = Import-MarkdownCommandHelp $page
    Compare-Object @(Get-Shape $help) @(Get-Shape (New-CommandHelp $Command)) | ForEach-Object {
        "$($Command.Name): $($_.SideIndicator -eq '<=' ? 'only the page has' : 'only the cmdlet has'): $($_.InputObject)"
    }
    foreach ($alias in Get-Alias -Definition $Command.Name -ErrorAction Ignore) {
        if ($help.Aliases -notmatch "\b$alias\b") { "$($Command.Name): the alias $alias is not on the page." }
    }
}

function Get-ErrorTopic {
    @'
TOPIC
    about_BlockStorage_Errors

SHORT DESCRIPTION
    Every error of BlockStorage: its id and category, when it is given, and what to do next.

LONG DESCRIPTION
    Every failure is an error of this catalogue. FullyQualifiedErrorId begins with its id, TargetObject is what it
    is about, and the recommendation that PowerShell prints below the message is a next step that can be run; it is
    often more exact than the general one given here.

    A failing item never stops the others of a pipeline. To stop at the first error use -ErrorAction Stop:

        try { Remove-BlockVolume db1 -Confirm:$false -ErrorAction Stop }
        catch { $_.FullyQualifiedErrorId; $_.ErrorDetails.RecommendedAction }

    The catalogue is also an object: [BlockStorage.BlockErrors]::All | Format-Table Id, Category, NextStep

ERRORS
'@
    foreach ($entry in [BlockStorage.BlockErrors]::All) {
        ''
        "    $($entry.Id) ($($entry.Category))"
        "        $($entry.Summary)"
        "        Next: $($entry.NextStep)"
    }
    @'

SEE ALSO
    about_BlockStorage
    about_BlockStorage_Safety
'@
}

$commands = @(Get-Command -Module BlockStorage -CommandType Cmdlet)
$problems = @(
    $commands | ForEach-Object { Get-PageProblem $_ }
    Get-ChildItem $pages -Filter *.md | Where-Object BaseName -NotIn $commands.Name | ForEach-Object { "$($_.BaseName): a page without a cmdlet." }
)
if ($problems) { throw "docs/BlockStorage does not agree with the module:`n$($problems -join "`n")" }

$null = New-Item -ItemType Directory -Force $OutputFolder
$work = Join-Path ([System.IO.Path]::GetTempPath()) "bs-docs-$PID"
try {
    $helps = @(Get-ChildItem $pages -Filter *.md | Sort-Object Name | ForEach-Object { Import-MarkdownCommandHelp $_.FullName })
    # PlatyPS puts its file into a folder of the module's name.
    $exported = $helps | Export-MamlCommandHelp -OutputFolder $work -Force
    $maml = [xml]::new()
    $maml.Load($exported.FullName)
    Format-Maml $maml $helps
    Save-Maml $maml (Join-Path $OutputFolder $exported.Name)
    Get-ErrorTopic | Set-Content (Join-Path $OutputFolder about_BlockStorage_Errors.help.txt)
}
finally {
    Remove-Item -Recurse -Force $work -ErrorAction Ignore
}
