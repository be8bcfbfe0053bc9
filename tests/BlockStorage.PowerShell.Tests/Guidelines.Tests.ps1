# The rules that every cmdlet keeps, read from the loaded assembly in real PowerShell.
BeforeDiscovery {
    Import-Module $env:BLOCKSTORAGE_TEST_MANIFEST
    $impacts = Import-PowerShellDataFile "$PSScriptRoot/Impact.psd1"
    $cmdlets = Get-Command -Module BlockStorage -CommandType Cmdlet | ForEach-Object {
        @{ Name = $_.Name; Cmdlet = $_; Type = $_.ImplementingType; Impact = $impacts[$_.Name] }
    }
    $changing = $cmdlets | Where-Object Impact
    $reading = $cmdlets | Where-Object { -not $_.Impact }
    $models = [BlockStorage.BlockVolume].Assembly.GetExportedTypes() |
        Where-Object { ($_.IsSubclassOf([BlockStorage.BlockObject]) -or $_ -eq [BlockStorage.BlockOperationStep]) -and -not $_.IsAbstract } |
        ForEach-Object { @{ Name = $_.FullName; Type = $_ } }
}

BeforeAll {
    . "$PSScriptRoot/Common.ps1"
    $assembly = (Get-Command Get-BlockVolume).ImplementingType.Assembly
    $common = [System.Management.Automation.PSCmdlet]::CommonParameters + [System.Management.Automation.PSCmdlet]::OptionalCommonParameters

    # Parameter name, set name and attribute of everything that the class itself declares.
    function Get-Declared ($Type) {
        foreach ($property in $Type.GetProperties()) {
            foreach ($attribute in $property.GetCustomAttributes([System.Management.Automation.ParameterAttribute], $true)) {
                [pscustomobject]@{ Name = $property.Name; Set = $attribute.ParameterSetName; Attribute = $attribute; Property = $property }
            }
        }
    }
    function Get-Set ($Type) {
        $declared = @(Get-Declared $Type)
        $names = @($declared.Set | Where-Object { $_ -ne '__AllParameterSets' } | Select-Object -Unique)
        if (-not $names) { $names = @('__AllParameterSets') }
        foreach ($name in $names) {
            [pscustomobject]@{ Name = $name; Parameter = @($declared | Where-Object { $_.Set -in $name, '__AllParameterSets' }) }
        }
    }
}

Describe 'Every cmdlet: <Name>' -ForEach $cmdlets {
    It 'has an approved verb and a plain noun' {
        $Cmdlet.Verb | Should -BeIn (Get-Verb).Verb
        $Cmdlet.Noun | Should -MatchExactly '^(Block|Iscsi)[A-Z][A-Za-z]+$'
        $Cmdlet.Noun | Should -Not -Match '[^s]s$'
    }
    It 'is a public sealed VerbNounCommand in BlockStorage.Commands' {
        $Type.IsPublic -and $Type.IsSealed | Should -BeTrue
        $Type.FullName | Should -BeExactly "BlockStorage.Commands.$($Cmdlet.Verb)$($Cmdlet.Noun)Command"
        $Type.BaseType.FullName | Should -Match '^BlockStorage\.Commands\.\w+Command$'
    }
    It 'declares concrete output types' {
        $outputs = $Type.GetCustomAttributes([System.Management.Automation.OutputTypeAttribute], $true).Type
        $outputs | Should -Not -BeNullOrEmpty
        $outputs.Type | Where-Object { $_ -in [object], [string], [psobject] } | Should -BeNullOrEmpty
    }
    It 'has no static or field that could keep an emitted object' {
        $flags = [System.Reflection.BindingFlags]'Static,Public,NonPublic,DeclaredOnly'
        $Type.GetFields($flags) | Where-Object { -not $_.IsInitOnly -and -not $_.IsLiteral } | Should -BeNullOrEmpty
    }
    It 'uses no reserved parameter name and names parameters in singular Pascal case' {
        foreach ($name in (Get-Declared $Type).Name) {
            $name | Should -Not -BeIn $common
            $name | Should -MatchExactly '^[A-Z][A-Za-z]+$'
            $name | Should -Match '([^s]|ss|Access|IfNotExists|LockTimeoutSeconds|HistoryDays|Address)$'
        }
    }
    It 'has bool parameters only where null means unchanged' {
        $types = (Get-Declared $Type).Property.PropertyType
        $types | Where-Object { $_ -eq [bool] -or ($_ -eq [Nullable[bool]] -and $Cmdlet.Verb -ne 'Set') } | Should -BeNullOrEmpty
    }
    It 'takes arrays of identities' {
        Get-Declared $Type | Where-Object Name -In 'InputObject', 'Id' | ForEach-Object { $_.Property.PropertyType.IsArray | Should -BeTrue }
        if ($Cmdlet.Verb -ne 'New' -or $Cmdlet.Noun -ne 'BlockSnapshot') {
            Get-Declared $Type | Where-Object Name -EQ 'Name' | ForEach-Object { $_.Property.PropertyType.IsArray | Should -BeTrue }
        }
    }
    It 'declares a default set that exists and can be told from the others' {
        $sets = @(Get-Set $Type)
        if ($sets.Count -gt 1) {
            $default = $Type.GetCustomAttributes([System.Management.Automation.CmdletAttribute], $true).DefaultParameterSetName
            $default | Should -BeIn $sets.Name
            foreach ($set in $sets | Where-Object Name -NE $default) {
                $own = $set.Parameter | Where-Object { $_.Attribute.Mandatory -and $_.Set -eq $set.Name }
                $own | Should -Not -BeNullOrEmpty -Because "set $($set.Name) needs a mandatory parameter of its own"
            }
        }
    }
    It 'has the object set as default where an object is mandatory' {
        $sets = @(Get-Set $Type)
        if ($sets.Name -contains 'ByObject' -and $Impact) {
            $Type.GetCustomAttributes([System.Management.Automation.CmdletAttribute], $true).DefaultParameterSetName | Should -Be 'ByObject'
        }
    }
    It 'has at most four positions a set and none twice' {
        foreach ($set in Get-Set $Type) {
            $positions = @($set.Parameter.Attribute.Position | Where-Object { $_ -ge 0 })
            $positions.Count | Should -BeLessOrEqual 4
            @($positions | Select-Object -Unique).Count | Should -Be $positions.Count
        }
    }
    It 'takes at most one thing by value a set, and then rehydrates it' {
        foreach ($set in Get-Set $Type) {
            $values = @($set.Parameter | Where-Object { $_.Attribute.ValueFromPipeline })
            $values.Count | Should -BeLessOrEqual 1
            foreach ($value in $values) {
                $value.Name | Should -Be 'InputObject'
                $value.Property.GetCustomAttributes([BlockStorage.Commands.ObjectTransformationAttribute], $true) | Should -Not -BeNullOrEmpty
            }
        }
    }
    It 'binds only identity by property name, except what makes a new thing' {
        $byName = @(Get-Declared $Type | Where-Object { $_.Attribute.ValueFromPipelineByPropertyName -and $_.Set -ne 'Record' })
        $byName.Name | Where-Object { $_ -notin 'Name', 'Id', 'Volume', 'Pool', 'Server' } | Should -BeNullOrEmpty
        Get-Declared $Type | Where-Object Set -EQ 'ByObject' | Where-Object { $_.Attribute.ValueFromPipelineByPropertyName } | Should -BeNullOrEmpty
    }
    It 'takes secrets only as PSCredential' {
        Get-Declared $Type | Where-Object Name -Match 'Password|Secret|Key$' | Should -BeNullOrEmpty
        foreach ($credential in Get-Declared $Type | Where-Object Name -Match 'Credential|Chap$' | Where-Object Name -NotMatch '^(No|Clear)') {
            $credential.Property.PropertyType | Should -Be ([pscredential])
            $credential.Property.GetCustomAttributes([System.Management.Automation.CredentialAttribute], $true) | Should -Not -BeNullOrEmpty
        }
    }
}

Describe 'Every changing cmdlet: <Name>' -ForEach $changing {
    It 'asks with the impact of the table' {
        $attribute = $Type.GetCustomAttributes([System.Management.Automation.CmdletAttribute], $true)[0]
        $attribute.SupportsShouldProcess | Should -BeTrue
        "$($attribute.ConfirmImpact)" | Should -Be $Impact
    }
    It 'has PassThru exactly where it is silent without' {
        $emits = $Cmdlet.Verb -in 'New', 'Copy', 'Publish', 'Connect', 'Remove', 'Disconnect', 'Repair', 'Stop'
        $Cmdlet.Parameters.ContainsKey('PassThru') | Should -Be (-not $emits)
    }
}

Describe 'Every reading cmdlet: <Name>' -ForEach $reading {
    It 'asks nothing' {
        $Type.GetCustomAttributes([System.Management.Automation.CmdletAttribute], $true).SupportsShouldProcess | Should -BeFalse
        $Cmdlet.Verb | Should -BeIn 'Get', 'Test', 'Find', 'Wait'
    }
}

Describe 'The parameters of all cmdlets together' {
    # An array beside a single value is the same type, and so is what Set- can set to false beside a switch.
    It 'have one type each' {
        $groups = Get-Command -Module BlockStorage -CommandType Cmdlet | ForEach-Object { Get-Declared $_.ImplementingType } |
            Where-Object Name -NE 'InputObject' | Group-Object Name
        foreach ($group in $groups) {
            $types = $group.Group.Property.PropertyType | ForEach-Object {
                $_.IsArray ? $_.GetElementType().FullName : $_ -eq [Nullable[bool]] ? [switch].FullName : $_.FullName
            } | Select-Object -Unique
            @($types).Count | Should -Be 1 -Because "$($group.Name) is $($types -join ', ')"
        }
    }
    It 'tell that they take wildcards where names are looked up' {
        $typed = Get-Command -Module BlockStorage -CommandType Cmdlet | Where-Object { $_.Verb -ne 'New' } |
            ForEach-Object { Get-Declared $_.ImplementingType } | Where-Object Name -In 'Name', 'Volume' | Where-Object { $_.Property.PropertyType.IsArray }
        $typed | Should -Not -BeNullOrEmpty
        foreach ($parameter in $typed) {
            $parameter.Property.GetCustomAttributes([System.Management.Automation.SupportsWildcardsAttribute], $true) |
                Should -Not -BeNullOrEmpty -Because "$($parameter.Property.DeclaringType.Name).$($parameter.Name)"
        }
    }
}

Describe 'The error catalogue' {
    It 'has a unique id, a category, a summary and a next step in each entry' {
        $all = [BlockStorage.BlockErrors]::All
        $all.Count | Should -BeGreaterThan 30
        @($all.Id | Select-Object -Unique).Count | Should -Be $all.Count
        foreach ($entry in $all) {
            [System.Management.Automation.ErrorCategory] $entry.Category | Should -Not -Be 'NotSpecified' -Because $entry.Id
            $entry.NextStep | Should -Not -BeNullOrEmpty -Because $entry.Id
            $entry.Summary | Should -Not -BeNullOrEmpty -Because $entry.Id
        }
    }
}

Describe 'Every output type: <Name>' -ForEach $models {
    It 'is flat and can be written by property' {
        $Type.GetConstructor([type[]]::new(0)) | Should -Not -BeNullOrEmpty
        foreach ($property in $Type.GetProperties()) {
            $property.CanWrite | Should -BeTrue -Because $property.Name
            $element = $property.PropertyType.IsArray ? $property.PropertyType.GetElementType() : $property.PropertyType
            $element = [Nullable]::GetUnderlyingType($element) ?? $element
            $element | Should -BeIn ([string], [long], [int], [bool], [double], [datetime], [BlockStorage.BlockOperationStep]) -Because $property.Name
        }
    }
    It 'has a table and a list view whose properties exist' {
        $views = Get-FormatData -TypeName $Name
        $controls = $views.FormatViewDefinition.Control
        @($controls | Where-Object { $_ -is [System.Management.Automation.TableControl] }).Count | Should -Be 1
        $list = @($controls | Where-Object { $_ -is [System.Management.Automation.ListControl] })
        $list.Count | Should -Be 1
        foreach ($entry in $controls.Rows.Columns.DisplayEntry + $controls.Entries.Items.DisplayEntry) {
            $used = $entry.ValueType -eq 'Property' ? $entry.Value : ([regex]::Matches($entry.Value, '\$_\.(\w+)') | ForEach-Object { $_.Groups[1].Value })
            foreach ($property in $used) { $Type.GetProperty($property) | Should -Not -BeNullOrEmpty -Because "$Name.$property" }
        }
        $shown = @($list[0].Entries.Items | ForEach-Object { $_.Label ?? $_.DisplayEntry.Value })
        $Type.GetProperties().Name | Where-Object { $_ -ne 'SchemaVersion' -and $_ -notin $shown } | Should -BeNullOrEmpty -Because 'a list shows everything'
    }
    It 'has display and key sets whose properties exist' {
        $data = Get-TypeData -TypeName $Name
        $data.DefaultDisplayPropertySet.ReferencedProperties | Should -Not -BeNullOrEmpty
        foreach ($property in @($data.DefaultDisplayPropertySet.ReferencedProperties) + @($data.DefaultKeyPropertySet.ReferencedProperties)) {
            $Type.GetProperty($property) | Should -Not -BeNullOrEmpty -Because $property
        }
        $data.SerializationDepth | Should -Be 2
        $data.TypeConverter | Should -Be ([BlockStorage.Commands.BlockObjectConverter])
    }
    It 'comes back from serialization as itself' {
        $object = $Type::new()
        foreach ($property in $Type.GetProperties() | Where-Object Name -NE 'SchemaVersion') {
            $core = [Nullable]::GetUnderlyingType($property.PropertyType) ?? $property.PropertyType
            $value = switch ($core) {
                ([string]) { "text of $($property.Name)" }
                ([long]) { 9007199254740993 }
                ([int]) { 7 }
                ([bool]) { $true }
                ([double]) { 1.25 }
                ([datetime]) { [datetime]::new(2026, 1, 2, 3, 4, 5, [DateTimeKind]::Utc) }
                ([string[]]) { , [string[]]('one', 'two') }
                ([BlockStorage.BlockOperationStep[]]) { , [BlockStorage.BlockOperationStep[]]@([BlockStorage.BlockOperationStep]@{ Name = 'first'; State = 'done' }) }
            }
            $property.SetValue($object, $value)
        }
        $wire = [System.Management.Automation.PSSerializer]::Deserialize([System.Management.Automation.PSSerializer]::Serialize($object))
        $wire.PSTypeNames[0] | Should -Be "Deserialized.$Name"
        $back = [System.Management.Automation.LanguagePrimitives]::ConvertTo($wire, $Type)
        $back | Should -BeOfType $Type
        $back | ConvertTo-Json -Depth 4 | Should -Be ($object | ConvertTo-Json -Depth 4)
    }
}

Describe 'The manifest' {
    BeforeAll { $data = Import-PowerShellDataFile $env:BLOCKSTORAGE_TEST_MANIFEST }
    It 'is valid and says what the Gallery needs' {
        $tested = Test-ModuleManifest $env:BLOCKSTORAGE_TEST_MANIFEST
        $tested.Version.ToString() | Should -Match '^\d+\.\d+\.\d+$'
        $tested.PrivateData.PSData.Tags | Should -Contain 'Linux'
        $tested.PrivateData.PSData.Tags | Should -Contain 'PSEdition_Core'
        $tested.LicenseUri, $tested.ProjectUri, $tested.ReleaseNotes, $tested.Description | ForEach-Object { $_ | Should -Not -BeNullOrEmpty }
        $data.CompatiblePSEditions | Should -Be 'Core'
    }
    It 'exports exactly the cmdlets of the assembly' {
        $declared = $assembly.GetExportedTypes() | Where-Object { -not $_.IsAbstract } | ForEach-Object {
            $_.GetCustomAttributes([System.Management.Automation.CmdletAttribute], $false) | ForEach-Object { "$($_.VerbName)-$($_.NounName)" }
        }
        ($data.CmdletsToExport | Sort-Object) -join ' ' | Should -Be (($declared | Sort-Object) -join ' ')
        $data.FunctionsToExport.Count + $data.VariablesToExport.Count | Should -Be 0
    }
    It 'exports exactly the aliases of the assembly, none of which shadows a built-in' {
        $declared = $assembly.GetExportedTypes() | ForEach-Object {
            $_.GetCustomAttributes([System.Management.Automation.AliasAttribute], $false).AliasNames
        }
        ($data.AliasesToExport | Sort-Object) -join ' ' | Should -Be (($declared | Sort-Object) -join ' ')
        $builtIn = pwsh -NoProfile -NonInteractive -Command '(Get-Alias).Name; (Get-Command -CommandType Cmdlet, Function).Name'
        $builtIn.Count | Should -BeGreaterThan 200
        $data.AliasesToExport + $data.CmdletsToExport | Where-Object { $_ -in $builtIn } | Should -BeNullOrEmpty
        (Invoke-Shell "'ok'; Import-Module '$env:BLOCKSTORAGE_TEST_MANIFEST' -Force -ErrorAction Stop; 'imported'") | Should -Be 'ok', 'imported'
    }
    It 'passes ScriptAnalyzer with the rules of the Gallery' -Skip:(-not (Get-Module -ListAvailable PSScriptAnalyzer)) {
        Invoke-ScriptAnalyzer -Path $env:BLOCKSTORAGE_TEST_MANIFEST -Settings PSGallery -Severity Warning, Error | Should -BeNullOrEmpty
    }
}

Describe 'The package' {
    BeforeAll { $root = Split-Path $env:BLOCKSTORAGE_TEST_MANIFEST; $files = Get-ChildItem -Recurse -File $root }
    It 'holds one model, no PowerShell stub, no symbols and natives of Linux only' {
        @($files | Where-Object Name -EQ 'BlockStorage.Model.dll').Count | Should -Be 1
        $files | Where-Object Name -In 'System.Management.Automation.dll' | Should -BeNullOrEmpty
        $files | Where-Object Extension -EQ '.pdb' | Should -BeNullOrEmpty
        $rids = (Get-ChildItem "$root/Dependencies/runtimes").Name | Sort-Object
        $rids -join ' ' | Should -Be 'linux-arm64 linux-musl-arm64 linux-musl-x64 linux-x64'
        Get-ChildItem "$root/Dependencies/runtimes/*/native/*" | Should -HaveCount 4
    }
    It 'has assemblies of the version of the manifest' {
        $version = (Import-PowerShellDataFile $env:BLOCKSTORAGE_TEST_MANIFEST).ModuleVersion
        foreach ($dll in $files | Where-Object Name -Like 'BlockStorage.*.dll') {
            [System.Reflection.AssemblyName]::GetAssemblyName($dll.FullName).Version.ToString(3) | Should -Be $version
        }
    }
    It 'shows no foreign type in public signatures' {
        $allowed = '^(System|netstandard|BlockStorage\.(Model|PowerShell)$|Microsoft\.PowerShell)'
        foreach ($type in $assembly.GetExportedTypes()) {
            foreach ($member in $type.GetMembers() | Where-Object { $_ -is [System.Reflection.PropertyInfo] -or $_ -is [System.Reflection.MethodInfo] }) {
                $types = $member -is [System.Reflection.PropertyInfo] ? $member.PropertyType : @($member.ReturnType) + @($member.GetParameters().ParameterType)
                $types.Assembly | ForEach-Object { $_.GetName().Name | Should -Match $allowed }
            }
        }
    }
    It 'makes error records in one class only' {
        $reader = [System.Reflection.PortableExecutable.PEReader]::new([System.IO.File]::OpenRead($assembly.Location))
        try {
            $metadata = [System.Reflection.Metadata.PEReaderExtensions]::GetMetadataReader($reader)
            $tokens = foreach ($handle in $metadata.MemberReferences) {
                $member = $metadata.GetMemberReference($handle)
                if ($metadata.GetString($member.Name) -ne '.ctor' -or $member.Parent.Kind -ne 'TypeReference') { continue }
                $type = $metadata.GetTypeReference([System.Reflection.Metadata.TypeReferenceHandle] $member.Parent)
                if ($metadata.GetString($type.Name) -eq 'ErrorRecord') { [System.Reflection.Metadata.Ecma335.MetadataTokens]::GetToken([System.Reflection.Metadata.EntityHandle] $handle) }
            }
            $tokens | Should -Not -BeNullOrEmpty
            $makers = foreach ($handle in $metadata.MethodDefinitions) {
                $method = $metadata.GetMethodDefinition($handle)
                if ($method.RelativeVirtualAddress -eq 0) { continue }
                $code = [System.Reflection.PortableExecutable.PEReader].GetMethod('GetSectionData', [type[]]@([int])).Invoke($reader, @($method.RelativeVirtualAddress))
                $bytes = [System.Reflection.Metadata.MethodBodyBlock]::Create($code.GetReader()).GetILBytes()
                $hex = [Convert]::ToHexString($bytes)
                foreach ($token in $tokens) {
                    if ($hex.Contains('73' + [Convert]::ToHexString([BitConverter]::GetBytes([int] $token)))) {
                        $metadata.GetString($metadata.GetTypeDefinition($method.GetDeclaringType()).Name)
                    }
                }
            }
            $makers | Select-Object -Unique | Should -Be 'ErrorRecords'
        }
        finally { $reader.Dispose() }
    }
}
