# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
#
# Keys of the accounts that are logged on, and values of the machine. Whether a value is there is told, not what it is.
Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'

Add-Answer -Name 'user_keys' -Collector {
    $hives = 'Registry::HKEY_USERS'
    $found = foreach ($hive in Read-KeyName -Path $hives) {
        foreach ($key in $UserKeys) {
            $path = Join-Path -Path (Join-Path -Path $hives -ChildPath $hive) -ChildPath $key
            if (Test-Present -Path $path) {
                $item = Get-Item -LiteralPath $path
                if ($item.ValueCount -gt 0 -or $item.SubKeyCount -gt 0) {
                    @{ key = $key; path = $path }
                }
            }
        }
    }
    @{ found = @($found) }
}

Add-Answer -Name 'values' -Collector {
    $readings = foreach ($each in $Values) {
        $end = $each.LastIndexOf('\')
        $key = $each.Substring(0, $end)
        $name = $each.Substring($end + 1)
        $reading = Read-Value -Path $key -Name $name
        $reading.Remove('value')
        if ($reading.ContainsKey('present') -and $reading.present) {
            $reading.value = '(not told)'
        }
        @{ name = $each; reading = $reading }
    }
    @{
        readings = @($readings)
        unattend_file = Read-Value -Path 'HKLM:\SYSTEM\Setup' -Name 'UnattendFile'
    }
}
