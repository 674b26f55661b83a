# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
#
# Event logs that have records, and what WinRM listens with.
Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'

Add-Answer -Name 'event_logs' -Collector {
    # Logs for debugging are not among them, which Windows does not clear while they are on.
    $logs = @(Get-WinEvent -ListLog '*' -ErrorAction SilentlyContinue)
    @{
        listed = $logs.Count
        with_records = @($logs | Where-Object { $_.RecordCount -gt 0 } | ForEach-Object { $_.LogName })
    }
}

Add-Answer -Name 'winrm' -Collector {
    $key = 'HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion\WSMAN\Listener'
    $listeners = foreach ($name in Read-KeyName -Path $key) {
        @{
            name = $name
            thumbprint = Read-Value -Path (Join-Path -Path $key -ChildPath $name) -Name 'certThumbprint'
        }
    }
    $certificates = Get-Item -Path 'Cert:\LocalMachine\My\*' | ForEach-Object {
        @{ thumbprint = $_.Thumbprint; subject = $_.Subject; issuer = $_.Issuer }
    }
    @{
        computer = $env:COMPUTERNAME
        listeners = @($listeners)
        certificates = @($certificates)
    }
}
