# -AsJob: one job, one child an item, typed objects, failures that stay with their item.
BeforeAll {
    . "$PSScriptRoot/Common.ps1"
    $folder = Enter-TestHome
    $null = New-BlockPool p1 -Path "$folder/p1" -Size 1GB
}
AfterAll { Get-Job | Remove-Job -Force; Exit-TestHome $folder }

Describe '-AsJob' {
    AfterEach { Get-Job | Remove-Job -Force; Get-BlockVolume | Remove-BlockVolume -Cascade -Confirm:$false }
    It 'gives one job with a child for each item, in the repository, with the server as location' {
        $job = New-BlockVolume a, b, c -Size 4MB -Pool p1 -AsJob
        @($job).Count | Should -Be 1
        $job | Should -BeOfType ([System.Management.Automation.Job])
        $job.ChildJobs.Count | Should -Be 3
        $job.ChildJobs.Location | Select-Object -Unique | Should -Be (Get-BlockStorageServer).Name
        (Get-Job).Id | Should -Contain $job.Id
        $made = $job | Receive-Job -Wait
        $made | ForEach-Object { $_ | Should -BeOfType ([BlockStorage.BlockVolume]) }
        ($made.Name | Sort-Object) -join ' ' | Should -Be 'a b c'
        $job.State | Should -Be 'Completed'
    }
    It 'keeps a failure with its item' {
        $job = New-BlockVolume a -Size 4MB -Pool p1 -AsJob
        $null = $job | Wait-Job
        $second = New-BlockVolume b, c -Size 4MB -Pool p1 -AsJob
        $null = $second | Wait-Job
        $job = Get-BlockVolume a, b, c | Copy-BlockVolume -NewName d -AsJob
        $made = $job | Receive-Job -Wait -ErrorVariable failed -ErrorAction SilentlyContinue
        $made.Name | Should -Be 'd'
        $job.State | Should -Be 'Failed'
        @($job.ChildJobs | Where-Object State -EQ 'Completed').Count | Should -Be 1
        $blocked = @($failed | Where-Object { $_.FullyQualifiedErrorId -match ',BlockStorage\.Commands\.CopyBlockVolumeCommand$' })
        $blocked.Count | Should -Be 2
        $blocked | ForEach-Object { $_.ErrorDetails.RecommendedAction | Should -Not -BeNullOrEmpty }
    }
    It 'says at once, not in the job, what can be seen at once' {
        $job = New-BlockVolume good, 'b a d' -Size 4MB -Pool p1 -AsJob -ErrorVariable failed -ErrorAction SilentlyContinue
        Assert-BlockError $failed InvalidName InvalidArgument
        ($job | Receive-Job -Wait).Name | Should -Be 'good'
    }
    It 'removes, resizes and snapshots too' {
        $null = New-BlockVolume a, b -Size 4MB -Pool p1
        ((Get-BlockVolume | Resize-BlockVolume -Increase 4MB -PassThru -AsJob | Receive-Job -Wait).Size | Select-Object -Unique) | Should -Be 8MB
        (Get-BlockVolume | New-BlockSnapshot -Name '{Volume}-s' -AsJob | Receive-Job -Wait).Count | Should -Be 2
        Get-BlockSnapshot a-s | Restore-BlockSnapshot -Confirm:$false -AsJob | Receive-Job -Wait | Should -BeNullOrEmpty
        Get-BlockSnapshot | Remove-BlockSnapshot -Confirm:$false -AsJob | Receive-Job -Wait | Should -BeNullOrEmpty
        Get-BlockVolume | Remove-BlockVolume -Confirm:$false -AsJob | Receive-Job -Wait | Should -BeNullOrEmpty
        Get-BlockVolume | Should -BeNullOrEmpty
    }
    It 'stops and takes back what it had begun' {
        $job = New-BlockVolume (1..20 | ForEach-Object { "v$_" }) -Size 4MB -Pool p1 -AsJob
        Stop-Job $job
        $job.State | Should -BeIn 'Stopped', 'Completed'
        (Get-BlockVolume).State | Where-Object { $_ -ne 'available' } | Should -BeNullOrEmpty
        @($job.ChildJobs | Where-Object State -EQ 'Completed').Count | Should -Be @(Get-BlockVolume).Count
    }
}
