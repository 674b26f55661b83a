# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
#
# Clears what Windows Setup has left: Sysprep would take a cached answer file, and Azure wants the folder gone.
[CmdletBinding(SupportsShouldProcess)]
param()
Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'

$Ansible.Changed = $false
foreach ($name in 'Panther', 'System32\Sysprep\unattend.xml') {
    $path = Join-Path -Path $env:SystemRoot -ChildPath $name
    if (Test-Path -LiteralPath $path) {
        if (-not $Ansible.CheckMode) {
            Remove-Item -LiteralPath $path -Recurse -Force
        }
        $Ansible.Changed = $true
        $path
    }
}
