# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
#
# Removes what it is told, one by one. What cannot be removed leaves the others alone.
Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'

Add-Answer -Name 'removed' -Collector {
    $number = 0
    $failed = while ($number -lt $Targets.Count) {
        $target = $Targets[$number]
        try {
            switch ($Kinds[$number]) {
                'account' { $null = Remove-Account -Sid $target }
                'profile' { $null = Remove-Profile -Sid $target }
                'file' { $null = Remove-File -Path $target }
                'key' { $null = Remove-Key -Path $target }
                'value' { $null = Remove-Value -Target $target }
                'listener' { $null = Remove-Listener -Name $target }
                'certificate' { $null = Remove-Certificate -Thumbprint $target }
                'event-log' { $null = Clear-Log -Name $target }
                default { throw 'This script does not know how to remove that.' }
            }
        }
        catch {
            @{ number = $number; error = $_.Exception.Message }
        }
        $number += 1
    }
    @{
        tried = $number
        failed = @($failed)
    }
}
