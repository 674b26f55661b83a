# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
#
# Starts Sysprep once, and waits until neither it nor SetupHost.exe, which may go on after it, is there any more.
Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'

function Get-Working {
    $names = 'sysprep', 'setuphost'
    Get-Process | Where-Object { $names -contains $_.ProcessName } | ForEach-Object { $_.ProcessName }
}

Add-Answer -Name 'sysprep' -Collector {
    $folder = Join-Path -Path $env:SystemRoot -ChildPath 'System32\Sysprep'
    $tag = Join-Path -Path $folder -ChildPath 'Sysprep_succeeded.tag'
    $began = [DateTime]::UtcNow
    $answer = @{
        started = $false
        as_system = [Security.Principal.WindowsIdentity]::GetCurrent().IsSystem
        running = @(Get-Working)
        states = @()
        seconds = 0
        deadline_passed = $false
        tag_is_new = $false
    }
    if ($answer.as_system -or $answer.running.Count -gt 0) {
        return $answer
    }
    $program = Join-Path -Path $folder -ChildPath 'Sysprep.exe'
    Start-Process -FilePath $program -ArgumentList $Options -WorkingDirectory $folder
    $answer.started = $true
    $last = ''
    $absent = 0
    while ($absent -lt 3 -and -not $answer.deadline_passed) {
        Start-Sleep -Seconds $PollSeconds
        $answer.running = @(Get-Working)
        $absent = if ($answer.running.Count -gt 0) { 0 } else { $absent + 1 }
        $answer.seconds = [Math]::Floor(([DateTime]::UtcNow - $began).TotalSeconds)
        $answer.deadline_passed = $answer.seconds -ge $DeadlineSeconds
        $read = Read-Value -Path 'HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion\Setup\State' -Name 'ImageState'
        if ($read.ContainsKey('value') -and $read.value -ne $last) {
            $last = $read.value
            $answer.states += @{ seconds = $answer.seconds; state = $last }
        }
    }
    if (Test-Present -Path $tag) {
        $answer.tag_is_new = (Get-Item -LiteralPath $tag -Force).LastWriteTimeUtc -ge $began
    }
    $answer
}
