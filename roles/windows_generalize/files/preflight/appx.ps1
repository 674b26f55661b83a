# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
#
# Store packages of all accounts, and those that new accounts get.
Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'

Add-Answer -Name 'appx' -Collector {
    foreach ($name in 'Get-AppxPackage', 'Get-AppxProvisionedPackage') {
        if (-not (Get-Command -Name $name -ErrorAction SilentlyContinue)) {
            return @{ available = $false; packages = @(); provisioned = @() }
        }
    }
    $types = 'Main', 'Bundle'
    $packages = foreach ($package in Get-AppxPackage -AllUsers -PackageTypeFilter $types) {
        # Windows 8.1 does not know the property.
        $signature = ''
        if ($package.PSObject.Properties['SignatureKind']) {
            $signature = [string]$package.SignatureKind
        }
        $users = foreach ($user in $package.PackageUserInformation) {
            $name = [string]$user.UserSecurityId.Username
            if (-not $name) {
                $name = [string]$user.UserSecurityId.Sid
            }
            @{ user = $name; state = [string]$user.InstallState }
        }
        @{
            name = $package.Name
            full_name = $package.PackageFullName
            family = $package.PackageFamilyName
            version = [string]$package.Version
            bundle = $package.IsBundle
            framework = $package.IsFramework
            resource_package = $package.IsResourcePackage
            signature = $signature
            location = [string]$package.InstallLocation
            users = @($users)
        }
    }
    $provisioned = Get-AppxProvisionedPackage -Online | ForEach-Object { @{ package_name = $_.PackageName } }
    @{ available = $true; packages = @($packages); provisioned = @($provisioned) }
}

Add-Answer -Name 'appx_staging' -Collector {
    @{
        names = @(Read-KeyName -Path 'HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion\AppModel\StagingInfo')
    }
}
