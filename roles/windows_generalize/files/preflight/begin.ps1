# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
#
# Comes before the collectors: what they have in common. A collector that fails leaves the others alone.
Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'

$Answers = @{}

function Add-Answer {
    param([string]$Name, [scriptblock]$Collector)
    try {
        $Answers[$Name] = @{ ok = $true; value = (& $Collector) }
    }
    catch {
        $Answers[$Name] = @{ ok = $false; error = $_.Exception.Message }
    }
}

# A key or a file: $true, $false, or an error where it may not be read.
function Test-Present {
    param([string]$Path)
    try {
        $null = Get-Item -LiteralPath $Path -Force
        return $true
    }
    catch [System.Management.Automation.ItemNotFoundException], [System.Management.Automation.DriveNotFoundException] {
        return $false
    }
}

# A value in the registry: there, not there, or not readable.
function Read-Value {
    param([string]$Path, [string]$Name)
    try {
        if (-not (Test-Present -Path $Path)) {
            return @{ present = $false }
        }
        $value = (Get-Item -LiteralPath $Path).GetValue($Name, $null)
        if ($null -eq $value) {
            return @{ present = $false }
        }
        return @{ present = $true; value = $value }
    }
    catch {
        return @{ error = $_.Exception.Message }
    }
}

# The names of the keys below a key; none where it is not there.
function Read-KeyName {
    param([string]$Path)
    if (Test-Present -Path $Path) {
        (Get-Item -LiteralPath $Path).GetSubKeyNames()
    }
}
