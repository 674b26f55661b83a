# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
#
# How files and the registry are removed.
Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'

function Remove-File {
    param([string]$Path)
    if (-not (Test-Present -Path $Path)) {
        return
    }
    if ((Get-Item -LiteralPath $Path -Force).PSIsContainer) {
        # Remove-Item would follow links to folders elsewhere.
        [IO.Directory]::Delete($Path, $true)
    }
    else {
        Remove-Item -LiteralPath $Path -Force
    }
}

function Remove-Key {
    param([string]$Path)
    if (Test-Present -Path $Path) {
        Remove-Item -LiteralPath $Path -Recurse -Force
    }
}

function Remove-Value {
    param([string]$Target)
    $end = $Target.LastIndexOf('\')
    $key = $Target.Substring(0, $end)
    $name = $Target.Substring($end + 1)
    if ((Read-Value -Path $key -Name $name).ContainsKey('value')) {
        Remove-ItemProperty -LiteralPath $key -Name $name -Force
    }
}
