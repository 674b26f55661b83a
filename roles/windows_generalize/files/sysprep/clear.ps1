# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
#
# Clears what is left of Windows Setup and of earlier runs: Sysprep would take a cached answer file, Azure wants the
# folder Panther gone, and the tag that is there afterwards is to be the new one.
[CmdletBinding(SupportsShouldProcess)]
param()
Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'

$Ansible.Changed = $false
foreach ($name in 'Panther', 'System32\Sysprep\unattend.xml', 'System32\Sysprep\Sysprep_succeeded.tag') {
    $path = Join-Path -Path $env:SystemRoot -ChildPath $name
    if (Test-Path -LiteralPath $path) {
        if (-not $Ansible.CheckMode) {
            Remove-Item -LiteralPath $path -Recurse -Force
        }
        $Ansible.Changed = $true
        $path
    }
}
