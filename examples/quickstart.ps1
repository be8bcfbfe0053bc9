<#
.SYNOPSIS
The main job of BlockStorage from an empty machine to an empty machine, with real tools and proof at each step.
.DESCRIPTION
Makes a pool, a volume, files on it, a snapshot while it is written to; publishes the snapshot and the volume over iSCSI
with CHAP; connects, resizes, clones, reverts, removes; and at the end lists what is left, which must be nothing. It
works in a state folder of its own and needs root.
.PARAMETER ModulePath
Manifest of the module; without it the installed one is used.
.PARAMETER Disk
Disks to make an LVM pool of, which lose what is on them; without it the pool is a file.
.PARAMETER StorageNetwork
Makes a network namespace that stands for the storage network, with the portals of the targets in it; publishing and restoring
run there, the initiator stays in the first namespace. Only for targets of the kernel (LIO).
.EXAMPLE
sudo pwsh -File examples/quickstart.ps1
#>
[CmdletBinding()]
param([string] $ModulePath = 'BlockStorage', [string[]] $Disk, [switch] $StorageNetwork)

$ErrorActionPreference = 'Stop'
$ConfirmPreference = 'None'
$ModulePath = (Test-Path $ModulePath) ? (Resolve-Path $ModulePath).Path : $ModulePath
Import-Module $ModulePath

$sandbox = "/tmp/bsdemo-$PID"
$env:BLOCKSTORAGE_HOME = "$sandbox/state"
$mount = (New-Item -ItemType Directory "$sandbox/mount").FullName
$clock = [Diagnostics.Stopwatch]::StartNew()

function Step([string] $Text, [scriptblock] $Work) {
    $start = $clock.Elapsed
    $result = & $Work
    Write-Information ('{0,7:0.00} s  {1}' -f ($clock.Elapsed - $start).TotalSeconds, $Text) -InformationAction Continue
    $result
}

function Assert([bool] $Condition, [string] $What) {
    if (-not $Condition) { throw "Not so: $What" }
}

function Tool([string] $Program) {
    $output = & $Program @args 2>&1
    if ($LASTEXITCODE -ne 0) { throw "$Program $args`: $output" }
    $output
}

# One hash over all files below a folder.
function Get-TreeHash([string] $Path) {
    $hashes = Get-ChildItem $Path -File -Filter data* | Sort-Object Name | ForEach-Object { (Get-FileHash $_).Hash }
    $hashes -join ' '
}

function Write-File([string] $Path, [int] $Seed) {
    $bytes = [byte[]]::new(4MB)
    foreach ($number in 1..8) {
        [Random]::new($Seed + $number).NextBytes($bytes)
        [IO.File]::WriteAllBytes("$Path/data$number", $bytes)
    }
    Tool sync -f $Path | Out-Null
}

# Writes through to the disk until it is told to stop; ends with an error when a write does.
function Open-Writer {
    Remove-Item "$sandbox/stop", "$mount/noise" -ErrorAction Ignore
    $loop = "while [ ! -e '$sandbox/stop' ]; do dd if=/dev/zero of='$mount/noise' bs=64k count=100 oflag=dsync conv=notrunc || exit 1; done"
    # In a session of its own, so that nothing but the stop file ends it.
    $script:writer = Start-Process setsid -PassThru -ArgumentList 'sh', '-c', "`"$loop`"" -RedirectStandardError /dev/null
    $seen = [Diagnostics.Stopwatch]::StartNew()
    while (-not ((Test-Path "$mount/noise") -and (Get-Item "$mount/noise").Length -gt 1MB)) {
        Assert ($seen.Elapsed.TotalSeconds -lt 20) 'the writer writes'
        Start-Sleep -Milliseconds 20
    }
}

function Close-Writer {
    New-Item "$sandbox/stop" | Out-Null
    $writer.WaitForExit()
    $code = $writer.ExitCode
    $script:writer = $null
    Assert ($code -eq 0) 'the writer saw no error'
}

# A namespace of its own for the portals, joined to the first by a pair of interfaces.
$namespace = "bsdemo-$PID"
function Connect-StorageNetwork {
    foreach ($line in "netns add $namespace", "link add bsdemo0 type veth peer name bsdemo1 netns $namespace", 'addr add 10.98.7.1/24 dev bsdemo0', 'link set bsdemo0 up',
        "-n $namespace addr add 10.98.7.2/24 dev bsdemo1", "-n $namespace link set bsdemo1 up", "-n $namespace link set lo up") {
        Tool ip @(-split $line) | Out-Null
    }
    Set-BlockStorageConfiguration -PortalAddress 10.98.7.2
}

# Runs a command in the storage network; what it reads from $input is in no argument and no environment.
function Invoke-InStorage([string] $Script, [string] $Text = '') {
    $whole = "`$ErrorActionPreference = 'Stop'; Import-Module '$ModulePath'; $Script"
    $output = $Text | ip netns exec $namespace pwsh -NoProfile -NonInteractive -OutputFormat Text -EncodedCommand ([Convert]::ToBase64String([Text.Encoding]::Unicode.GetBytes($whole))) 2>&1
    Assert ($LASTEXITCODE -eq 0) "the command in the storage network works: $output"
}

# What of ours is on the machine: processes, mounts, loop devices, files.
function Get-Leftover {
    Get-ChildItem /proc -Directory | Where-Object Name -Match '^\d+$' | ForEach-Object {
        $line = try { [IO.File]::ReadAllText("$_/cmdline").Replace("`0", ' ') } catch { '' }
        if ($_.Name -ne $PID -and $line.Contains($sandbox)) { "process $($_.Name): $line" }
    }
    Get-Content /proc/mounts | Where-Object { $_.Contains($sandbox) } | ForEach-Object { "mount: $_" }
    Get-ChildItem /sys/block -Filter loop* | ForEach-Object {
        $file = "/sys/block/$($_.Name)/loop/backing_file"
        if ((Test-Path $file) -and (Get-Content $file).Contains($sandbox)) { "loop device: $($_.Name)" }
    }
    if (Test-Path $env:BLOCKSTORAGE_HOME) {
        Get-ChildItem $env:BLOCKSTORAGE_HOME -Recurse -File | Where-Object Name -NotLike 'catalog.db*' | ForEach-Object { "file: $_" }
    }
}

$writer = $null
try {
    if ($Disk) {
        Step "Thin LVM pool on $Disk" {
            $pool = New-BlockPool demo -Disk $Disk
            Assert ($pool.Driver -eq 'Lvm') 'disks make an LVM pool'
        }
    }
    else {
        Step 'Pool of 8 GiB on XFS with shared extents' {
            $pool = New-BlockPool demo -Driver File -Path "$sandbox/pool" -Size 8GB
            Assert ($pool.SnapshotMethod -eq 'reflink') 'snapshots share extents'
        }
    }
    Step 'Volume of 2 GiB' { New-BlockVolume db1 -Size 2GB -Pool demo | Out-Null }
    $device = Step 'Connected as a local block device' { (Connect-BlockVolume -Volume db1).DevicePath }
    Step "ext4 on $device, files with a known hash" {
        Tool mkfs.ext4 -q $device
        Tool mount $device $mount
        Write-File $mount 1
    }
    $old = Get-TreeHash $mount

    Step 'Snapshot while something writes' {
        Open-Writer
        Get-BlockVolume db1 | New-BlockSnapshot -Name '{Volume}-before' | Out-Null
        Close-Writer
    }
    Step 'Files changed' { Write-File $mount 100 }
    $new = Get-TreeHash $mount
    Assert ($old -ne $new) 'the files differ'
    Step 'Unmounted and disconnected' {
        Tool umount $mount
        Get-BlockConnection | Disconnect-BlockVolume
    }

    $secret = ConvertTo-SecureString 'Right-secret-01' -AsPlainText -Force
    if ($StorageNetwork) { Step 'Storage network in a namespace of its own' { Connect-StorageNetwork } }
    $target = Step 'Snapshot published read-only over iSCSI with CHAP' {
        if ($StorageNetwork) {
            Invoke-InStorage -Text 'Right-secret-01' '
                $credential = [pscredential]::new("demo", (ConvertTo-SecureString "$input" -AsPlainText -Force))
                Get-BlockSnapshot db1-before | Publish-IscsiTarget -ReadOnly -Credential $credential | Out-Null'
            Get-IscsiTarget
        }
        else { Get-BlockSnapshot db1-before | Publish-IscsiTarget -ReadOnly -Credential ([pscredential]::new('demo', $secret)) }
    }
    Step 'Wrong CHAP secret refused' {
        $wrong = [pscredential]::new('demo', (ConvertTo-SecureString 'Wrong-secret-01' -AsPlainText -Force))
        $target | Connect-BlockVolume -Credential $wrong -ErrorVariable refused -ErrorAction SilentlyContinue | Out-Null
        Assert ($refused[0].FullyQualifiedErrorId -like 'ChapRejected,*') "ChapRejected, not $($refused[0])"
        Assert ($null -eq (Get-BlockConnection)) 'nothing is connected'
    }
    $connection = Step 'Snapshot connected over iSCSI' {
        $address, $port = $target.Portal[0] -split ':'
        Find-IscsiTarget -PortalAddress $address -Port $port -Credential ([pscredential]::new('demo', $secret)) | Connect-BlockVolume
    }
    Step 'Old bytes in the snapshot' {
        # The journal of the file system is not replayed: the device is read-only.
        Tool mount -o 'ro,noload' $connection.DevicePath $mount
        Assert ((Get-TreeHash $mount) -eq $old) 'the snapshot has the old files'
        Tool umount $mount
        $connection | Disconnect-BlockVolume
    }

    if ($StorageNetwork) {
        Step 'Volume published; its portal, taken away by another hand, restored in the storage network' {
            Invoke-InStorage 'Get-BlockVolume db1 | Publish-IscsiTarget | Out-Null'
            $served = Get-IscsiTarget -Volume db1 | Where-Object Snapshot -EQ ''
            [IO.Directory]::Delete("/sys/kernel/config/target/iscsi/$($served.Iqn)/tpgt_1/np/$($served.Portal)")
            Invoke-InStorage 'Repair-BlockStorage -Confirm:$false | Out-Null'
        }
    }
    $connection = Step 'Volume published and connected over iSCSI' {
        $published = $StorageNetwork ? (Get-IscsiTarget -Volume db1 | Where-Object Snapshot -EQ '') : (Get-BlockVolume db1 | Publish-IscsiTarget)
        $published | Connect-BlockVolume
    }
    Step 'New bytes in the volume' {
        Tool mount $connection.DevicePath $mount
        Assert ((Get-TreeHash $mount) -eq $new) 'the volume has the new files'
    }
    Step 'Resized online to 3 GiB, under a writer that sees no error' {
        Open-Writer
        Resize-BlockVolume -Name db1 -Size 3GB
        Close-Writer
        Assert ((Tool blockdev --getsize64 $connection.DevicePath) -eq 3GB) 'the device has 3 GiB'
        Assert ((Get-TreeHash $mount) -eq $new) 'the files are as before'
    }
    Step 'Cloned' {
        $clone = Copy-BlockVolume -Name db1 -NewName db2
        Assert ($clone.Size -eq 3GB) 'the clone has 3 GiB'
    }
    Step 'Unmounted, disconnected, unpublished' {
        Tool umount $mount
        Get-BlockConnection | Disconnect-BlockVolume
        Get-IscsiTarget | Unpublish-IscsiTarget
    }
    Step 'Reverted to the snapshot' {
        Restore-BlockSnapshot -Name db1-before
        $device = (Connect-BlockVolume -Volume db1).DevicePath
        Tool mount $device $mount
        Assert ((Get-TreeHash $mount) -eq $old) 'the volume has the old files again'
        Tool umount $mount
        Get-BlockConnection | Disconnect-BlockVolume
    }
    Step 'Everything removed' {
        Get-BlockVolume | Remove-BlockVolume -Cascade
        Get-BlockPool | Remove-BlockPool
    }
    Step 'Listed what is left: no process, mount, loop device, target or file of ours' {
        $left = @(Get-Leftover) + @(Get-IscsiTarget) + @(Get-BlockConnection) + @(Get-BlockVolume) + @(Get-BlockPool)
        if ($Disk) { $left += Tool wipefs --no-act @Disk }
        Assert ($left.Count -eq 0) "nothing is left, but: $($left -join '; ')"
    }
    Write-Information ('{0,7:0.00} s  in all' -f $clock.Elapsed.TotalSeconds) -InformationAction Continue
}
finally {
    if ($writer) { Close-Writer }
    if (Select-String -Quiet -SimpleMatch " $mount " /proc/mounts) { umount -l $mount }
    Get-BlockVolume -ErrorAction Ignore | Remove-BlockVolume -Cascade -Force -ErrorAction Continue
    Get-BlockPool -ErrorAction Ignore | Remove-BlockPool -ErrorAction Continue
    if (Test-Path "/run/netns/$namespace") { ip netns del $namespace }
    Remove-Module BlockStorage
    Remove-Item $sandbox -Recurse -Force
}
