# What makes the MAML that PlatyPS exports read well in a terminal: examples as code, one element a paragraph, short type names.
$mamlSpace = 'http://schemas.microsoft.com/maml/2004/10'
$commandSpace = 'http://schemas.microsoft.com/maml/dev/command/2004/10'
$devSpace = 'http://schemas.microsoft.com/maml/dev/2004/10'

# Paragraphs of Markdown as plain text: lines are joined, except those of lists; marks of code are dropped.
function Get-MamlParagraph ([string] $Markdown) {
    $Markdown.Trim() -split '\r?\n\s*\r?\n' | Where-Object { $_.Trim() } | ForEach-Object {
        $text = $_.Trim() -replace '\[([^\]]+)\]\([^)]+\)', '$1' -replace '`'
        $text -match '(?m)^- ' ? $text : ($text -replace '\s*\r?\n\s*', ' ')
    }
}

function Write-MamlParagraph ([System.Xml.XmlElement] $Parent, [string[]] $Text) {
    $Parent.RemoveAll()
    foreach ($paragraph in $Text) {
        $element = $Parent.OwnerDocument.CreateElement('maml', 'para', $mamlSpace)
        $element.InnerText = $paragraph
        $null = $Parent.AppendChild($element)
    }
}

# The first block of code is the example, what else there is explains it.
function Format-MamlExample ($Element, $Example) {
    $code = [regex]::Match($Example.Remarks, '(?s)```powershell\r?\n(.*?)\r?\n```')
    $before = $Example.Remarks.Substring(0, $code.Index)
    $after = $Example.Remarks.Substring($code.Index + $code.Length)
    $Element.title = "-- $($Example.Title) --"
    Write-MamlParagraph $Element['maml:introduction'] (Get-MamlParagraph $before)
    $Element['dev:code'].InnerText = $code.Groups[1].Value
    # The empty one keeps a line free before the next example.
    Write-MamlParagraph $Element['dev:remarks'] (@(Get-MamlParagraph $after) + '')
}

function Format-Maml ([xml] $Maml, $Helps) {
    $names = [System.Xml.XmlNamespaceManager]::new($Maml.NameTable)
    $names.AddNamespace('maml', $mamlSpace)
    $names.AddNamespace('command', $commandSpace)
    $names.AddNamespace('dev', $devSpace)
    foreach ($command in $Maml.SelectNodes('//command:command', $names)) {
        $help = $Helps | Where-Object Title -EQ $command.SelectSingleNode('command:details/command:name', $names).InnerText
        foreach ($description in $command.SelectNodes('.//maml:description[maml:para] | .//maml:alert', $names)) {
            Write-MamlParagraph $description (Get-MamlParagraph $description.InnerText)
        }
        $examples = $command.SelectNodes('command:examples/command:example', $names)
        for ($index = 0; $index -lt $examples.Count; $index++) { Format-MamlExample $examples[$index] $help.Examples[$index] }
        # The syntax has the names of types as people write them.
        foreach ($value in $command.SelectNodes('command:parameters/command:parameter/command:parameterValue', $names)) {
            $short = $command.SelectSingleNode("command:syntax//command:parameter[maml:name='$($value.ParentNode['maml:name'].InnerText)']/command:parameterValue", $names)
            $value.InnerText = $short.InnerText
        }
        foreach ($parameter in $help.Parameters | Where-Object DefaultValue) {
            $element = $Maml.CreateElement('dev', 'defaultValue', $devSpace)
            $element.InnerText = $parameter.DefaultValue
            $null = $command.SelectSingleNode("command:parameters/command:parameter[maml:name='$($parameter.Name)']", $names).AppendChild($element)
        }
        foreach ($link in $command.SelectNodes('command:relatedLinks/maml:navigationLink', $names)) {
            $address = $link.SelectSingleNode('maml:uri', $names)
            if ($link.SelectSingleNode('maml:linkText', $names).InnerText -eq 'Online Version') { $null = $link.ParentNode.RemoveChild($link) }
            # Links between pages mean nothing in a terminal.
            elseif ($address.InnerText -notmatch '^https?:') { $address.InnerText = '' }
        }
    }
}

function Save-Maml ([xml] $Maml, [string] $Path) {
    $settings = [System.Xml.XmlWriterSettings]@{ Indent = $true; Encoding = [System.Text.UTF8Encoding]::new($false); NewLineChars = "`n" }
    $writer = [System.Xml.XmlWriter]::Create($Path, $settings)
    try { $Maml.Save($writer) } finally { $writer.Dispose() }
}
