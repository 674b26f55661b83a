# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
#
# Server roles and features, and what some of them have been set up with.
Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'

Add-Answer -Name 'features' -Collector {
    if (-not (Get-Command -Name 'Get-WindowsFeature' -ErrorAction SilentlyContinue)) {
        return @{ available = $false; installed = @() }
    }
    $installed = Get-WindowsFeature | Where-Object { $_.Installed } | Select-Object -ExpandProperty Name
    @{ available = $true; installed = @($installed) }
}

Add-Answer -Name 'roles' -Collector {
    $hosts = Join-Path -Path $env:SystemRoot -ChildPath 'System32\inetsrv\config\applicationHost.config'
    $web = Test-Present -Path $hosts
    $encrypted = 0
    if ($web) {
        $encrypted = [regex]::Matches([IO.File]::ReadAllText($hosts), '\[enc:').Count
    }
    # -1: not known. A rule asks for it only where the role is installed.
    $switches = -1
    try {
        $switches = @(
            Get-CimInstance -Namespace 'root\virtualization\v2' -ClassName Msvm_VirtualEthernetSwitch
        ).Count
    }
    catch [Microsoft.Management.Infrastructure.CimException] {
        $switches = -1
    }
    $clients = -1
    if (Get-Command -Name 'Get-NpsRadiusClient' -ErrorAction SilentlyContinue) {
        $clients = @(Get-NpsRadiusClient).Count
    }
    # Windows Deployment Services shares its images once it is initialized.
    $shares = @(Get-CimInstance -ClassName Win32_Share -Property Name | Where-Object { $_.Name -eq 'REMINST' })
    @{
        iis_configuration = $web
        iis_encrypted_values = $encrypted
        wds_share = $shares.Count -gt 0
        virtual_switches = $switches
        radius_clients = $clients
    }
}
