# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
#
# Files and folders that are there, of each pattern. What is a link to elsewhere is left out.
Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'

function Find-Path {
    param([string]$Pattern)
    try {
        Get-Item -Path $Pattern -Force | Where-Object {
            ($_.Attributes -band [IO.FileAttributes]::ReparsePoint) -eq 0
        } | ForEach-Object { @{ path = $_.FullName } }
    }
    catch [System.Management.Automation.ItemNotFoundException], [System.Management.Automation.DriveNotFoundException] {
    }
    catch {
        @{ error = $_.Exception.Message }
    }
}

Add-Answer -Name 'files' -Collector {
    $list = 'HKLM:\SOFTWARE\Microsoft\Windows NT\CurrentVersion\ProfileList'
    $folders = foreach ($sid in Read-KeyName -Path $list) {
        $folder = [string](Get-Item -LiteralPath (Join-Path -Path $list -ChildPath $sid)).GetValue('ProfileImagePath', '')
        if ($folder) {
            [WildcardPattern]::Escape($folder)
        }
    }
    $found = foreach ($pattern in $Files) {
        $expanded = if ($pattern.StartsWith('~\')) {
            $below = $pattern.Substring(2)
            $folders | ForEach-Object { Join-Path -Path $_ -ChildPath $below }
        }
        else {
            [Environment]::ExpandEnvironmentVariables($pattern)
        }
        $items = @($expanded | ForEach-Object { Find-Path -Pattern $_ })
        @{
            pattern = $pattern
            paths = @($items | Where-Object { $_.ContainsKey('path') } | ForEach-Object { $_.path })
            errors = @($items | Where-Object { $_.ContainsKey('error') } | ForEach-Object { $_.error })
        }
    }
    @{ matches = @($found) }
}
