# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
#
# Accounts of this machine, their profiles, and whose session this is.
Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'

Add-Answer -Name 'people' -Collector {
    $accounts = Get-LocalUser | ForEach-Object { @{ name = $_.Name; sid = $_.SID.Value } }
    $profiles = Get-CimInstance -ClassName 'Win32_UserProfile' | Where-Object { -not $_.Special } | ForEach-Object {
        @{ sid = $_.SID; path = [string]$_.LocalPath }
    }
    @{
        own_sid = [Security.Principal.WindowsIdentity]::GetCurrent().User.Value
        accounts = @($accounts)
        profiles = @($profiles)
    }
}
