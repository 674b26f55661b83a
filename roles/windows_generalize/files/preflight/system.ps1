# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
#
# Which Windows this is, where it came from, and what it belongs to.
Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'

Add-Answer -Name 'system' -Collector {
    $windows = Get-CimInstance -ClassName Win32_OperatingSystem
    $computer = Get-CimInstance -ClassName Win32_ComputerSystem
    @{
        caption = $windows.Caption
        build = [int]::Parse($windows.BuildNumber)
        product_type = $windows.ProductType
        sku = $windows.OperatingSystemSKU
        domain_role = $computer.DomainRole
        part_of_domain = $computer.PartOfDomain
        domain = [string]$computer.Domain
        system_root = $env:SystemRoot
    }
}

Add-Answer -Name 'firmware' -Collector {
    @{
        uuid = (Get-CimInstance -ClassName Win32_ComputerSystemProduct).UUID
    }
}

Add-Answer -Name 'upgrade' -Collector {
    $setup = 'HKLM:\SYSTEM\Setup'
    @{
        upgrade_key = Test-Present -Path (Join-Path -Path $setup -ChildPath 'Upgrade')
        source_os = @(Read-KeyName -Path $setup | Where-Object { $_ -like 'Source OS*' })
        windows_old = Test-Present -Path (Join-Path -Path $env:SystemDrive -ChildPath 'Windows.old')
    }
}

Add-Answer -Name 'join' -Collector {
    @{
        entra = @(Read-KeyName -Path 'HKLM:\SYSTEM\CurrentControlSet\Control\CloudDomainJoin\JoinInfo')
    }
}

Add-Answer -Name 'licensing' -Collector {
    $service = Get-CimInstance -ClassName SoftwareLicensingService -Property RemainingWindowsReArmCount
    $platform = 'HKLM:\SOFTWARE\Microsoft\Windows NT\CurrentVersion\SoftwareProtectionPlatform'
    @{
        rearms_left = $service.RemainingWindowsReArmCount
        skip_rearm = Read-Value -Path $platform -Name 'SkipRearm'
    }
}
