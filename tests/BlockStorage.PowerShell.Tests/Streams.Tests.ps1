# Ctrl+C, progress, verbose text and preferences, in a runspace of our own so that each stream can be read.
BeforeAll {
    . "$PSScriptRoot/Common.ps1"
    $folder = Enter-TestHome
    $pool = New-BlockPool p1 -Path "$folder/p1"
    function New-Shell ([string] $Script) {
        $shell = [powershell]::Create()
        $null = $shell.AddScript("Import-Module '$env:BLOCKSTORAGE_TEST_MANIFEST'; $Script")
        $shell
    }
}
AfterAll { Exit-TestHome $folder }

Describe 'Ctrl+C' {
    It 'is acted on within two seconds while the command waits, and leaves nothing' {
        $lock = "$folder/locks/pool-$($pool.Id)"
        $holder = Start-Process flock '-x', $lock, 'sleep', '30' -PassThru
        $shell = New-Shell 'New-BlockVolume waiting -Size 1MB -Pool p1 -Verbose'
        try {
            $running = $shell.BeginInvoke()
            $limit = (Get-Date).AddSeconds(20)
            # The plan is told right before the lock is waited for.
            while (-not ($shell.Streams.Verbose -match 'waiting') -and (Get-Date) -lt $limit) { Start-Sleep -Milliseconds 50 }
            Start-Sleep -Milliseconds 300
            $shell.Streams.Verbose | Should -Not -BeNullOrEmpty
            $shell.InvocationStateInfo.State | Should -Be 'Running' -Because 'it must be waiting for the lock'
            $time = Measure-Command { $shell.Stop() }
            $time.TotalSeconds | Should -BeLessThan 2
        }
        finally { pkill -P $holder.Id; $holder.WaitForExit(); $shell.Dispose() }
        Get-BlockVolume waitin* | Should -BeNullOrEmpty
        Get-BlockOperation -State running, interrupted | Should -BeNullOrEmpty
    }
}

Describe 'Progress' {
    AfterEach { Get-BlockVolume | Remove-BlockVolume -Cascade -Confirm:$false }
    It 'comes at most five times a second and is always completed' {
        $volume = New-BlockVolume big -Size 64MB -Pool p1
        Start-Process dd "if=/dev/urandom of=$($volume.Path) bs=1M count=64 conv=notrunc status=none" -Wait
        $shell = New-Shell 'Copy-BlockVolume big copy'
        $time = Measure-Command { $shell.Invoke() }
        $records = @($shell.Streams.Progress | Where-Object Activity -Match 'copy')
        $records | Should -Not -BeNullOrEmpty
        $records.Count | Should -BeLessOrEqual (5 * $time.TotalSeconds + 2)
        foreach ($activity in $records | Group-Object ActivityId) { $activity.Group[-1].RecordType | Should -Be 'Completed' }
        $shell.Dispose()
    }
    It 'is completed when the work fails' {
        $null = New-BlockVolume one -Size 1MB -Pool p1
        $shell = New-Shell 'New-BlockVolume huge -Size 100TB -Provisioning thick -Pool p1; Copy-BlockVolume one one'
        $null = $shell.Invoke()
        $shell.Streams.Error.Count | Should -Be 2
        foreach ($activity in $shell.Streams.Progress | Where-Object Activity -Match 'huge|one' | Group-Object ActivityId) { $activity.Group[-1].RecordType | Should -Be 'Completed' }
        $shell.Dispose()
    }
}

Describe 'Verbose' {
    It 'tells the plan and each external command' {
        $shell = New-Shell "New-BlockPool p2 -Path '$folder/p2' -Size 512MB -Verbose"
        $null = $shell.Invoke()
        $said = $shell.Streams.Verbose -join "`n"
        $said | Should -Match '1\. '
        $said | Should -Match 'Running: .*mkfs\.xfs'
        $shell.Dispose()
    }
}
