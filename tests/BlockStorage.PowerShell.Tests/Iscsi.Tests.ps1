# Targets, access and connections with real tgtd and qemu-storage-daemon: bytes, secrets, errors.
BeforeAll {
    . "$PSScriptRoot/Common.ps1"
    $folder = Enter-TestHome
    $null = New-BlockPool p1 -Path "$folder/p1" -Size 1GB
    $canary = 'Canary0Secret1'
    $credential = [pscredential]::new('alice', (ConvertTo-SecureString -AsPlainText -Force $canary))
}
AfterAll { Exit-TestHome $folder }

Describe 'Targets' {
    BeforeEach { $volume = New-BlockVolume db1 -Size 16MB -Pool p1 }
    AfterEach {
        Get-BlockConnection | Disconnect-BlockVolume -Force
        Get-IscsiTarget | Remove-IscsiTarget -Force -Confirm:$false
        Get-BlockVolume | Remove-BlockVolume -Cascade -Confirm:$false
    }
    It 'publish a volume with CHAP on by default' {
        $target = $volume | Publish-IscsiTarget
        $target | Should -BeOfType ([BlockStorage.IscsiTarget])
        $target.Volume, $target.Chap, $target.State, $target.Size, $target.ReadOnly | Should -Be 'db1', $true, 'online', 16MB, $false
        $target.Iqn | Should -Be $target.Name
        (Publish-IscsiTarget db1).Id | Should -Be $target.Id -Because 'publishing again changes nothing'
        (Get-BlockVolume db1).Target | Should -Be $target.Iqn
        (Get-BlockVolume db1 | Get-IscsiTarget).Iqn | Should -Be $target.Iqn
        (Get-IscsiTarget -Volume db1).Id | Should -Be $target.Id
        Get-IscsiTarget | Out-String -Width 100 | Should -Match 'online'
        Unpublish-IscsiTarget db1 | Should -BeNullOrEmpty
        Get-IscsiTarget | Should -BeNullOrEmpty
        Unpublish-IscsiTarget db1 | Should -BeNullOrEmpty -Because 'there is nothing left to do'
        ($volume | Publish-IscsiTarget | Unpublish-IscsiTarget -PassThru).Id | Should -Be $volume.Id
    }
    It 'listen at several portals' {
        $address = (Get-BlockStorageConfiguration).PortalAddress
        $target = Publish-IscsiTarget db1 -Portal "${address}:3298", '[::1]:3298'
        $target.Portal | Should -Be "${address}:3298", '[::1]:3298'
        (Get-IscsiTarget -Volume db1).Portal | Should -Be $target.Portal
        foreach ($place in @{ PortalAddress = $address; Port = 3298 }, @{ PortalAddress = '::1'; Port = 3298 }) { (Find-IscsiTarget @place).Iqn | Should -Contain $target.Iqn }
        (Publish-IscsiTarget db1 -Portal "[::1]:3298;${address}:3298").Id | Should -Be $target.Id -Because 'it listens there already'
        Assert-BlockError (Get-ErrorOf { Publish-IscsiTarget db1 -Portal $address }) VolumePublished ResourceBusy
        $target | Unpublish-IscsiTarget
        Assert-BlockError (Get-ErrorOf { Publish-IscsiTarget db1 -Portal "${address}:3298", "${address}:3298" }) InvalidArgument InvalidArgument
        Assert-BlockError (Get-ErrorOf { Publish-IscsiTarget db1 -Portal store1 }) InvalidArgument InvalidArgument
        (New-IscsiTarget iqn.2026-01.test:t2 -Portal "${address}:3298", '::1').Portal.Count | Should -Be 2
        Assert-BlockError (Get-ErrorOf { Publish-IscsiTarget db1 -Target iqn.2026-01.test:t2 -Portal '::1' }) InvalidArgument InvalidArgument
    }
    It 'are made empty, get a volume, stay when it goes' {
        $made = New-IscsiTarget iqn.2026-01.test:t1
        $made.Iqn, $made.Volume | Should -Be 'iqn.2026-01.test:t1', ''
        (New-IscsiTarget iqn.2026-01.test:t1 -IfNotExists).Id | Should -Be $made.Id
        (Publish-IscsiTarget db1 -Target iqn.2026-01.test:t1).Id | Should -Be $made.Id
        Unpublish-IscsiTarget -Target iqn.2026-01.test:t1
        (Get-IscsiTarget iqn.2026-01.test:*).Volume | Should -BeNullOrEmpty
        (Set-IscsiTarget iqn.2026-01.test:t1 -Chap $credential -PassThru).Chap | Should -BeTrue
        Remove-IscsiTarget iqn.2026-01.test:t1 -Confirm:$false | Should -BeNullOrEmpty
        Get-IscsiTarget | Should -BeNullOrEmpty
    }
    It 'say what is wrong' {
        Assert-BlockError (Get-ErrorOf { New-IscsiTarget 'not an iqn' }) InvalidIqn InvalidArgument
        Assert-BlockError (Get-ErrorOf { Get-IscsiTarget iqn.2026-01.test:nope }) TargetNotFound ObjectNotFound
        Get-ErrorOf { Get-IscsiTarget iqn.none* } | Should -BeNullOrEmpty
        Assert-BlockError (Get-ErrorOf { Publish-IscsiTarget nope }) VolumeNotFound ObjectNotFound
        Assert-BlockError (Get-ErrorOf { Publish-IscsiTarget -Snapshot nope }) SnapshotNotFound ObjectNotFound
        Assert-BlockError (Get-ErrorOf { Unpublish-IscsiTarget nope }) VolumeNotFound ObjectNotFound
        Assert-BlockError (Get-ErrorOf { Remove-IscsiTarget iqn.2026-01.test:nope -Confirm:$false }) TargetNotFound ObjectNotFound
        Assert-BlockError (Get-ErrorOf { Set-IscsiTarget iqn.2026-01.test:nope -ClearMutualChap }) TargetNotFound ObjectNotFound
        Assert-BlockError (Get-ErrorOf { Get-BlockPool p1 | Publish-IscsiTarget }) InvalidArgument InvalidArgument
        $short = [pscredential]::new('alice', (ConvertTo-SecureString -AsPlainText -Force 'short'))
        Assert-BlockError (Get-ErrorOf { Publish-IscsiTarget db1 -Credential $short }) InvalidCredential InvalidArgument
    }
    It 'let in whom they are told to' {
        $target = Publish-IscsiTarget db1 -Initiator iqn.2026-01.test:one
        (Get-IscsiTargetAccess $target.Iqn).Initiator | Should -Be 'iqn.2026-01.test:one'
        Grant-IscsiTargetAccess $target.Iqn iqn.2026-01.test:two -Credential $credential | Should -BeNullOrEmpty
        ($target | Grant-IscsiTargetAccess -Initiator 10.0.0.7 -PassThru).Initiator | Should -Be '10.0.0.7'
        ($target | Get-IscsiTargetAccess).Count | Should -Be 3
        (Get-IscsiTargetAccess -Initiator *:two).UserName | Should -Be 'alice'
        Revoke-IscsiTargetAccess $target.Iqn iqn.2026-01.test:two | Should -BeNullOrEmpty
        Get-IscsiTargetAccess -Initiator 10.* | Revoke-IscsiTargetAccess
        (Get-IscsiTargetAccess).Initiator | Should -Be 'iqn.2026-01.test:one'
        Assert-BlockError (Get-ErrorOf { Revoke-IscsiTargetAccess $target.Iqn iqn.2026-01.test:nobody }) AccessNotFound ObjectNotFound
        Assert-BlockError (Get-ErrorOf { Get-IscsiTargetAccess iqn.2026-01.test:nope }) TargetNotFound ObjectNotFound
        Assert-BlockError (Get-ErrorOf { Grant-IscsiTargetAccess iqn.2026-01.test:nope iqn.2026-01.test:x }) TargetNotFound ObjectNotFound
    }
    It 'keep secrets out of every stream, object, file name and argument' {
        $text = & { Publish-IscsiTarget db1 -Credential $credential -Verbose -Debug -InformationAction Continue } *>&1 | Out-String
        $text += Get-IscsiTarget | Format-List * | Out-String
        $text += Get-IscsiTargetAccess | ConvertTo-Json
        $text += Get-BlockOperation | ConvertTo-Json -Depth 4
        $text += Get-BlockStorageEvent | ConvertTo-Json
        foreach ($line in [System.IO.Directory]::GetDirectories('/proc')) { try { $text += [System.IO.File]::ReadAllText("$line/cmdline") } catch { continue } }
        $text | Should -Match 'alice'
        $text | Should -Not -Match $canary
        $holders = @(Get-ChildItem -Recurse -File $folder | Where-Object { $_.UnixMode[0] -eq '-' -and $_.Length -lt 1MB -and [System.IO.File]::ReadAllText($_.FullName).Contains($canary) })
        $holders | Should -Not -BeNullOrEmpty
        foreach ($file in $holders) { $file.UnixMode | Should -Be '-rw-------' -Because $file.FullName }
    }
}

Describe 'Connections' {
    BeforeEach { $volume = New-BlockVolume db1 -Size 16MB -Pool p1 }
    AfterEach {
        Get-BlockConnection | Disconnect-BlockVolume -Force
        Get-IscsiTarget | Remove-IscsiTarget -Force -Confirm:$false
        Get-BlockVolume | Remove-BlockVolume -Cascade -Confirm:$false
    }
    It 'over iSCSI carry bytes to the volume and back' {
        $connection = $volume | Publish-IscsiTarget | Connect-BlockVolume
        $connection | Should -BeOfType ([BlockStorage.BlockConnection])
        $connection.Protocol, $connection.State, $connection.Size, $connection.Serial | Should -Be 'iscsi', 'attached', 16MB, $volume.Serial
        Test-Path $connection.DevicePath | Should -BeTrue
        (Connect-BlockVolume db1).Id | Should -Be $connection.Id -Because 'connecting again changes nothing'
        Start-Process dd "if=/dev/urandom of=$($connection.DevicePath) bs=1M count=16 oflag=direct status=none" -Wait
        $written = Get-ByteHash $connection.DevicePath
        (Get-BlockVolume db1).State | Should -Be 'in-use'
        (Get-BlockConnection db1).DevicePath | Should -Be $connection.DevicePath
        (Get-BlockConnection -DevicePath $connection.DevicePath).Id | Should -Be $connection.Id
        (Get-BlockVolume db1 | Get-BlockConnection).Id | Should -Be $connection.Id
        Get-BlockConnection | Out-String -Width 100 | Should -Match 'attached'
        Disconnect-BlockVolume -DevicePath $connection.DevicePath | Should -BeNullOrEmpty
        Get-BlockConnection | Should -BeNullOrEmpty
        Get-ByteHash $volume.Path | Should -Be $written
        Disconnect-BlockVolume db1 | Should -BeNullOrEmpty -Because 'there is nothing left to do'
        $connection | Disconnect-BlockVolume | Should -BeNullOrEmpty -Because 'there is nothing left to do'
    }
    It 'on the same machine need no target' {
        $connection = Connect-BlockVolume db1
        $connection.Protocol | Should -Be 'local'
        (Get-BlockVolume db1).DevicePath | Should -Be $connection.DevicePath
        $volume | Disconnect-BlockVolume
        (Get-BlockVolume db1).DevicePath | Should -BeNullOrEmpty
    }
    It 'of a found target work with our own secret; a wrong one is refused' {
        $target = $volume | Publish-IscsiTarget
        $found = Find-IscsiTarget -PortalAddress 127.0.0.1
        $found | Should -BeOfType ([BlockStorage.IscsiTargetAddress])
        $found.Iqn | Should -Contain $target.Iqn
        Assert-BlockError (Get-ErrorOf { Connect-BlockVolume -Target $target.Iqn -Credential $credential }) ChapRejected AuthenticationError
        Get-BlockConnection | Should -BeNullOrEmpty
        ($found | Where-Object Iqn -EQ $target.Iqn | Connect-BlockVolume).State | Should -Be 'attached'
    }
    It 'say what is wrong' {
        Assert-BlockError (Get-ErrorOf { Connect-BlockVolume nope }) VolumeNotFound ObjectNotFound
        Assert-BlockError (Get-ErrorOf { Connect-BlockVolume -Snapshot nope }) SnapshotNotFound ObjectNotFound
        Assert-BlockError (Get-ErrorOf { Connect-BlockVolume -Target iqn.2026-01.test:nope }) TargetNotFound ObjectNotFound
        Assert-BlockError (Get-ErrorOf { Get-BlockPool p1 | Connect-BlockVolume }) InvalidArgument InvalidArgument
        Assert-BlockError (Get-ErrorOf { Disconnect-BlockVolume nope }) VolumeNotFound ObjectNotFound
        Assert-BlockError (Get-ErrorOf { Disconnect-BlockVolume -DevicePath /dev/nope }) ConnectionNotFound ObjectNotFound
        Assert-BlockError (Get-ErrorOf { Get-BlockConnection nope }) ConnectionNotFound ObjectNotFound
        Get-ErrorOf { Get-BlockConnection n* } | Should -BeNullOrEmpty
        Assert-BlockError (Get-ErrorOf { Find-IscsiTarget 127.0.0.1 -Port 1 -Timeout 3 }) PortalUnreachable ConnectionError
    }
    It 'that are mounted are kept unless forced' {
        $connection = Connect-BlockVolume db1
        mkfs.ext4 -q $connection.DevicePath
        $null = New-Item -ItemType Directory "$folder/mnt"
        mount $connection.DevicePath "$folder/mnt"
        try { Assert-BlockError (Get-ErrorOf { Disconnect-BlockVolume db1 }) DeviceInUse ResourceBusy }
        finally { umount "$folder/mnt"; Remove-Item "$folder/mnt" }
    }
}

Describe 'The initiator' {
    It 'has an IQN that can be changed' {
        $before = Get-IscsiInitiator
        $before.Iqn | Should -Match '^iqn\.'
        Set-IscsiInitiator iqn.2026-01.test:me | Should -BeNullOrEmpty
        (Get-IscsiInitiator).Iqn | Should -Be 'iqn.2026-01.test:me'
        (Set-IscsiInitiator $before.Iqn -PassThru).Iqn | Should -Be $before.Iqn
        Assert-BlockError (Get-ErrorOf { Set-IscsiInitiator 'not an iqn' }) InvalidIqn InvalidArgument
    }
}
