# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
#
# Starts Sysprep once, and waits for its end. It is not started as SYSTEM, nor beside another one.
Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'

Add-Answer -Name 'sysprep' -Collector {
    $report = New-Report
    if (-not $report.as_system -and $report.running.Count -eq 0) {
        $folder = Join-Path -Path $env:SystemRoot -ChildPath 'System32\Sysprep'
        $program = Join-Path -Path $folder -ChildPath 'Sysprep.exe'
        Start-Process -FilePath $program -ArgumentList $Options -WorkingDirectory $folder
        $report.started = $true
        Wait-Sysprep -Report $report
    }
    $report
}
