# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
#
# Encryption, space, and what the first boot on Azure needs of the CD-ROM.
Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'

Add-Answer -Name 'encryption' -Collector {
    $class = @{ Namespace = 'root\cimv2\Security\MicrosoftVolumeEncryption'; ClassName = 'Win32_EncryptableVolume' }
    try {
        $found = @(Get-CimInstance @class)
    }
    catch [Microsoft.Management.Infrastructure.CimException] {
        # Where BitLocker is no part of this Windows, the namespace or the class is missing. All else is an error.
        if ('InvalidNamespace', 'InvalidClass' -notcontains [string]$_.Exception.NativeErrorCode) {
            throw
        }
        return @{ available = $false; system_drive = $env:SystemDrive; volumes = @() }
    }
    $volumes = foreach ($volume in $found) {
        $conversion = Invoke-CimMethod -InputObject $volume -MethodName 'GetConversionStatus'
        if ($conversion.ReturnValue -ne 0) {
            throw 'GetConversionStatus failed for a volume; it may be locked.'
        }
        @{
            drive = [string]$volume.DriveLetter
            conversion_status = $conversion.ConversionStatus
            protection_status = $volume.ProtectionStatus
        }
    }
    @{ available = $true; system_drive = $env:SystemDrive; volumes = @($volumes) }
}

Add-Answer -Name 'disk' -Collector {
    $disk = Get-CimInstance -ClassName Win32_LogicalDisk | Where-Object { $_.DeviceID -eq $env:SystemDrive }
    @{ free_bytes = $disk.FreeSpace; size_bytes = $disk.Size }
}

Add-Answer -Name 'removable_storage' -Collector {
    $policies = 'HKLM:\SOFTWARE\Policies\Microsoft\Windows\RemovableStorageDevices'
    # The class of CD-ROM drives.
    $drives = Join-Path -Path $policies -ChildPath '{53f56308-b6bf-11d0-94f2-00a0c91efb8b}'
    @{
        cdrom_start = Read-Value -Path 'HKLM:\SYSTEM\CurrentControlSet\Services\cdrom' -Name 'Start'
        deny_all = Read-Value -Path $policies -Name 'Deny_All'
        cdrom_deny_read = Read-Value -Path $drives -Name 'Deny_Read'
    }
}
