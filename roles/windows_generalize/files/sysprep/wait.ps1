# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
#
# How Sysprep is waited for: until neither it nor SetupHost.exe, which may go on after it, is there any more.
Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'

function Get-Working {
    $names = 'sysprep', 'setuphost'
    Get-Process | Where-Object { $names -contains $_.ProcessName } | ForEach-Object { $_.ProcessName }
}

function New-Report {
    @{
        started = $false
        as_system = [Security.Principal.WindowsIdentity]::GetCurrent().IsSystem
        running = @(Get-Working)
        states = @()
        seconds = 0
        deadline_passed = $false
        tag_is_new = $false
    }
}

function Wait-Sysprep {
    param([hashtable]$Report)
    $key = 'HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion\Setup\State'
    $began = [DateTime]::UtcNow
    $last = ''
    $absent = 0
    while ($absent -lt 3 -and -not $Report.deadline_passed) {
        Start-Sleep -Seconds $PollSeconds
        $Report.running = @(Get-Working)
        $absent = if ($Report.running.Count -gt 0) { 0 } else { $absent + 1 }
        $Report.seconds = [Math]::Floor(([DateTime]::UtcNow - $began).TotalSeconds)
        $Report.deadline_passed = $Report.seconds -ge $DeadlineSeconds
        $read = Read-Value -Path $key -Name 'ImageState'
        if ($read.ContainsKey('value') -and $read.value -ne $last) {
            $last = $read.value
            $Report.states += @{ seconds = $Report.seconds; state = $last }
        }
    }
    # An older tag was cleared away before Sysprep was started.
    $Report.tag_is_new = Test-Present -Path (Join-Path -Path $env:SystemRoot -ChildPath 'System32\Sysprep\Sysprep_succeeded.tag')
}
