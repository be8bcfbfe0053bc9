# The runbook "from a request to a device", block by block, on a real kernel: LVM, LIO and open-iscsi chosen by themselves.
# Scenarios 1, 4 and 9 of facts/cinder.md 10.2, end to end.
Describe 'From a request to a device' -Tag Lab {
    BeforeAll {
        . "$PSScriptRoot/Common.ps1"
        $folder = Enter-TestHome
        $ConfirmPreference = 'None'
        $PSNativeCommandUseErrorActionPreference = $true
        $text = Get-Content -Raw "$PSScriptRoot/../../docs/runbooks/from-request-to-device.md"
        $blocks = [ordered]@{}
        foreach ($part in $text -split '(?m)^## ') {
            $blocks[(($part -split "`n")[0] -replace '[^\w ]').Trim()] = @([regex]::Matches($part, '(?s)```powershell\n(.*?)\n```').ForEach({ $_.Groups[1].Value }))
        }

        # What a heading shows; its variables are for all headings, its disks those of the lab.
        function Get-Block ([string] $Like) {
            $key = @($blocks.Keys) -like $Like
            $key.Count | Should -Be 1 -Because "the runbook has one heading '$Like'"
            $code = $blocks[$key[0]] -join "`n"
            $code | Should -Not -BeNullOrEmpty
            $ours = "'$((-split $env:LAB_DISKS)[0, 1] -join "', '")'"
            [scriptblock]::Create(($code -replace '(?<=\$)(disks|volume|initiator|target|connection)\b', 'script:$1' `
                -replace [regex]::Escape("'/dev/sdb', '/dev/sdc'"), $ours -replace '/mnt\b', "$folder/mnt"))
        }
        function Get-Lv { @(lvs --noheadings -o lv_name --select 'lv_name=~^vol-' | ForEach-Object Trim) }
        function Get-Exported { @(Get-ChildItem /sys/kernel/config/target/iscsi -Directory -ErrorAction Ignore | Where-Object Name -Like 'iqn.*') }
    }
    AfterAll { Exit-TestHome $folder }

    It 'has nine steps' { @($blocks.Keys) -match '^\d' | Should -HaveCount 9 }
    It 'before: the machine says which drivers it takes, disks become a thin LVM pool' {
        $shown = & (Get-Block 'From*') | Out-String -Width 200
        $shown | Should -Match 'Lvm +ok +volume driver, used by New-BlockPool -Disk'
        $shown | Should -Match 'Lio +ok +target driver, used by Publish-IscsiTarget'
        $shown | Should -Match 'Tgt +ok +target driver, in reserve, Lio is used'
        $shown | Should -Match 'OpenIscsi +ok +iscsi connector, used by Connect-BlockVolume'
        (Get-BlockPool store).Driver, (Get-BlockPool store).Provisioning | Should -Be 'Lvm', 'thin'
    }
    It '1: a plan changes nothing' {
        & (Get-Block '1*')
        Get-BlockVolume | Should -BeNullOrEmpty
        Get-Lv | Should -BeNullOrEmpty
    }
    It '2: the pool fits' {
        & (Get-Block '2*') | Out-String | Should -Match 'store +enabled +ok'
    }
    It '3: the request is an operation that ended' {
        $free = (Get-BlockPool store).FreeSize
        $shown = & (Get-Block '3*') | Out-String
        $shown | Should -Match 'State +: succeeded'
        $volume.State, $volume.Size, $volume.Pool | Should -Be 'available', 1GB, 'store'
        # Thin: nothing is taken of the disks before it is written.
        $free - (Get-BlockPool store).FreeSize | Should -BeLessThan 8MB
    }
    It '4: one logical volume with its identity in tags' {
        $shown = & (Get-Block '4*') | Out-String -Width 500
        $shown | Should -Match 'vol-[0-9a-f]{32} +1.00g +bspool +\S*blockstorage'
        Get-Lv | Should -Be "vol-$($volume.Serial)"
        blockdev --getsize64 $volume.Path | Should -Be 1GB
    }
    It '5: the host has a name' {
        & (Get-Block '5*')
        $initiator | Should -Match '^iqn\.'
    }
    It '6: a target for that host alone' {
        & (Get-Block '6*') | Out-String | Should -Match ([regex]::Escape($initiator.Substring(0, 30)))
        $target.Driver, $target.State, $target.Chap | Should -Be 'Lio', 'online', $true
        $tpg = "/sys/kernel/config/target/iscsi/$($target.Iqn)/tpgt_1"
        (Get-ChildItem "$tpg/acls" -Directory).Name | Should -Be $initiator
        Get-Content "$tpg/attrib/generate_node_acls", "$tpg/attrib/authentication" | Should -Be '0', '1'
        Get-ErrorOf { $volume | Remove-BlockVolume -Confirm:$false } | Should -HaveCount 1 -Because 'a published volume is not removed'
    }
    It '7: parameters without a secret' {
        $shown = & (Get-Block '7*') | Out-String
        $shown | Should -Match $volume.Serial
        $secret = Get-Content "/sys/kernel/config/target/iscsi/$($target.Iqn)/tpgt_1/acls/$initiator/auth/password"
        $secret | Should -Match '^\S{12,16}$'
        "$shown $($target | ConvertTo-Json -Depth 5)" | Should -Not -Match ([regex]::Escape($secret))
    }
    It '8: one session, the device proven' {
        & (Get-Block '8*') | Out-String | Should -Match ([regex]::Escape($target.Iqn))
        $connection.Connector, $connection.State, $connection.Serial | Should -Be 'OpenIscsi', 'attached', $volume.Serial
        (Get-BlockVolume db1).State | Should -Be 'in-use'
        $target | Connect-BlockVolume | ForEach-Object DevicePath | Should -Be $connection.DevicePath
        @(iscsiadm -m session) | Should -HaveCount 1
    }
    It '9: a file system on the device; what is written is in the logical volume' {
        & (Get-Block '9*') | Out-String | Should -Match 'iscsi'
        Assert-BlockError (Get-ErrorOf { $connection | Disconnect-BlockVolume }) DeviceInUse ResourceBusy
        Assert-BlockError (Get-ErrorOf { $target | Unpublish-IscsiTarget }) VolumeInUse ResourceBusy
        Assert-BlockError (Get-ErrorOf { $volume | Remove-BlockVolume -Confirm:$false }) VolumeInUse ResourceBusy
        Get-Content "$folder/mnt/db1/proof.txt" | Should -Be 'nine steps'
        # Through the target and straight from the logical volume.
        $through, $straight = foreach ($device in $connection.DevicePath, $volume.Path) {
            dd if=$device of="$folder/bytes" bs=1M count=64 iflag=direct status=none
            Get-ByteHash "$folder/bytes"
        }
        $straight | Should -Be $through
        Remove-Item "$folder/bytes"
    }
    It 'and back: nothing is left' {
        & (Get-Block 'And back')
        Get-BlockVolume | Should -BeNullOrEmpty
        Get-BlockPool | Should -BeNullOrEmpty
        Get-Exported | Should -BeNullOrEmpty
        Get-ChildItem /sys/class/iscsi_session, /etc/iscsi/nodes -ErrorAction Ignore | Should -BeNullOrEmpty
        vgs --noheadings | Should -BeNullOrEmpty
        wipefs --no-act (-split $env:LAB_DISKS)[0, 1] | Should -BeNullOrEmpty
    }
}
