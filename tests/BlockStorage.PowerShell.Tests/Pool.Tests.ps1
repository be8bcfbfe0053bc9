# Pools: what a user types, what comes back, what is said when it cannot be.
BeforeAll { . "$PSScriptRoot/Common.ps1"; $folder = Enter-TestHome }
AfterAll { Exit-TestHome $folder }

Describe 'Pools' {
    AfterEach { Get-BlockPool | Remove-BlockPool -Confirm:$false }
    It 'are made in a folder, also one named relative to the current one' {
        Push-Location $folder
        try { $pool = New-BlockPool p1 -Driver File -Path ./one -Description text } finally { Pop-Location }
        $pool | Should -BeOfType ([BlockStorage.BlockPool])
        $pool.Name, $pool.Driver, $pool.State, $pool.Path, $pool.Description | Should -Be 'p1', 'File', 'enabled', "$folder/one", 'text'
        $pool.FreeSize | Should -BeGreaterThan 0
        $pool.TotalSize | Should -BeGreaterOrEqual $pool.FreeSize
    }
    It 'with a size have a file system of their own that shares extents' {
        $pool = New-BlockPool p2 -Path "$folder/two" -Size 1GB
        $pool.SnapshotMethod | Should -Be 'reflink'
        $pool.TotalSize | Should -BeLessOrEqual 1GB
        Get-Content /proc/mounts | Where-Object { $_ -match [regex]::Escape("$folder/two") } | Should -HaveCount 1
        Get-BlockPool p2 | Remove-BlockPool -Confirm:$false | Should -BeNullOrEmpty
        Get-Content /proc/mounts | Where-Object { $_ -match [regex]::Escape("$folder/two") } | Should -BeNullOrEmpty
    }
    It 'are made from records, are listed, found by wildcard, case and id' {
        $made = "Name,Path,Size`nq1,$folder/q1,`nq2,$folder/q2," | ConvertFrom-Csv | New-BlockPool
        $made.Name | Should -Be 'q1', 'q2'
        (Get-BlockPool).Name | Should -Be 'q1', 'q2'
        (Get-BlockPool Q*).Count | Should -Be 2
        (Get-BlockPool -Id $made[1].Id).Name | Should -Be 'q2'
        Assert-BlockError (Get-ErrorOf { Get-BlockPool nope }) PoolNotFound ObjectNotFound
        Get-ErrorOf { Get-BlockPool z* } | Should -BeNullOrEmpty
        Get-BlockPool | Out-String -Width 100 | Should -Match '(?m)^q1\s+File\s'
    }
    It 'are changed and renamed' {
        $pool = New-BlockPool p1 -Path "$folder/one"
        $pool | Set-BlockPool -ReservedPercent 10 | Should -BeNullOrEmpty
        $after = Set-BlockPool p1 -Description new -PassThru
        $after.ReservedPercent, $after.Description | Should -Be 10, 'new'
        (Rename-BlockPool p1 p9 -PassThru).Id | Should -Be $pool.Id
        Assert-BlockError (Get-ErrorOf { Set-BlockPool p9 -ReservedPercent 300 }) InvalidArgument InvalidArgument
        Assert-BlockError (Get-ErrorOf { Set-BlockPool nope -ReservedPercent 3 }) PoolNotFound ObjectNotFound
        Assert-BlockError (Get-ErrorOf { Rename-BlockPool p9 'a b' }) InvalidName InvalidArgument
        Get-ErrorOf { Rename-BlockPool z* new } | Should -BeNullOrEmpty
    }
    It 'refuse bad names, places, sizes and drivers, and leave nothing' {
        Assert-BlockError (Get-ErrorOf { New-BlockPool '-rf' -Path "$folder/one" }) InvalidName InvalidArgument
        Set-Content "$folder/file" text
        Assert-BlockError (Get-ErrorOf { New-BlockPool p1 -Path "$folder/file" }) InvalidPath InvalidArgument
        Assert-BlockError (Get-ErrorOf { New-BlockPool p1 -Path /proc/pool }) InsufficientSpace LimitsExceeded
        Assert-BlockError (Get-ErrorOf { New-BlockPool p1 -Path "$folder/one" -Size abc }) InvalidSize InvalidArgument
        Assert-BlockError (Get-ErrorOf { New-BlockPool p1 -Path "$folder/one" -Raid 1 }) NotSupported NotImplemented
        Assert-BlockError (Get-ErrorOf { New-BlockPool p1 -Path "$folder/one" -Raid 3 }) InvalidArgument InvalidArgument
        Assert-BlockError (Get-ErrorOf { New-BlockPool p1 -Path "$folder/one" -WhenFull queue }) NotSupported NotImplemented
        Assert-BlockError (Get-ErrorOf { New-BlockPool p1 -Path "$folder/one" -Driver Nothing }) DriverNotFound ObjectNotFound
        Get-BlockPool | Should -BeNullOrEmpty
        Test-Path "$folder/one" | Should -BeFalse
    }
    It 'that exist are taken with -IfNotExists only' {
        $pool = New-BlockPool p1 -Path "$folder/one"
        Assert-BlockError (Get-ErrorOf { New-BlockPool P1 -Path "$folder/other" }) NameExists ResourceExists
        (New-BlockPool p1 -Path "$folder/one" -IfNotExists).Id | Should -Be $pool.Id
    }
    It 'that hold something are not removed' {
        $null = New-BlockPool p1 -Path "$folder/one"
        $null = New-BlockVolume v -Size 1MB -Pool p1
        Assert-BlockError (Get-ErrorOf { Remove-BlockPool p1 -Confirm:$false }) PoolNotEmpty InvalidOperation
        Remove-BlockVolume v -Confirm:$false
        Assert-BlockError (Get-ErrorOf { Remove-BlockPool nope -Confirm:$false }) PoolNotFound ObjectNotFound
    }
}
