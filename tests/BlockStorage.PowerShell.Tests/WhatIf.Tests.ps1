# -WhatIf of every changing cmdlet: it prints the plan and changes nothing, neither file nor process.
BeforeDiscovery {
    Import-Module $env:BLOCKSTORAGE_TEST_MANIFEST
    $commands = @(
        'Set-BlockStorageConfiguration -LockTimeoutSeconds 9'
        'New-BlockPool px -Path "$folder/px"'
        'Set-BlockPool p1 -Description x'
        'Rename-BlockPool p1 p9'
        'Remove-BlockPool p2'
        'New-BlockVolume vx -Size 1MB -Pool p1'
        'New-BlockVolume vx -Size 1MB -Pool p1 -AsJob'
        'Set-BlockVolume db1 -Description x'
        'Rename-BlockVolume db1 db9'
        'Resize-BlockVolume free 8MB'
        'Resize-BlockVolume free 8MB -AsJob'
        'Remove-BlockVolume free -Cascade'
        'Remove-BlockVolume db1 -Cascade -Force'
        'Copy-BlockVolume free copy'
        'New-BlockSnapshot db1 sx'
        'Set-BlockSnapshot s1 -Description x'
        'Remove-BlockSnapshot s1'
        'Restore-BlockSnapshot s2'
        'New-IscsiTarget iqn.2026-01.test:x'
        'Set-IscsiTarget $iqn -Chap $credential'
        'Remove-IscsiTarget $iqn -Force'
        'Publish-IscsiTarget free'
        'Unpublish-IscsiTarget db1 -Force'
        'Grant-IscsiTargetAccess $iqn iqn.2026-01.test:x'
        'Revoke-IscsiTargetAccess $iqn *'
        'Connect-BlockVolume free'
        'Connect-BlockVolume -Snapshot s1'
        'Disconnect-BlockVolume db1'
        'Set-IscsiInitiator iqn.2026-01.test:x'
        'Repair-BlockStorage'
        'Stop-BlockOperation (Get-BlockOperation | Select-Object -First 1).Id'
    ) | ForEach-Object { @{ Text = $_ } }
}

BeforeAll {
    . "$PSScriptRoot/Common.ps1"
    $folder = Enter-TestHome
    $credential = [pscredential]::new('alice', (ConvertTo-SecureString -AsPlainText -Force 'Canary0Secret1'))
    $null = New-BlockPool p1 -Path "$folder/p1" -Size 512MB
    $null = New-BlockPool p2 -Path "$folder/p2"
    $null = New-BlockVolume db1, free -Size 4MB -Pool p1
    $null = New-BlockSnapshot db1 s1
    $null = New-BlockSnapshot free s2
    $iqn = (Publish-IscsiTarget db1).Iqn
    $null = Connect-BlockVolume db1
    function Get-State {
        # Everything that a change could leave: files with their bytes, processes, mounts, loop devices.
        (@(Get-TreeState $folder) + @(Get-Leftover $folder)) -join "`n"
    }
}
AfterAll { Exit-TestHome $folder }

Describe '<Text> -WhatIf' -ForEach $commands {
    It 'prints the plan and changes nothing' {
        $before = Get-State
        # The host prints the plan, so that it is read from a transcript.
        $null = Start-Transcript "$folder.log" -UseMinimalHeader
        try { $emitted = Invoke-Command -NoNewScope ([scriptblock]::Create("$Text -WhatIf")) } finally { $null = Stop-Transcript }
        $said = Get-Content -Raw "$folder.log"
        Remove-Item "$folder.log"
        $emitted | Should -BeNullOrEmpty
        $said | Should -Match '(?m)^What if: \S.*'
        if ($Text -notmatch '^(Repair|Stop)') { $said | Should -Match '(?m)^  1\. \S' -Because 'the steps are told' }
        $said | Should -Not -Match 'Canary0Secret1'
        Get-State | Should -Be $before
    }
}

Describe 'The list above' {
    It 'names every changing cmdlet' {
        $named = [regex]::Matches((Get-Content -Raw $PSCommandPath), "(?m)^ +'(\w+-\w+)") | ForEach-Object { $_.Groups[1].Value } | Select-Object -Unique
        $changing = (Get-Command -Module BlockStorage -CommandType Cmdlet | Where-Object { $_.Parameters.ContainsKey('WhatIf') }).Name
        $changing | Where-Object { $_ -notin $named } | Should -BeNullOrEmpty
    }
    It 'is obeyed through $WhatIfPreference too' {
        $before = Get-State
        & { $WhatIfPreference = $true; Remove-BlockVolume free -Cascade -Confirm:$false }
        Get-State | Should -Be $before
    }
}

Describe 'Confirmation' {
    It 'makes a cmdlet of high impact refuse where nobody can be asked, unless told' {
        $lines = Invoke-Shell 'Remove-BlockVolume free -Cascade; (Get-BlockVolume free).Name'
        $lines[-1] | Should -Be 'free'
    }
    It 'is never asked for with -Confirm:$false' {
        Invoke-Shell "`$null = New-BlockVolume tmp -Size 1MB -Pool p1; Remove-BlockVolume tmp -Confirm:`$false; @(Get-BlockVolume tm*).Count" | Should -Be '0'
    }
}
