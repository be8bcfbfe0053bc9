# Volumes: what a user types, what comes back, what is said when it cannot be.
BeforeAll {
    . "$PSScriptRoot/Common.ps1"
    $folder = Enter-TestHome
    $null = New-BlockPool p1 -Driver File -Path "$folder/p1" -Size 3GB
}
AfterAll { Exit-TestHome $folder }

Describe 'New-BlockVolume' {
    AfterEach { Get-BlockVolume | Remove-BlockVolume -Confirm:$false }
    It 'makes a volume of exactly that size and returns it' {
        $volume = New-BlockVolume db1 -Size 64MB -Pool p1 -Tag prod, db -Description 'first'
        $volume | Should -BeOfType ([BlockStorage.BlockVolume])
        $volume.Name, $volume.Pool, $volume.State, $volume.Size | Should -Be 'db1', 'p1', 'available', 64MB
        $volume.Tag | Should -Be 'prod', 'db'
        $volume.Description | Should -Be 'first'
        (Get-Item $volume.Path).Length | Should -Be 64MB
        $volume.Serial | Should -Be $volume.Id.Replace('-', '')
        $volume.CreatedAt | Should -BeGreaterThan (Get-Date).AddMinutes(-5)
        $volume.CreatedAt | Should -BeLessThan (Get-Date).AddMinutes(1)
    }
    It 'reads the size <Text> as <Bytes>' -ForEach @(
        @{ Text = '16MiB'; Bytes = 16MB }, @{ Text = '16M'; Bytes = 16MB }, @{ Text = 16MB; Bytes = 16MB },
        @{ Text = '0.5GB'; Bytes = 512MB }, @{ Text = 33554432.0; Bytes = 32MB }
    ) {
        (New-BlockVolume v -Size $Text -Pool p1).Size | Should -Be $Bytes
    }
    It 'refuses the size <Size>' -ForEach @(@{ Size = 'abc' }, @{ Size = 0 }, @{ Size = -5 }, @{ Size = 1.5 }, @{ Size = '9EB' }, @{ Size = '50%' }) {
        $found = Get-ErrorOf { New-BlockVolume v -Size $Size -Pool p1 }
        if ($Size -eq '9EB') { Assert-BlockError $found '(InvalidSize|InsufficientSpace)' ($found[0].CategoryInfo.Category) }
        else { Assert-BlockError $found InvalidSize InvalidArgument }
        Get-BlockVolume | Should -BeNullOrEmpty
    }
    It 'refuses the name <Name>' -ForEach @(
        @{ Name = '../x' }, @{ Name = '-rf' }, @{ Name = 'a;b' }, @{ Name = "a`nb" }, @{ Name = "`u{1F600}" }, @{ Name = 'x' * 300 }
    ) {
        Assert-BlockError (Get-ErrorOf { New-BlockVolume -Name $Name -Size 1MB -Pool p1 }) InvalidName InvalidArgument
        Get-BlockVolume | Should -BeNullOrEmpty
    }
    It 'refuses a name that differs only in case, and takes it with -IfNotExists' {
        $first = New-BlockVolume db1 -Size 1MB -Pool p1
        Assert-BlockError (Get-ErrorOf { New-BlockVolume DB1 -Size 1MB -Pool p1 }) NameExists ResourceExists
        (New-BlockVolume DB1 -Size 1MB -Pool p1 -IfNotExists).Id | Should -Be $first.Id
    }
    It 'refuses an unknown pool' {
        Assert-BlockError (Get-ErrorOf { New-BlockVolume v -Size 1MB -Pool nowhere }) PoolNotFound ObjectNotFound
    }
    It 'wants exactly one source of the size' {
        Assert-BlockError (Get-ErrorOf { New-BlockVolume v -Pool p1 }) InvalidArgument InvalidArgument
        Assert-BlockError (Get-ErrorOf { New-BlockVolume v -Size 1MB -UseMaximumSize -Pool p1 }) InvalidArgument InvalidArgument
        Assert-BlockError (Get-ErrorOf { New-BlockVolume v -FromVolume a -FromSnapshot b -Pool p1 }) InvalidArgument InvalidArgument
    }
    It 'makes the others when one of several fails' {
        $null = New-BlockVolume b -Size 1MB -Pool p1
        Assert-BlockError (Get-ErrorOf { New-BlockVolume a, b, c -Size 1MB -Pool p1 }) NameExists ResourceExists
        (Get-BlockVolume).Name -join ' ' | Should -Be 'a b c'
    }
    It 'takes lines of a CSV file; an empty cell means not given' {
        $made = @'
Name,Size,Pool,Provisioning,Tag,Description
c1,16MB,p1,thin,prod;db,first
c2,32MiB,,,,
'@ | ConvertFrom-Csv | New-BlockVolume
        $made.Name | Should -Be 'c1', 'c2'
        $made.Size | Should -Be 16MB, 32MB
        $made[0].Tag | Should -Be 'prod', 'db'
        $made[1].Tag | Should -BeNullOrEmpty
        $made[1].Description | Should -BeNullOrEmpty
    }
    It 'makes a volume with the data of a volume or snapshot, given as object or name' {
        $source = New-BlockVolume src -Size 8MB -Pool p1
        Set-Content -NoNewline -Path $source.Path -Value ('x' * 4096) -Encoding ascii
        $hash = { param($path) (Get-Content -AsByteStream -TotalCount 4096 $path | ForEach-Object { $_ }) -join ',' }
        $snapshot = $source | New-BlockSnapshot -Name s1
        foreach ($made in @(
                (New-BlockVolume v1 -FromSnapshot $snapshot), (New-BlockVolume v2 -FromSnapshot s1),
                (New-BlockVolume v3 -FromVolume $source), (New-BlockVolume v4 -FromVolume src))) {
            & $hash $made.Path | Should -Be (& $hash $source.Path)
        }
        Get-BlockVolume v? | Remove-BlockVolume -Confirm:$false
        Get-BlockVolume src | Remove-BlockVolume -Cascade -Confirm:$false
    }
}

Describe 'Get-BlockVolume' {
    BeforeAll { $null = New-BlockVolume db1, db2, web -Size 4MB -Pool p1 }
    AfterAll { Get-BlockVolume | Remove-BlockVolume -Confirm:$false }
    It 'lists all, takes wildcards, arrays, any case and ids' {
        (Get-BlockVolume).Name -join ' ' | Should -Be 'db1 db2 web'
        (Get-BlockVolume db*).Name -join ' ' | Should -Be 'db1 db2'
        (Get-BlockVolume DB1, WEB).Name -join ' ' | Should -Be 'db1 web'
        (Get-BlockVolume -Id (Get-BlockVolume web).Id).Name | Should -Be 'web'
        (Get-BlockVolume -State available -Pool p*).Count | Should -Be 3
        Get-BlockPool p1 | Get-BlockVolume | Should -HaveCount 3
    }
    It 'errs for a literal that is not there, still gives the others, and is silent for a wildcard' {
        $all = Get-BlockVolume db1, nope -ErrorVariable found -ErrorAction SilentlyContinue
        $all.Name | Should -Be 'db1'
        Assert-BlockError $found VolumeNotFound ObjectNotFound
        $found[0].TargetObject | Should -Be 'nope'
        Assert-BlockError (Get-ErrorOf { Get-BlockVolume -Id 'nope' }) VolumeNotFound ObjectNotFound
        Get-ErrorOf { Get-BlockVolume x* } | Should -BeNullOrEmpty
    }
    It 'stops asking when the pipeline has enough' {
        (Get-BlockVolume | Select-Object -First 1).Name | Should -Be 'db1'
    }
    It 'gives objects that do not change what is stored' {
        (Get-BlockVolume db1).Name = 'other'
        (Get-BlockVolume db1).Name | Should -Be 'db1'
    }
    It 'shows a table within 100 columns and all of it as a list' {
        $table = Get-BlockVolume | Out-String -Width 100
        $table | Should -Match '(?m)^db1\s+p1\s+.*available.*\s4 MiB\s'
        $table -split "`n" | ForEach-Object { ($_ -replace '\e\[[\d;]*m').TrimEnd().Length | Should -BeLessOrEqual 100 }
        Get-BlockVolume db1 | Format-List | Out-String | Should -Match '(?m)^.*Serial.*: [0-9a-f]{32}'
    }
    It 'completes names with size and state' {
        $null = TabExpansion2 'Get-BlockVolume ' -cursorColumn 16
        Start-Sleep -Milliseconds 300
        $found = (TabExpansion2 'Get-BlockVolume d' -cursorColumn 17).CompletionMatches
        $found.CompletionText -join ' ' | Should -Be 'db1 db2'
        $found[0].ToolTip | Should -Match '4 MiB.*available.*p1'
    }
}

Describe 'Set-BlockVolume and Rename-BlockVolume' {
    BeforeEach { $volume = New-BlockVolume db1 -Size 4MB -Pool p1 -Tag old }
    AfterEach { Get-BlockVolume | Remove-BlockVolume -Confirm:$false }
    It 'change only what is given, and are silent without -PassThru' {
        Set-BlockVolume db1 -Description text | Should -BeNullOrEmpty
        $after = $volume | Set-BlockVolume -ReadOnly $true -PassThru
        $after.Description, $after.ReadOnly, $after.Tag | Should -Be 'text', $true, 'old'
        (Set-BlockVolume -Id $volume.Id -Tag @() -PassThru).Tag | Should -BeNullOrEmpty
        Rename-BlockVolume db1 db9 | Should -BeNullOrEmpty
        (Get-BlockVolume).Name, (Get-BlockVolume).Id | Should -Be 'db9', $volume.Id
    }
    It 'never take instructions out of a piped record' {
        [pscustomobject]@{ Name = 'db1'; Description = 'evil'; ReadOnly = $true; Tag = 'evil'; NewName = 'evil' } | Set-BlockVolume -Description good
        $after = Get-BlockVolume db1
        $after.Description, $after.ReadOnly, "$($after.Tag)" | Should -Be 'good', $false, 'old'
    }
    It 'err for what is not there' {
        Assert-BlockError (Get-ErrorOf { Set-BlockVolume nope -Description x }) VolumeNotFound ObjectNotFound
        Assert-BlockError (Get-ErrorOf { Rename-BlockVolume nope x }) VolumeNotFound ObjectNotFound
        Get-ErrorOf { Set-BlockVolume n* -Description x } | Should -BeNullOrEmpty
        Assert-BlockError (Get-ErrorOf { Rename-BlockVolume db1 '../x' }) InvalidName InvalidArgument
    }
    It 'act by id on what was serialized, not on what has its name now' {
        $wire = [System.Management.Automation.PSSerializer]::Deserialize([System.Management.Automation.PSSerializer]::Serialize($volume))
        Rename-BlockVolume db1 moved
        $null = New-BlockVolume db1 -Size 4MB -Pool p1
        $wire | Set-BlockVolume -Description mine
        (Get-BlockVolume moved).Description | Should -Be 'mine'
        (Get-BlockVolume db1).Description | Should -BeNullOrEmpty
        Set-BlockVolume -InputObject $wire, $wire -Description again
        (Get-BlockVolume moved).Description | Should -Be 'again'
    }
    It 'refuse an object of another machine' {
        $volume.Server = 'elsewhere'
        Assert-BlockError (Get-ErrorOf { $volume | Set-BlockVolume -Description x }) ServerNotFound ObjectNotFound
        (Get-BlockVolume db1).Description | Should -BeNullOrEmpty
    }
}

Describe 'Resize-BlockVolume' {
    BeforeEach { $volume = New-BlockVolume db1 -Size 4MB -Pool p1 }
    AfterEach { Get-BlockVolume | Remove-BlockVolume -Confirm:$false }
    It 'sets and adds' {
        Resize-BlockVolume db1 8MB | Should -BeNullOrEmpty
        (Get-BlockVolume db1 | Resize-BlockVolume -Increase '8MiB' -PassThru).Size | Should -Be 16MB
        (Get-Item $volume.Path).Length | Should -Be 16MB
    }
    It 'refuses to shrink, to guess, and what it cannot read' {
        Assert-BlockError (Get-ErrorOf { Resize-BlockVolume db1 1MB }) ShrinkNotAllowed InvalidOperation
        { Resize-BlockVolume db1 } | Should -Throw -ErrorId 'InvalidArgument,BlockStorage.Commands.ResizeBlockVolumeCommand'
        { Resize-BlockVolume db1 -Size 8MB -Increase 1MB } | Should -Throw -ErrorId 'InvalidArgument,BlockStorage.Commands.ResizeBlockVolumeCommand'
        { Resize-BlockVolume db1 abc } | Should -Throw -ErrorId 'InvalidSize,BlockStorage.Commands.ResizeBlockVolumeCommand'
        Assert-BlockError (Get-ErrorOf { Resize-BlockVolume nope 8MB }) VolumeNotFound ObjectNotFound
        (Get-BlockVolume db1).Size | Should -Be 4MB
    }
}

Describe 'Copy-BlockVolume' {
    AfterEach { Get-BlockVolume | Remove-BlockVolume -Confirm:$false }
    It 'copies the bytes' {
        $volume = New-BlockVolume db1 -Size 8MB -Pool p1
        Start-Process dd "if=/dev/urandom of=$($volume.Path) bs=1M count=8 conv=notrunc status=none" -Wait
        $copy = $volume | Copy-BlockVolume -NewName db2
        $copy.Name, $copy.Size | Should -Be 'db2', 8MB
        Get-ByteHash $copy.Path | Should -Be (Get-ByteHash $volume.Path)
        Assert-BlockError (Get-ErrorOf { Copy-BlockVolume db1 db2 }) NameExists ResourceExists
        Assert-BlockError (Get-ErrorOf { Copy-BlockVolume nope x }) VolumeNotFound ObjectNotFound
    }
}

Describe 'Get-BlockVolumeSupportedSize' {
    It 'tells the sizes of a pool and of a volume' {
        $null = New-BlockVolume db1 -Size 4MB -Pool p1
        $range = Get-BlockVolumeSupportedSize -Pool p1
        $range.MaximumSize | Should -BeGreaterThan $range.MinimumSize
        (Get-BlockVolumeSupportedSize db1).CurrentSize | Should -Be 4MB
        (Get-BlockVolume db1 | Get-BlockVolumeSupportedSize).MinimumSize | Should -BeGreaterOrEqual 4MB
        Assert-BlockError (Get-ErrorOf { Get-BlockVolumeSupportedSize nope }) VolumeNotFound ObjectNotFound
        Assert-BlockError (Get-ErrorOf { Get-BlockVolumeSupportedSize -Pool nope }) PoolNotFound ObjectNotFound
        Remove-BlockVolume db1 -Confirm:$false
    }
}

Describe 'Remove-BlockVolume' {
    It 'removes the file and returns nothing' {
        $volume = New-BlockVolume db1 -Size 4MB -Pool p1
        Remove-BlockVolume db1 -Confirm:$false | Should -BeNullOrEmpty
        Test-Path $volume.Path | Should -BeFalse
        Get-BlockVolume | Should -BeNullOrEmpty
        Get-ErrorOf { $volume | Remove-BlockVolume -Confirm:$false } | Should -BeNullOrEmpty -Because 'there is nothing left to do for an object'
    }
    It 'errs for a literal that is not there and is silent for a wildcard' {
        Assert-BlockError (Get-ErrorOf { Remove-BlockVolume nope -Confirm:$false }) VolumeNotFound ObjectNotFound
        Get-ErrorOf { Remove-BlockVolume nope* -Confirm:$false } | Should -BeNullOrEmpty
    }
    It 'keeps a volume that has snapshots unless -Cascade is given' {
        $null = New-BlockVolume db1 -Size 4MB -Pool p1 | New-BlockSnapshot -Name s1
        Assert-BlockError (Get-ErrorOf { Remove-BlockVolume db1 -Confirm:$false }) SnapshotDependency InvalidOperation
        Get-BlockVolume db1 | Remove-BlockVolume -Cascade -Confirm:$false
        Get-BlockSnapshot | Should -BeNullOrEmpty
    }
    It 'removes what a saved record names' {
        $saved = New-BlockVolume db1, db2 -Size 4MB -Pool p1 | ConvertTo-Json | ConvertFrom-Json
        $saved[0] | Remove-BlockVolume -Confirm:$false
        (Get-BlockVolume).Name | Should -Be 'db2'
        [pscustomobject]@{ Id = $saved[1].Id } | Remove-BlockVolume -Confirm:$false
        Get-BlockVolume | Should -BeNullOrEmpty
    }
}
