# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
#
# Servicing, the state of services, and the client of Configuration Manager.
Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'

Add-Answer -Name 'servicing' -Collector {
    $reserve = 'HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion\ReserveManager'
    @{
        reserve_active_scenario = Read-Value -Path $reserve -Name 'ActiveScenario'
        reserve_attempted_initialization = Read-Value -Path $reserve -Name 'TiAttemptedInitialization'
    }
}

Add-Answer -Name 'services' -Collector {
    $wanted = 'TrustedInstaller', 'AppXSvc', 'Sense', 'RdAgent', 'WindowsAzureGuestAgent', 'WindowsAzureTelemetryService'
    $properties = 'Name', 'State', 'StartMode'
    $found = @(Get-CimInstance -ClassName Win32_Service -Property $properties)
    if ($found.Count -eq 0) {
        throw 'Windows names no service at all.'
    }
    $services = @{}
    foreach ($name in $wanted) {
        $services[$name] = @{ present = $false; state = ''; start_mode = '' }
    }
    foreach ($service in $found) {
        if ($wanted -contains $service.Name) {
            $services[$service.Name] = @{
                present = $true
                state = $service.State
                start_mode = $service.StartMode
            }
        }
    }
    $services
}

Add-Answer -Name 'configuration_manager' -Collector {
    if (-not (Test-Present -Path 'HKLM:\SOFTWARE\Microsoft\CCM')) {
        return @{ present = $false; restart_pending = $false }
    }
    $client = @{ Namespace = 'root\ccm\ClientSDK'; ClassName = 'CCM_ClientUtilities' }
    $answer = Invoke-CimMethod @client -MethodName 'DetermineIfRebootPending'
    @{
        present = $true
        restart_pending = ($answer.RebootPending -or $answer.IsHardRebootPending)
    }
}
