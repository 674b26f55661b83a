# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
#
# Enables Windows' own rules for Remote Desktop, remote management and ping, and lets the platform's address through.
[CmdletBinding(SupportsShouldProcess)]
param([string]$PlatformAddress, [int]$RemoteDesktopPort, [string]$RemoteDesktopRule)
Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'

$changed = $false

# Groups and rules have these names in every language.
$remoteDesktop = @(Get-NetFirewallRule -Group '@FirewallAPI.dll,-28752')
$remoteManagement = @(Get-NetFirewallRule -Group '@FirewallAPI.dll,-30267')
$ping = @(Get-NetFirewallRule -Name 'FPS-ICMP4-ERQ-In*')
foreach ($rule in $remoteDesktop + $remoteManagement + $ping) {
    if ($rule.Enabled -ne 'True') {
        $changed = $true
        if (-not $Ansible.CheckMode) {
            Set-NetFirewallRule -Name $rule.Name -Enabled 'True'
        }
    }
}

$own = @(
    @{
        Name = 'AzurePlatform-In'
        DisplayName = 'AzurePlatform (inbound)'
        Direction = 'Inbound'
        EdgeTraversalPolicy = 'Allow'
        RemoteAddress = $PlatformAddress
    }
    @{
        Name = 'AzurePlatform-Out'
        DisplayName = 'AzurePlatform (outbound)'
        Direction = 'Outbound'
        RemoteAddress = $PlatformAddress
    }
)
if ($RemoteDesktopPort -ne 3389) {
    # Windows' own rules are for its usual port. The name has the port in it, so that another port gets another rule.
    $own += @{
        Name = $RemoteDesktopRule
        DisplayName = 'Remote Desktop (own port)'
        Direction = 'Inbound'
        Protocol = 'TCP'
        LocalPort = $RemoteDesktopPort
    }
}
$present = @(Get-NetFirewallRule | Select-Object -ExpandProperty Name)
foreach ($rule in $own) {
    if ($present -notcontains $rule.Name) {
        $changed = $true
        if (-not $Ansible.CheckMode) {
            $null = New-NetFirewallRule @rule -Profile 'Any' -Action 'Allow' -Enabled 'True'
        }
    }
}
$Ansible.Changed = $changed
