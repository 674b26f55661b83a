# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
#
# How accounts, WinRM's listeners and event logs are removed.
Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'

function Remove-Account {
    param([string]$Sid)
    Get-LocalUser | Where-Object { $_.SID.Value -eq $Sid } | Remove-LocalUser
}

function Remove-Profile {
    param([string]$Sid)
    Get-CimInstance -ClassName 'Win32_UserProfile' | Where-Object { $_.SID -eq $Sid } | Remove-CimInstance
}

function Remove-Listener {
    param([string]$Name)
    $address, $transport = $Name.Split('+')
    Remove-WSManInstance -ResourceURI 'winrm/config/Listener' -SelectorSet @{ Address = $address; Transport = $transport }
}

function Remove-Certificate {
    param([string]$Thumbprint)
    $path = Join-Path -Path 'Cert:\LocalMachine\My' -ChildPath $Thumbprint
    if (Test-Present -Path $path) {
        Remove-Item -Path $path -DeleteKey -Force
    }
}

function Clear-Log {
    param([string]$Name)
    [Diagnostics.Eventing.Reader.EventLogSession]::GlobalSession.ClearLog($Name)
}
