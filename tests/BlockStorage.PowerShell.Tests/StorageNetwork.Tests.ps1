# A storage server whose portals are in a network namespace of their own, the storage network; the initiator is in the first.
Describe 'A storage network in a second namespace' -Tag Lab {
    BeforeAll {
        . "$PSScriptRoot/Common.ps1"
        $folder = Enter-TestHome
        foreach ($line in 'netns add storage', 'link add bs0 type veth peer name bs1 netns storage', 'addr add 10.98.0.1/24 dev bs0', 'addr add fd98::1/64 dev bs0 nodad',
            'link set bs0 up', '-n storage addr add 10.98.0.2/24 dev bs1', '-n storage addr add fd98::2/64 dev bs1 nodad', '-n storage link set bs1 up', '-n storage link set lo up') {
            ip @(-split $line)
            if ($LASTEXITCODE) { throw "ip $line" }
        }
        function Invoke-InStorage ([string] $Script) {
            $text = "`$PSStyle.OutputRendering = 'PlainText'; Import-Module '$env:BLOCKSTORAGE_TEST_MANIFEST'; $Script"
            ip netns exec storage pwsh -NoProfile -NonInteractive -OutputFormat Text -EncodedCommand ([Convert]::ToBase64String([Text.Encoding]::Unicode.GetBytes($text))) 2>&1
        }
    }
    AfterAll {
        Exit-TestHome $folder
        ip netns del storage
    }

    It 'publishes and restores there, takes no address that is not there, and is reached from here' {
        $lines = Invoke-InStorage '
            $null = New-BlockVolume four, six 16MB
            $null = Set-BlockStorageConfiguration -PortalAddress 10.98.0.1 -Confirm:$false
            try { Publish-IscsiTarget four -Driver Lio -ErrorAction Stop } catch { $_.FullyQualifiedErrorId -replace ",.*" }
            $null = Set-BlockStorageConfiguration -PortalAddress 10.98.0.2 -Confirm:$false
            (Publish-IscsiTarget four -Driver Lio).Portal
            $null = Set-BlockStorageConfiguration -PortalAddress fd98::2 -Confirm:$false
            (Publish-IscsiTarget six -Driver Lio).Portal
            foreach ($target in Get-IscsiTarget) { rmdir "/sys/kernel/config/target/iscsi/$($target.Iqn)/tpgt_1/np/$($target.Portal)" }
            (Repair-BlockStorage -Confirm:$false | ForEach-Object State) -join " "
            (Get-IscsiTarget).State -join " "'
        $lines | Should -Be 'PortalUnreachable', '10.98.0.2:3260', '[fd98::2]:3260', 'done done', 'online online'

        # State 0A is listening, 0CBC is 3260.
        Get-Content /proc/net/tcp, /proc/net/tcp6 | Should -Not -Match ':0CBC \S+ 0A '
        $connection = Connect-BlockVolume four -Protocol iscsi
        [IO.File]::WriteAllText($connection.DevicePath, 'from the first namespace')
        (Get-IscsiTarget -Volume four).SessionCount | Should -Be 1
        Disconnect-BlockVolume four -Confirm:$false
        $bytes = [byte[]]::new(24)
        $file = [IO.File]::OpenRead((Get-BlockVolume four).Path)
        $null = $file.Read($bytes, 0, 24)
        $file.Dispose()
        [Text.Encoding]::ASCII.GetString($bytes) | Should -Be 'from the first namespace'
        # LIO tells of all its targets at any portal.
        (Find-IscsiTarget -PortalAddress fd98::2).Iqn | Should -Contain (Get-IscsiTarget -Volume six).Iqn
    }
}
