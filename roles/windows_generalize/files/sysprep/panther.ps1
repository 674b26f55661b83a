# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
#
# The logs of Windows Setup and Sysprep, of each the last part. They may still be open.
Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'

function Read-Tail {
    param([string]$Path)
    $stream = New-Object -TypeName IO.FileStream -ArgumentList $Path, 'Open', 'Read', 'ReadWrite'
    try {
        $length = $stream.Length
        $wanted = [Math]::Min($length, $LogBytes)
        $buffer = New-Object -TypeName 'byte[]' -ArgumentList $wanted
        $null = $stream.Seek($length - $wanted, 'Begin')
        $read = 0
        while ($read -lt $wanted) {
            $more = $stream.Read($buffer, $read, $wanted - $read)
            if ($more -eq 0) {
                break
            }
            $read += $more
        }
        return @{
            path = $Path
            bytes = $length
            content = [Convert]::ToBase64String($buffer, 0, $read)
        }
    }
    finally {
        $stream.Dispose()
    }
}

Add-Answer -Name 'panther' -Collector {
    $files = @()
    foreach ($folder in 'System32\Sysprep\Panther', 'Panther', 'Panther\UnattendGC') {
        $directory = Join-Path -Path $env:SystemRoot -ChildPath $folder
        foreach ($name in 'setupact.log', 'setuperr.log') {
            $path = Join-Path -Path $directory -ChildPath $name
            if (Test-Present -Path $path) {
                $files += Read-Tail -Path $path
            }
        }
    }
    @{
        files = $files
    }
}
