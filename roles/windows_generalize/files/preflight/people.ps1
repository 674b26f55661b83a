# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
#
# The built-in administrator, and profiles.
Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'

Add-Answer -Name 'accounts' -Collector {
    # Whatever its name is in the language of this Windows.
    $found = Get-LocalUser | Where-Object { $_.SID.Value -like 'S-1-5-21-*-500' }
    $accounts = foreach ($account in $found) {
        @{
            name = $account.Name
            enabled = $account.Enabled
            # Windows has no date of a password that is to be changed at the next logon.
            must_change_password = $null -eq $account.PasswordLastSet
            password_expires = $null -ne $account.PasswordExpires
        }
    }
    @{ built_in_administrator = @($accounts) }
}

Add-Answer -Name 'profiles' -Collector {
    $list = 'HKLM:\SOFTWARE\Microsoft\Windows NT\CurrentVersion\ProfileList'
    $entries = foreach ($sid in Read-KeyName -Path $list) {
        $path = [string](Get-Item -LiteralPath (Join-Path -Path $list -ChildPath $sid)).GetValue('ProfileImagePath', '')
        $exists = $false
        if ($path) {
            $exists = Test-Present -Path $path
        }
        @{ sid = $sid; path = $path; exists = $exists }
    }
    @{ entries = @($entries) }
}
