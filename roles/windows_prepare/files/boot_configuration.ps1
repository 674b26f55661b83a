# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
#
# Sets one element of an entry of the boot configuration, unless it has the value. %NAME% is the environment's.
[CmdletBinding(SupportsShouldProcess)]
param([string]$Entry, [string]$Name, [string]$Value)
Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'

function Read-Entry {
    param([string]$Of)
    $lines = @(bcdedit.exe /enum $Of /v)
    if ($LASTEXITCODE -ne 0) {
        throw 'bcdedit.exe cannot read the entry.'
    }
    $lines
}

function Find-Value {
    param([string[]]$In, [string]$Of)
    foreach ($line in $In) {
        $words = $line -split '\s+', 2
        if ($words[0] -eq $Of -and $words.Count -eq 2) {
            $words[1].Trim()
        }
    }
}

$wanted = [Environment]::ExpandEnvironmentVariables($Value)
$before = Read-Entry -Of $Entry
$same = @(Find-Value -In $before -Of $Name) -contains $wanted
if ($same) {
    $Ansible.Changed = $false
}
elseif ($Ansible.CheckMode) {
    $Ansible.Changed = $true
}
else {
    $null = bcdedit.exe /set $Entry $Name $wanted
    if ($LASTEXITCODE -ne 0) {
        throw 'bcdedit.exe cannot set the value. Secure Boot protects some of them.'
    }
    # Windows says yes and no in its own language: whether anything has changed shows in the text as a whole.
    $after = Read-Entry -Of $Entry
    $Ansible.Changed = ($before -join ';') -cne ($after -join ';')
}
