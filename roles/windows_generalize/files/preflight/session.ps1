# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
#
# Who runs this, and what else runs.
Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'

Add-Answer -Name 'session' -Collector {
    $identity = [Security.Principal.WindowsIdentity]::GetCurrent()
    $principal = New-Object -TypeName Security.Principal.WindowsPrincipal -ArgumentList $identity
    $administrators = [Security.Principal.WindowsBuiltInRole]::Administrator
    @{
        user = $identity.Name
        system = $identity.IsSystem
        elevated = $principal.IsInRole($administrators)
        processes = @(Get-Process | Select-Object -ExpandProperty ProcessName | Sort-Object -Unique)
    }
}
