# Snapshots: what a user types, what comes back, what is said when it cannot be.
BeforeAll {
    . "$PSScriptRoot/Common.ps1"
    $folder = Enter-TestHome
    $null = New-BlockPool p1 -Path "$folder/p1" -Size 1GB
}
AfterAll { Exit-TestHome $folder }

Describe 'Snapshots' {
    BeforeEach {
        $volume = New-BlockVolume db1 -Size 8MB -Pool p1
        Start-Process dd "if=/dev/urandom of=$($volume.Path) bs=1M count=8 conv=notrunc status=none" -Wait
        $old = Get-ByteHash $volume.Path
    }
    AfterEach { Get-BlockVolume | Remove-BlockVolume -Cascade -Confirm:$false }

    It 'keep the bytes while the volume changes, and bring them back' {
        $snapshot = New-BlockSnapshot db1 s1 -Tag nightly -Description text -ExpiresAt (Get-Date).AddDays(7)
        $snapshot | Should -BeOfType ([BlockStorage.BlockSnapshot])
        $snapshot.Name, $snapshot.Volume, $snapshot.State, $snapshot.Size, $snapshot.Description | Should -Be 's1', 'db1', 'available', 8MB, 'text'
        $snapshot.ExpiresAt | Should -BeGreaterThan (Get-Date).AddDays(6)
        Start-Process dd "if=/dev/zero of=$($volume.Path) bs=1M count=8 conv=notrunc status=none" -Wait
        Get-ByteHash $snapshot.Path | Should -Be $old
        Get-ByteHash (Get-BlockVolume db1).Path | Should -Not -Be $old
        Restore-BlockSnapshot s1 -Confirm:$false | Should -BeNullOrEmpty
        Get-ByteHash (Get-BlockVolume db1).Path | Should -Be $old
        ($snapshot | Restore-BlockSnapshot -Confirm:$false -PassThru).Id | Should -Be $volume.Id
    }
    It 'take their name from a pattern' {
        $null = New-BlockVolume db2 -Size 1MB -Pool p1
        $made = Get-BlockVolume db* | New-BlockSnapshot -Name '{Volume}-{Timestamp}'
        $made.Count | Should -Be 2
        $made[0].Name | Should -Match '^db1-\d{8}.\d{6}'
        $made[1].Name | Should -Match '^db2-\d{8}.\d{6}'
        (New-BlockSnapshot db1).Name | Should -Match '^db1-'
    }
    It 'are found by name, wildcard, volume, id and object' {
        $null = New-BlockSnapshot db1 s1
        $two = Checkpoint-BlockVolume db1 s2
        (Get-BlockSnapshot).Count | Should -Be 2
        (Get-BlockSnapshot S1).Name | Should -Be 's1'
        (Get-BlockSnapshot s* -Volume db1).Count | Should -Be 2
        (Get-BlockSnapshot -Id $two.Id).Name | Should -Be 's2'
        (Get-BlockVolume db1 | Get-BlockSnapshot).Count | Should -Be 2
        Assert-BlockError (Get-ErrorOf { Get-BlockSnapshot nope }) SnapshotNotFound ObjectNotFound
        Get-ErrorOf { Get-BlockSnapshot z* } | Should -BeNullOrEmpty
        Get-BlockSnapshot | Out-String -Width 100 | Should -Match '(?m)^s1\s+db1\s+p1\s'
    }
    It 'are changed' {
        $null = New-BlockSnapshot db1 s1 -ExpiresAt (Get-Date).AddDays(1)
        $after = Set-BlockSnapshot s1 -Description new -Tag a, b -PassThru
        $after.Description, "$($after.Tag)" | Should -Be 'new', 'a b'
        $after.ExpiresAt | Should -Not -BeNullOrEmpty
        (Get-BlockSnapshot s1 | Set-BlockSnapshot -ExpiresAt $null -PassThru).ExpiresAt | Should -BeNullOrEmpty
        Set-BlockSnapshot s1 -Description x | Should -BeNullOrEmpty
        Assert-BlockError (Get-ErrorOf { Set-BlockSnapshot nope -Description x }) SnapshotNotFound ObjectNotFound
    }
    It 'refuse bad names and unknown volumes' {
        Assert-BlockError (Get-ErrorOf { New-BlockSnapshot db1 '../x' }) InvalidName InvalidArgument
        Assert-BlockError (Get-ErrorOf { New-BlockSnapshot nope s1 }) VolumeNotFound ObjectNotFound
        Get-ErrorOf { New-BlockSnapshot n* s1 } | Should -BeNullOrEmpty
        $first = New-BlockSnapshot db1 s1
        Assert-BlockError (Get-ErrorOf { New-BlockSnapshot db1 S1 }) NameExists ResourceExists
        (New-BlockSnapshot db1 s1 -IfNotExists).Id | Should -Be $first.Id
    }
    It 'are removed' {
        $snapshot = New-BlockSnapshot db1 s1
        Remove-BlockSnapshot s1 -Confirm:$false | Should -BeNullOrEmpty
        Test-Path $snapshot.Path | Should -BeFalse
        Assert-BlockError (Get-ErrorOf { Remove-BlockSnapshot s1 -Confirm:$false }) SnapshotNotFound ObjectNotFound
        Assert-BlockError (Get-ErrorOf { Restore-BlockSnapshot s1 -Confirm:$false }) SnapshotNotFound ObjectNotFound
        Get-ErrorOf { Remove-BlockSnapshot s* -Confirm:$false } | Should -BeNullOrEmpty
    }
}
