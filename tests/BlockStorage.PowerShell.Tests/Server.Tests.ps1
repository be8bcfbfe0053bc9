# The machine itself: server, drivers, configuration, operations, events, repair.
BeforeAll { . "$PSScriptRoot/Common.ps1"; $folder = Enter-TestHome }
AfterAll { Exit-TestHome $folder }

Describe 'The server' {
    It 'tells about itself' {
        $server = Get-BlockStorageServer
        $server | Should -BeOfType ([BlockStorage.BlockStorageServer])
        $server.State, $server.StateRoot | Should -Be 'connected', $folder
        (Get-BlockStorageServer $server.Name.ToUpper()).Name | Should -Be $server.Name
        Assert-BlockError (Get-ErrorOf { Get-BlockStorageServer nope }) ServerNotFound ObjectNotFound
        Get-ErrorOf { Get-BlockStorageServer nope* } | Should -BeNullOrEmpty
    }
    It 'can be tested: a bool, and in detail what is missing and how to get it' {
        $answer = Test-BlockStorageServer
        $answer | Should -BeOfType ([bool])
        $answer | Should -BeTrue
        $checks = Test-BlockStorageServer -Detailed
        $checks | ForEach-Object { $_ | Should -BeOfType ([BlockStorage.BlockServerCheck]) }
        $checks | Where-Object State -EQ 'missing' | ForEach-Object { $_.Fix | Should -Not -BeNullOrEmpty }
        Assert-BlockError (Get-ErrorOf { Test-BlockStorageServer nope }) ServerNotFound ObjectNotFound
    }
    It 'lists its drivers' {
        $drivers = Get-BlockStorageDriver
        'File', 'Tgt', 'Userspace', 'Local' | ForEach-Object { $drivers.Name | Should -Contain $_ }
        (Get-BlockStorageDriver -Kind Target).Kind | Select-Object -Unique | Should -Be 'Target'
        (Get-BlockStorageDriver fi*).Name | Should -Be 'File'
        $drivers | Where-Object { -not $_.Usable } | ForEach-Object { $_.Reason | Should -Not -BeNullOrEmpty }
        Assert-BlockError (Get-ErrorOf { Get-BlockStorageDriver nope }) DriverNotFound ObjectNotFound
        Get-ErrorOf { Get-BlockStorageDriver nope* } | Should -BeNullOrEmpty
    }
}

Describe 'The configuration' {
    It 'is read and changed' {
        $before = Get-BlockStorageConfiguration
        $before.PortalAddress | Should -Be '127.0.0.1'
        Set-BlockStorageConfiguration -LockTimeoutSeconds 7 | Should -BeNullOrEmpty
        (Get-BlockStorageConfiguration).LockTimeoutSeconds | Should -Be 7
        (Set-BlockStorageConfiguration -LockTimeoutSeconds $before.LockTimeoutSeconds -PassThru).LockTimeoutSeconds | Should -Be $before.LockTimeoutSeconds
        Assert-BlockError (Get-ErrorOf { Set-BlockStorageConfiguration -PortalAddress nonsense }) InvalidArgument InvalidArgument
        Assert-BlockError (Get-ErrorOf { Set-BlockStorageConfiguration -DefaultPool nowhere }) PoolNotFound ObjectNotFound
    }
}

Describe 'Operations and events' {
    BeforeAll { $null = New-BlockPool p1 -Path "$folder/p1"; $null = New-BlockVolume db1 -Size 1MB -Pool p1 }
    It 'tell what was done' {
        $operation = Get-BlockOperation -Volume db1 | Select-Object -First 1
        $operation | Should -BeOfType ([BlockStorage.BlockOperation])
        $operation.State | Should -Be 'succeeded'
        $operation.Step.Count | Should -BeGreaterThan 0
        (Get-BlockOperation $operation.Id).Id | Should -Be $operation.Id
        Get-BlockOperation -State failed -Since (Get-Date).AddHours(1) | Should -BeNullOrEmpty
        (Get-BlockOperation -Since (Get-Date).AddHours(-1)).Count | Should -BeGreaterOrEqual 2
        Get-BlockOperation | Out-String -Width 100 | Should -Match 'succeeded'
    }
    It 'can be waited for and stopped' {
        $operation = Get-BlockOperation | Select-Object -First 1
        ($operation | Wait-BlockOperation -Timeout 5).State | Should -Be 'succeeded'
        (Stop-BlockOperation $operation.Id).State | Should -Be 'succeeded' -Because 'there is nothing left to stop'
        foreach ($verb in 'Get', 'Wait', 'Stop') {
            Assert-BlockError (Get-ErrorOf { & "$verb-BlockOperation" -Id nope }) OperationNotFound ObjectNotFound
        }
    }
    It 'leave events' {
        $events = Get-BlockStorageEvent
        $events | ForEach-Object { $_ | Should -BeOfType ([BlockStorage.BlockStorageEvent]) }
        (Get-BlockStorageEvent db1).Count | Should -BeGreaterThan 0
        Get-BlockStorageEvent -Since (Get-Date).AddHours(1) | Should -BeNullOrEmpty
        Get-BlockStorageEvent nope* | Should -BeNullOrEmpty
    }
}

Describe 'Repair-BlockStorage' {
    It 'finds nothing to do on a sound machine' { Repair-BlockStorage | Should -BeNullOrEmpty }
    It 'tells with -WhatIf what it would do, does it, and then is content' {
        $volume = New-BlockVolume lost -Size 1MB -Pool p1
        Get-ChildItem -Recurse -File "$folder/p1" | Where-Object { $_.FullName -match $volume.Id -or $_.FullName -eq $volume.Path } | Remove-Item
        (Invoke-Shell 'Repair-BlockStorage -WhatIf') -join "`n" | Should -Match '(?s)What if:.*lost'
        $actions = Repair-BlockStorage
        $actions | ForEach-Object { $_ | Should -BeOfType ([BlockStorage.BlockRepairAction]) }
        $actions.Name | Should -Contain 'lost'
        Get-BlockVolume lost -ErrorAction Ignore | Remove-BlockVolume -Confirm:$false
    }
}
