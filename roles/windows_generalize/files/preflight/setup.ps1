# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
#
# What Windows Setup and earlier runs of Sysprep have noted down.
Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'

Add-Answer -Name 'setup' -Collector {
    $setup = 'HKLM:\SYSTEM\Setup'
    $status = 'HKLM:\SYSTEM\Setup\Status\SysprepStatus'
    $state = 'HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion\Setup\State'
    $file = Join-Path -Path $env:SystemRoot -ChildPath 'Setup\State\State.ini'
    $tag = Join-Path -Path $env:SystemRoot -ChildPath 'System32\Sysprep\Sysprep_succeeded.tag'

    $fileState = @{ present = $false }
    if (Test-Present -Path $file) {
        foreach ($line in [IO.File]::ReadAllLines($file)) {
            if ($line -match '^\s*ImageState\s*=\s*(\S+)\s*$') {
                $fileState = @{ present = $true; value = $Matches[1] }
            }
        }
    }
    @{
        image_state = Read-Value -Path $state -Name 'ImageState'
        image_state_file = $fileState
        cleanup_state = Read-Value -Path $status -Name 'CleanupState'
        generalization_state = Read-Value -Path $status -Name 'GeneralizationState'
        setup_type = Read-Value -Path $setup -Name 'SetupType'
        system_setup_in_progress = Read-Value -Path $setup -Name 'SystemSetupInProgress'
        oobe_in_progress = Read-Value -Path $setup -Name 'OOBEInProgress'
        setup_command_line = Read-Value -Path $setup -Name 'CmdLine'
        msdtc_sysprep_in_progress = Read-Value -Path 'HKLM:\SOFTWARE\Microsoft\MSDTC' -Name 'SysprepInProgress'
        succeeded_tag = Test-Present -Path $tag
    }
}
