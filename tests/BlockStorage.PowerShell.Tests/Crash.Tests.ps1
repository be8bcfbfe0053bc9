# kill -9 of a shell in the middle of its work; then any cmdlet in another shell: nothing stuck, nothing leaked.
BeforeAll {
    . "$PSScriptRoot/Common.ps1"
    $manifest = $env:BLOCKSTORAGE_TEST_MANIFEST

    # What a killed runtime would leave in /tmp.
    $noPipes = @{ DOTNET_EnableDiagnostics = '0'; POWERSHELL_DIAGNOSTICS_OPTOUT = '1' }

    # Starts a shell, waits until it says that it begins, kills it after so many milliseconds.
    function Stop-ShellAfter ([int] $Milliseconds, [string] $Script) {
        $mark = "$folder/begin"
        $text = "Import-Module '$manifest'; `$null = Get-BlockVolume; Set-Content '$mark' go; $Script"
        $encoded = [Convert]::ToBase64String([Text.Encoding]::Unicode.GetBytes($text))
        $shell = Start-Process pwsh '-NoProfile', '-NonInteractive', '-EncodedCommand', $encoded -PassThru -RedirectStandardOutput /dev/null -RedirectStandardError "$folder/stderr" -Environment $noPipes
        $limit = (Get-Date).AddSeconds(60)
        while (-not (Test-Path $mark) -and (Get-Date) -lt $limit) { Start-Sleep -Milliseconds 10 }
        Test-Path $mark | Should -BeTrue -Because 'the shell must have begun'
        Start-Sleep -Milliseconds $Milliseconds
        kill -9 $shell.Id
        $shell.WaitForExit()
        Remove-Item $mark, "$folder/stderr" -ErrorAction Ignore
    }
    $steady = 'available', 'in-use'
}

Describe 'A shell killed while it makes, publishes and connects, after <_> ms' -ForEach 5, 60, 150, 300, 500, 800, 1300 {
    BeforeAll { $folder = Enter-TestHome; $null = New-BlockPool p1 -Path "$folder/p1" -Size 512MB }
    AfterAll { Exit-TestHome $folder }
    It 'leaves what the next shell finishes or takes back' {
        Stop-ShellAfter $_ 'New-BlockVolume db1 -Size 16MB -Pool p1 | Publish-IscsiTarget | Connect-BlockVolume; New-BlockSnapshot db1 s1'
        $volumes = Get-BlockVolume
        $volumes.State | Where-Object { $_ -notin $steady } | Should -BeNullOrEmpty
        (Get-BlockSnapshot).State | Where-Object { $_ -ne 'available' } | Should -BeNullOrEmpty
        (Get-IscsiTarget).State | Where-Object { $_ -ne 'online' } | Should -BeNullOrEmpty
        (Get-BlockConnection).State | Where-Object { $_ -ne 'attached' } | Should -BeNullOrEmpty
        Get-BlockOperation -State running, interrupted | Should -BeNullOrEmpty
        $connection = New-BlockVolume db1 -Size 16MB -Pool p1 -IfNotExists | Publish-IscsiTarget | Connect-BlockVolume
        $connection.State, $connection.Size | Should -Be 'attached', 16MB
        Repair-BlockStorage | Should -BeNullOrEmpty -Because 'records and reality agree'
    }
}

Describe 'A shell killed while it takes all down, after <_> ms' -ForEach 5, 60, 150, 300, 500, 800 {
    BeforeAll {
        $folder = Enter-TestHome
        $null = New-BlockPool p1 -Path "$folder/p1" -Size 512MB
        $null = New-BlockVolume db1 -Size 16MB -Pool p1 | Publish-IscsiTarget | Connect-BlockVolume
        $null = New-BlockSnapshot db1 s1
    }
    AfterAll { Exit-TestHome $folder }
    It 'leaves what the next shell can take down' {
        Stop-ShellAfter $_ 'Get-BlockConnection | Disconnect-BlockVolume; Get-IscsiTarget | Unpublish-IscsiTarget; Get-BlockVolume | Remove-BlockVolume -Cascade -Confirm:$false'
        (Get-BlockVolume).State | Where-Object { $_ -notin $steady } | Should -BeNullOrEmpty
        Get-BlockOperation -State running, interrupted | Should -BeNullOrEmpty
        Get-BlockConnection | Disconnect-BlockVolume; Get-IscsiTarget | Unpublish-IscsiTarget; Get-BlockVolume | Remove-BlockVolume -Cascade -Confirm:$false
        Get-BlockVolume | Should -BeNullOrEmpty
        Get-BlockSnapshot | Should -BeNullOrEmpty
        @(Get-ChildItem -Recurse -File "$folder/p1" | Where-Object { $_.Length -ge 16MB -and $_.Name -ne 'pool.img' }) | Should -BeNullOrEmpty -Because 'no data may be leaked'
    }
}
