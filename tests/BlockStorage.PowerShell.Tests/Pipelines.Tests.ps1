# The pipelines of the documentation, exactly as written, from a shell on a machine with nothing configured.
BeforeAll { . "$PSScriptRoot/Common.ps1" }

Describe 'From nothing' {
    BeforeAll { $folder = Enter-TestHome }
    AfterAll { Exit-TestHome $folder }

    It 'a volume becomes a block device in one line' {
        $connection = New-BlockVolume db1 -Size 10GB | Publish-IscsiTarget | Connect-BlockVolume
        $connection.State, $connection.Size | Should -Be 'attached', 10GB
        $size = [long](blockdev --getsize64 $connection.DevicePath)
        $size | Should -Be 10GB
        (Get-BlockPool).Name | Should -Be 'default'
    }
    It 'a second shell sees it at once' {
        $lines = Invoke-Shell '$v = Get-BlockVolume db1; $v.State; $v.DevicePath; (Get-IscsiTarget).State; (Get-BlockConnection).State'
        $lines | Should -Be 'in-use', (Get-BlockConnection).DevicePath, 'online', 'attached'
    }
    It 'what the second shell makes is seen here at once' {
        $null = Invoke-Shell 'New-BlockVolume other -Size 1MB'
        (Get-BlockVolume other).State | Should -Be 'available'
        $null = Invoke-Shell 'Remove-BlockVolume other -Confirm:$false'
        Get-BlockVolume othe* | Should -BeNullOrEmpty
    }
    It 'old snapshots would be removed' {
        $null = New-BlockVolume snapped -Size 4MB | New-BlockSnapshot -Name recent
        Get-BlockSnapshot | Where-Object CreatedAt -lt (Get-Date).AddDays(-30) | Remove-BlockSnapshot -WhatIf
        (Get-BlockSnapshot).Name | Should -Be 'recent'
        Get-BlockSnapshot | Where-Object CreatedAt -gt (Get-Date).AddMinutes(-10) | Should -HaveCount 1
        Invoke-Shell '(Get-BlockSnapshot | Where-Object CreatedAt -lt (Get-Date).AddMinutes(-10)).Count; (Get-BlockSnapshot | Where-Object CreatedAt -gt (Get-Date).AddMinutes(-10)).Count' @{ TZ = 'America/New_York' } |
            Should -Be '0', '1' -Because 'times compare with the local Get-Date in every time zone'
    }
    It 'a file of volumes becomes volumes in a job' {
        Push-Location $folder
        try {
            Set-Content volumes.csv "Name,Size,Tag`nweb1,1GB,web`nweb2,'2GiB',`nweb3,1.5GB,web;big".Replace("'", '')
            $made = Import-Csv volumes.csv | New-BlockVolume -AsJob | Receive-Job -Wait
            Remove-Item volumes.csv
        }
        finally { Pop-Location }
        ($made | Sort-Object Name).Size | Should -Be 1GB, 2GB, 1.5GB
        $made | ForEach-Object { $_ | Should -BeOfType ([BlockStorage.BlockVolume]) }
    }
    It 'what a portal tells of can be connected' {
        Get-BlockConnection | Disconnect-BlockVolume
        $devices = Find-IscsiTarget -PortalAddress 127.0.0.1 | Connect-BlockVolume | ForEach-Object DevicePath
        $devices | Should -Be (Get-BlockConnection).DevicePath
        $devices | Should -Match '^/dev/'
    }
    It 'all of it goes in one line, and nothing is left' {
        Get-BlockConnection | Disconnect-BlockVolume; Get-IscsiTarget | Unpublish-IscsiTarget; Get-BlockVolume | Remove-BlockVolume -Cascade -Confirm:$false
        Get-BlockConnection | Should -BeNullOrEmpty
        Get-IscsiTarget | Should -BeNullOrEmpty
        Get-BlockVolume | Should -BeNullOrEmpty
        @(Get-Leftover $folder | Where-Object { $_ -notmatch "pools/default" }) | Should -BeNullOrEmpty
    }
    It 'a file of volumes in a job works where no pool was made before' {
        Remove-BlockPool default -Confirm:$false
        $made = "Name,Size`nj1,8MB`nj2,8MB`nj3,8MB`nj4,8MB" | ConvertFrom-Csv | New-BlockVolume -AsJob | Receive-Job -Wait
        ($made.Name | Sort-Object) -join ' ' | Should -Be 'j1 j2 j3 j4'
        (Get-BlockPool).Name | Should -Be 'default'
    }
}

Describe 'Growing and snapshotting what is in use' {
    BeforeAll { $folder = Enter-TestHome; $null = New-BlockPool p1 -Path "$folder/p1" -Size 1GB }
    AfterAll { Exit-TestHome $folder }
    It 'works by condition' {
        $volume = New-BlockVolume full -Size 8MB -Pool p1
        $null = New-BlockVolume empty -Size 8MB -Pool p1
        Start-Process dd "if=/dev/urandom of=$($volume.Path) bs=1M count=8 conv=notrunc status=none" -Wait
        $text = Get-BlockVolume | Where-Object UsedPercent -gt 90 | Resize-BlockVolume -Increase 5GB -PassThru | Format-Table Name, Size | Out-String
        $text | Should -Match "full\s+$(5GB + 8MB)"
        $text | Should -Not -Match 'empty'
    }
    It 'publishes snapshots read-only' {
        $targets = Get-BlockVolume e* | New-BlockSnapshot -Name '{Volume}-{Timestamp}' | Publish-IscsiTarget -ReadOnly
        $targets.ReadOnly | Should -BeTrue
        $targets.Snapshot | Should -Match '^empty-'
    }
}
