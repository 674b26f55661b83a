# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
#
# Answer files and logs of earlier setups.
Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'

Add-Answer -Name 'leftovers' -Collector {
    $windows = $env:SystemRoot
    $drive = Join-Path -Path $env:SystemDrive -ChildPath '\'
    # Where Windows Setup looks for answer files by itself.
    $answerFiles = @(
        (Join-Path -Path $windows -ChildPath 'Panther\Unattend\Unattend.xml')
        (Join-Path -Path $windows -ChildPath 'Panther\Unattend\Autounattend.xml')
        (Join-Path -Path $windows -ChildPath 'Panther\Unattend.xml')
        (Join-Path -Path $windows -ChildPath 'Panther\Autounattend.xml')
        (Join-Path -Path $windows -ChildPath 'System32\Sysprep\Unattend.xml')
        (Join-Path -Path $windows -ChildPath 'System32\Sysprep\Panther\Unattend.xml')
        (Join-Path -Path $drive -ChildPath 'Unattend.xml')
        (Join-Path -Path $drive -ChildPath 'Autounattend.xml')
    )
    $logs = @(
        (Join-Path -Path $windows -ChildPath 'Panther\setuperr.log')
        (Join-Path -Path $windows -ChildPath 'Panther\UnattendGC\setuperr.log')
        (Join-Path -Path $windows -ChildPath 'System32\Sysprep\Panther\setuperr.log')
    )
    $withErrors = foreach ($log in $logs) {
        if ((Test-Present -Path $log) -and (Get-Item -LiteralPath $log -Force).Length -gt 0) {
            $log
        }
    }
    @{
        answer_files = @($answerFiles | Where-Object { Test-Present -Path $_ })
        unattend_file = Read-Value -Path 'HKLM:\SYSTEM\Setup' -Name 'UnattendFile'
        panther = @($withErrors)
    }
}
