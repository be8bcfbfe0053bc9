# What all test files share: a state root of their own, a fresh shell, what an error must have, what must not be left behind.
$ErrorActionPreference = 'Stop'
Import-Module $env:BLOCKSTORAGE_TEST_MANIFEST

function Enter-TestHome {
    # Short, because control sockets lie below it.
    $folder = "/tmp/bs-$([guid]::NewGuid().ToString('N').Substring(0, 6))"
    $null = New-Item -ItemType Directory $folder
    $env:BLOCKSTORAGE_HOME = $folder
    $folder
}

# Everything of a state root that is still alive: processes, mounts and loop devices that name it.
function Get-Leftover ([string] $Folder) {
    foreach ($process in [System.IO.Directory]::GetDirectories('/proc') | Where-Object { (Split-Path -Leaf $_) -match '^\d+$' }) {
        try { $line = [System.IO.File]::ReadAllText("$process/cmdline").Replace("`0", ' ') } catch { continue }
        if ($line -match [regex]::Escape($Folder) -and (Split-Path -Leaf $process) -ne $PID) { "process $(Split-Path -Leaf $process): $line" }
    }
    Get-Content /proc/mounts | Where-Object { $_ -match [regex]::Escape("$Folder/") } | ForEach-Object { "mount $_" }
    # Devices of others come and go meanwhile.
    foreach ($device in [System.IO.Directory]::GetDirectories('/sys/block', 'loop*') | Sort-Object) {
        try { $backing = [System.IO.File]::ReadAllText("$device/loop/backing_file").Trim() } catch { continue }
        if ($backing -like "$Folder/*") { "loop $device $backing" }
    }
}

function Exit-TestHome ([string] $Folder) {
    $env:BLOCKSTORAGE_HOME = $Folder
    Get-BlockConnection | Disconnect-BlockVolume -Force -Confirm:$false
    Get-IscsiTarget | Remove-IscsiTarget -Force -Confirm:$false
    Get-BlockVolume | Remove-BlockVolume -Cascade -Force -Confirm:$false
    Get-BlockPool | Remove-BlockPool -Confirm:$false
    $left = @(Get-Leftover $Folder)
    if ($left) { throw "Left behind:`n$($left -join "`n")" }
    Remove-Item -Recurse -Force $Folder
    $env:BLOCKSTORAGE_HOME = $null
}

# A new shell with the module, in this state root; gives its lines.
function Invoke-Shell ([string] $Script, [hashtable] $Environment = @{}) {
    $saved = @{}
    foreach ($name in $Environment.Keys) { $saved[$name] = [Environment]::GetEnvironmentVariable($name); [Environment]::SetEnvironmentVariable($name, $Environment[$name]) }
    try {
        $text = "`$PSStyle.OutputRendering = 'PlainText'; Import-Module '$env:BLOCKSTORAGE_TEST_MANIFEST'; $Script"
        pwsh -NoProfile -NonInteractive -OutputFormat Text -EncodedCommand ([Convert]::ToBase64String([Text.Encoding]::Unicode.GetBytes($text))) 2>&1
    }
    finally {
        foreach ($name in $saved.Keys) { [Environment]::SetEnvironmentVariable($name, $saved[$name]) }
    }
}

# The non-terminating errors of a command.
function Get-ErrorOf ([scriptblock] $Script) {
    $ErrorActionPreference = 'Continue'
    $found = @(& $Script 2>&1 | Where-Object { $_ -is [System.Management.Automation.ErrorRecord] })
    , $found
}

function Assert-BlockError ($Record, [string] $Id, [string] $Category) {
    @($Record).Count | Should -Be 1 -Because "exactly one error is expected: $($Record -join '; ')"
    $one = @($Record)[0]
    $one.FullyQualifiedErrorId | Should -Match "^$Id,BlockStorage\.Commands\.\w+Command$" -Because "$one"
    $one.CategoryInfo.Category | Should -Be $Category
    $one.TargetObject | Should -Not -BeNullOrEmpty
    $one.ErrorDetails.RecommendedAction | Should -Not -BeNullOrEmpty
}

# Bytes of a file or device, as a hash.
function Get-ByteHash ([string] $Path) { (sha256sum $Path).Split(' ')[0] }

# Everything a state root holds, as one text: small files by their bytes, large ones by size, space and time. A database's shared
# memory changes by reading, and the image under a mounted file system by itself; what the image holds is seen through the mount.
function Get-TreeState ([string] $Folder) {
    foreach ($item in Get-ChildItem -Recurse -Force $Folder | Where-Object { $_.Name -notlike '*-shm' -and $_.Name -notlike '*.img' } | Sort-Object FullName) {
        $content = if ($item.UnixMode[0] -ne '-') { '' }
            elseif ($item.Length -lt 1MB) { Get-ByteHash $item.FullName }
            else { "$(stat -c %b $item.FullName) $($item.LastWriteTimeUtc.Ticks)" }
        "$($item.UnixMode) $($item.FullName) $($item.UnixMode[0] -eq 'd' ? '' : $item.Length) $content"
    }
}
