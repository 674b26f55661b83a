# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
#
# Waits for the end of a Sysprep that was started before, when the session that did was lost.
Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'

Add-Answer -Name 'sysprep' -Collector {
    $report = New-Report
    $report.started = $true
    Wait-Sysprep -Report $report
    $report
}
