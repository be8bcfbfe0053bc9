# What Get-Help shows agrees with the module, and every example, of the pages and of the README, runs as it is written.
BeforeDiscovery {
    $root = Split-Path (Split-Path $PSScriptRoot)
    $cmdlets = (Import-PowerShellDataFile $env:BLOCKSTORAGE_TEST_MANIFEST).CmdletsToExport | ForEach-Object { @{ Name = $_ } }
    $pages = Get-ChildItem "$root/docs/BlockStorage" -Filter *.md | ForEach-Object {
        $found = [regex]::Matches((Get-Content -Raw $_.FullName), '(?s)### (Example \d+: [^\n]+)\n.*?```powershell\n(.*?)\n```')
        @{ Name = $_.BaseName; Examples = @($found | ForEach-Object { @{ Title = $_.Groups[1].Value; Code = $_.Groups[2].Value } }) }
    }
    # Examples that make pools of disks run where there are disks to lose.
    $needsDisks = '/dev/sd|-Driver Lvm'
    $diskPages = $pages | ForEach-Object { @{ Name = $_.Name; Examples = @($_.Examples | Where-Object Code -Match $needsDisks) } } | Where-Object { $_.Examples }
    $pages = $pages | ForEach-Object { @{ Name = $_.Name; Examples = @($_.Examples | Where-Object Code -NotMatch $needsDisks) } }
    $topics = 'about_BlockStorage', 'about_BlockStorage_Sizes', 'about_BlockStorage_Errors', 'about_BlockStorage_Drivers', 'about_BlockStorage_Safety'
}

BeforeAll {
    . "$PSScriptRoot/Common.ps1"
    $root = Split-Path (Split-Path $PSScriptRoot)
    $folder = Enter-TestHome
    $common = [System.Management.Automation.PSCmdlet]::CommonParameters

    # Runs what a page shows. Folders that belong to a machine lie in the sandbox; questions are answered with yes.
    function Invoke-Example ([string] $Code) {
        $ConfirmPreference = 'None'
        $ErrorActionPreference = 'Continue'
        $PSNativeCommandUseErrorActionPreference = $true
        $moved = $Code -replace '(?<=^|[\s''"=])/(srv|mnt)\b', "$folder/`$1"
        & ([scriptblock]::Create($moved)) 2>&1
    }

    # What an example wrote as an error; what a program says beside its output is none, its exit code is.
    function Get-ExampleError ([object[]] $Output) {
        $Output | Where-Object { $_ -is [System.Management.Automation.ErrorRecord] -and $_.FullyQualifiedErrorId -notlike 'NativeCommandError*' } |
            ForEach-Object { "$_ ($($_.FullyQualifiedErrorId))" }
    }

    function Clear-Machine {
        Get-BlockConnection | Disconnect-BlockVolume -Force -Confirm:$false
        Get-IscsiTarget | Remove-IscsiTarget -Force -Confirm:$false
        Get-BlockVolume | Remove-BlockVolume -Cascade -Confirm:$false
        Get-BlockPool | Where-Object Name -NotIn fast, bulk | Remove-BlockPool -Confirm:$false
    }

    # The machine that the examples speak of.
    function Initialize-Machine {
        Clear-Machine
        $null = New-BlockPool fast -Path "$folder/srv/fast" -Size 3GB -IfNotExists
        Set-BlockPool fast -OversubscriptionRatio 100 -ReservedPercent 0
        $null = New-BlockPool bulk -Path "$folder/srv/bulk" -IfNotExists
        $null = New-BlockPool spare -Path "$folder/srv/spare"
        Set-BlockStorageConfiguration -DefaultPool fast -PortalAddress 127.0.0.1 -Confirm:$false
        $null = New-BlockVolume db1, db2 -Size 10GB -Tag prod
        $null = New-BlockVolume db3, test1 -Size 5GB
        $null = New-BlockSnapshot db2 sunday -Tag nightly
        $null = New-BlockSnapshot db2 monday -Tag nightly
        $null = Publish-IscsiTarget db1
        $null = Connect-BlockVolume db3
    }
}
AfterAll { Exit-TestHome $folder }

Describe 'Help of <Name>' -ForEach $cmdlets {
    BeforeAll { $help = Get-Help $Name -Full }
    It 'says what it does' {
        $help.Synopsis | Should -Match '^[A-Z].*\.$'
        ($help.description.Text -join ' ').Length | Should -BeGreaterThan 100
    }
    It 'describes every parameter' {
        $parameters = (Get-Command $Name).Parameters.Keys | Where-Object { $_ -notin $common }
        @($help.parameters.parameter.name | Sort-Object) | Should -Be @($parameters | Sort-Object)
        foreach ($parameter in $help.parameters.parameter) { ($parameter.description.Text -join '') | Should -Match '\S\.' -Because $parameter.name }
    }
    It 'has two examples or more, one of them a pipeline' {
        $examples = @($help.examples.example)
        $examples.Count | Should -BeGreaterOrEqual 2
        foreach ($example in $examples) { $example.code | Should -Not -BeNullOrEmpty }
        @($examples | Where-Object code -Match '\|').Count | Should -BeGreaterOrEqual 1
    }
    It 'says what goes in and what comes out' {
        ($help.inputTypes.inputType | ForEach-Object { $_.description.Text }) | Should -Not -BeNullOrEmpty
        ($help.returnValues.returnValue | ForEach-Object { $_.description.Text }) | Should -Not -BeNullOrEmpty
    }
    It 'has a page with exactly its parameters' {
        $page = Get-Content -Raw "$root/docs/BlockStorage/$Name.md"
        $page | Should -Not -Match '\{\{'
        $shown = [regex]::Matches($page, '(?m)^### -(\w+)$') | ForEach-Object { $_.Groups[1].Value }
        @($shown | Sort-Object) | Should -Be @((Get-Command $Name).Parameters.Keys | Where-Object { $_ -notin $common } | Sort-Object)
    }
}

Describe 'Topics' {
    It 'include <_>' -ForEach $topics {
        $text = Get-Help $_ | Out-String
        $text | Should -Match '^\s*TOPIC\s+about_BlockStorage'
        $text.Length | Should -BeGreaterThan 800
        $text | Should -Not -Match '\{\{'
    }
    It 'list every error with its category and next step' {
        $text = (Get-Help about_BlockStorage_Errors | Out-String) -replace '\r'
        foreach ($entry in [BlockStorage.BlockErrors]::All) { $text | Should -Match ([regex]::Escape("$($entry.Id) ($($entry.Category))")) -Because $entry.Id }
        foreach ($entry in [BlockStorage.BlockErrors]::All) { $text | Should -Match ([regex]::Escape("Next: $($entry.NextStep)")) -Because $entry.Id }
    }
    It 'name no cmdlet and no parameter that does not exist' {
        foreach ($file in Get-ChildItem "$root/en-US/about_*.help.txt") {
            foreach ($name in [regex]::Matches((Get-Content -Raw $file), '\b[A-Z][a-z]+-(Block|Iscsi)[A-Za-z]+\b').Value | Sort-Object -Unique) {
                Get-Command $name -Module BlockStorage -ErrorAction Ignore | Should -Not -BeNullOrEmpty -Because "$($file.Name) speaks of $name"
            }
        }
    }
}

Describe 'Generated help' {
    It 'is what build/docs.ps1 makes of the pages now' {
        if (-not (Get-Module -ListAvailable Microsoft.PowerShell.PlatyPS)) {
            Set-ItResult -Skipped -Because 'Microsoft.PowerShell.PlatyPS is not installed'
            return
        }
        $null = pwsh -NoProfile -NonInteractive -File "$root/build/docs.ps1" -ModulePath $env:BLOCKSTORAGE_TEST_MANIFEST -OutputFolder "$folder/en-US"
        $LASTEXITCODE | Should -Be 0
        foreach ($file in Get-ChildItem "$folder/en-US") {
            Get-Content -Raw "$root/en-US/$($file.Name)" | Should -BeExactly (Get-Content -Raw $file) -Because "$($file.Name) is stale: ./build.sh docs"
        }
    }
    It 'holds exactly the cmdlets of the module' {
        $maml = [xml] (Get-Content -Raw "$root/en-US/BlockStorage.PowerShell.dll-Help.xml")
        @($maml.helpItems.command.details.name | Sort-Object) | Should -Be @((Get-Command -Module BlockStorage -CommandType Cmdlet).Name | Sort-Object)
    }
}

Describe 'Examples of <Name>' -ForEach $pages {
    BeforeAll {
        Initialize-Machine
        $secret = [securestring]::new()
        'Secret4Example'.ToCharArray() | ForEach-Object { $secret.AppendChar($_) }
        $credential = [pscredential]::new('alice', $secret)
        Mock Get-Credential { $credential }
    }
    It 'run: <Title>' -ForEach $Examples {
        Get-ExampleError @(Invoke-Example $Code) | Should -BeNullOrEmpty
    }
}

Describe 'Examples of <Name> that need disks' -Tag Lab -ForEach $diskPages {
    BeforeEach {
        $disks = -split $env:LAB_DISKS
        pvcreate -q $disks[2]
        vgcreate -q vg0 $disks[2]
    }
    AfterEach {
        Get-BlockPool | Remove-BlockPool -Confirm:$false
        vgremove -q vg0
        pvremove -q $disks[2]
        wipefs --no-act $disks[0] $disks[1] $disks[2] | Should -BeNullOrEmpty
    }
    It 'run: <Title>' -ForEach $Examples {
        # A pool of 500 GiB finds no room in the lab.
        $here = $Code.Replace('/dev/sdb', $disks[0]).Replace('/dev/sdc', $disks[1]).Replace('/dev/sdd', $disks[3]).Replace('500GB', '500MB')
        Get-ExampleError @(Invoke-Example $here) | Should -BeNullOrEmpty
        (Get-BlockPool).Driver | Should -Be Lvm
    }
}

Describe 'First ten minutes' {
    BeforeEach {
        Clear-Machine
        Get-BlockPool | Remove-BlockPool -Confirm:$false
        Set-BlockStorageConfiguration -DefaultPool '' -Confirm:$false
        $null = New-Item -ItemType Directory -Force "$folder/mnt"
    }
    It 'of the README run as they are written' {
        $section = [regex]::Match((Get-Content -Raw "$root/README.md"), '(?s)\n## First ten minutes\n(.*?)\n## ').Groups[1].Value
        $blocks = [regex]::Matches($section, '(?s)```powershell\n(.*?)\n```') | ForEach-Object { $_.Groups[1].Value }
        $blocks.Count | Should -BeGreaterThan 4
        # One shell runs them all, because later ones build on the variables of earlier ones.
        Get-ExampleError @(Invoke-Example ($blocks -join "`n")) | Should -BeNullOrEmpty
        Get-BlockPool | Should -BeNullOrEmpty -Because 'the last block cleans up'
    }
    It 'of about_BlockStorage run as they are written' {
        $section = [regex]::Match((Get-Content -Raw "$root/en-US/about_BlockStorage.help.txt"), '(?s)\nFIRST TEN MINUTES\n(.*?)\n\n    The pool ').Groups[1].Value
        $lines = $section -split '\n' -match '^ {8}\S'
        $lines.Count | Should -BeGreaterThan 8
        Get-ExampleError @(Invoke-Example ($lines -join "`n")) | Should -BeNullOrEmpty
        Get-BlockVolume | Should -BeNullOrEmpty -Because 'the last line cleans up'
    }
}
