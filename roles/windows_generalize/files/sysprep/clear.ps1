# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
#
# Clears what is left of Windows Setup and of earlier runs: Sysprep would take a cached answer file, Azure wants the
# folder Panther gone, and the tag and the logs that are there afterwards are to be those of the run to come.
[CmdletBinding(SupportsShouldProcess)]
param()
Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'

$Ansible.Changed = $false
$names = @(
    'Panther'
    'System32\Sysprep\Panther\setupact.log'
    'System32\Sysprep\Panther\setuperr.log'
    'System32\Sysprep\unattend.xml'
    'System32\Sysprep\Sysprep_succeeded.tag'
)
foreach ($name in $names) {
    $path = Join-Path -Path $env:SystemRoot -ChildPath $name
    if (Test-Path -LiteralPath $path) {
        if (-not $Ansible.CheckMode) {
            Remove-Item -LiteralPath $path -Recurse -Force
        }
        $Ansible.Changed = $true
        $path
    }
}
