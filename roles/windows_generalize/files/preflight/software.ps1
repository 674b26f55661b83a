# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
#
# What programs have done that Sysprep runs into.
Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'

Add-Answer -Name 'providers' -Collector {
    $external = 'HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion\Setup\SysPrepExternal'
    $entries = foreach ($phase in 'Cleanup', 'Generalize', 'Specialize') {
        $path = Join-Path -Path $external -ChildPath $phase
        if (-not (Test-Present -Path $path)) {
            continue
        }
        $key = Get-Item -LiteralPath $path
        foreach ($name in $key.GetValueNames()) {
            # LIBRARY,FUNCTION
            $entry = [string]$key.GetValue($name, '')
            $library = $entry.Split(',')[0].Trim().Trim([char]34)
            if ($library -and -not [IO.Path]::IsPathRooted($library)) {
                $library = Join-Path -Path $env:SystemRoot -ChildPath (Join-Path -Path 'System32' -ChildPath $library)
            }
            $exists = $library -and (Test-Present -Path $library)
            $hidden = $false
            if ($exists) {
                $attributes = (Get-Item -LiteralPath $library -Force).Attributes
                $hidden = ($attributes -band [IO.FileAttributes]::Hidden) -ne 0
            }
            if (-not $entry) {
                $entry = Join-Path -Path $phase -ChildPath $name
            }
            @{ phase = $phase; entry = $entry; path = $library; exists = $exists; hidden = $hidden }
        }
    }
    @{ entries = @($entries) }
}

Add-Answer -Name 'endpoint' -Collector {
    $protection = 'HKLM:\SOFTWARE\Microsoft\Windows Advanced Threat Protection'
    $status = Join-Path -Path $protection -ChildPath 'Status'
    @{
        onboarding_state = Read-Value -Path $status -Name 'OnboardingState'
        sense_guid = Read-Value -Path $protection -Name 'senseGuid'
    }
}

Add-Answer -Name 'dsc' -Collector {
    $key = 'HKLM:\SOFTWARE\Microsoft\DesiredStateConfiguration'
    $folder = Join-Path -Path $env:SystemRoot -ChildPath 'System32\Configuration'
    $files = 'Current.mof', 'Pending.mof' | ForEach-Object { Join-Path -Path $folder -ChildPath $_ }
    @{
        key = Test-Present -Path $key
        agent_id = Read-Value -Path $key -Name 'AgentId'
        configuration = @($files | Where-Object { Test-Present -Path $_ }).Count -gt 0
    }
}
