# How the module comes into a shell and leaves it.
BeforeAll { . "$PSScriptRoot/Common.ps1"; $folder = Enter-TestHome }
AfterAll { Exit-TestHome $folder }

Describe 'Importing' {
    It 'loads neither the engine nor SQLite, the first cmdlet does, into a context of its own' {
        $lines = Invoke-Shell @'
            function Get-Private { [AppDomain]::CurrentDomain.GetAssemblies() | Where-Object { $_.FullName -match '^(BlockStorage\.Engine|Microsoft\.Data\.Sqlite|SQLitePCL)' } }
            @(Get-Private).Count
            $null = Get-BlockVolume
            @(Get-Private).Count -gt 1
            (Get-Private | ForEach-Object { [System.Runtime.Loader.AssemblyLoadContext]::GetLoadContext($_).Name } | Select-Object -Unique) -join ','
            @([AppDomain]::CurrentDomain.GetAssemblies() | Where-Object { $_.GetName().Name -eq 'BlockStorage.Model' }).Count
'@
        $lines | Should -Be '0', 'True', 'BlockStorage.Engine', '1'
    }
    It 'lets users name the types' {
        Invoke-Shell '[BlockStorage.BlockVolume].Name; [BlockStorage.ByteSize]::Parse("10GB")' | Should -Be 'BlockVolume', '10737418240'
    }
    It 'works again after removal and with -Force' {
        $lines = Invoke-Shell @"
            `$null = Get-BlockVolume
            Remove-Module BlockStorage
            @(Get-Command -Module BlockStorage).Count
            Import-Module '$env:BLOCKSTORAGE_TEST_MANIFEST' -ErrorAction Stop
            Import-Module '$env:BLOCKSTORAGE_TEST_MANIFEST' -Force -ErrorAction Stop
            (Get-BlockStorageServer).State
"@
        $lines | Should -Be '0', 'connected'
    }
    It 'gets along with another SQLite that was loaded before' {
        $other = Join-Path (Split-Path $env:BLOCKSTORAGE_TEST_MANIFEST) 'Dependencies/Microsoft.Data.Sqlite.dll'
        $lines = Invoke-Shell @"
            Copy-Item '$other' '$folder/Other.dll'
            `$null = [System.Reflection.Assembly]::LoadFrom('$folder/Other.dll')
            (Get-BlockStorageServer).State
            @([AppDomain]::CurrentDomain.GetAssemblies() | Where-Object { `$_.GetName().Name -eq 'Microsoft.Data.Sqlite' }).Count
            Remove-Item '$folder/Other.dll'
"@
        $lines | Should -Be 'connected', '2'
    }
    It 'follows BLOCKSTORAGE_HOME when it changes in the shell' {
        $other = "$folder/o"
        $lines = Invoke-Shell "(Get-BlockStorageServer).StateRoot; `$env:BLOCKSTORAGE_HOME = '$other'; (Get-BlockStorageServer).StateRoot"
        $lines | Should -Be $folder, $other
    }
}
