# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
#
# Powers off in a while, so that the answers get home first, and only where all four marks of success are there.
Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'

Add-Answer -Name 'power_off' -Collector {
    $run = $Answers['sysprep'].value
    $setup = $Answers['setup'].value
    $succeeded = $run.started -and $run.running.Count -eq 0 -and $run.tag_is_new -and
        $setup.succeeded_tag -and
        $setup.image_state.value -eq 'IMAGE_STATE_GENERALIZE_RESEAL_TO_OOBE' -and
        $setup.setup_type.value -eq 2 -and
        $setup.setup_command_line.value -like '*oobe\windeploy.exe'
    if ($succeeded) {
        $null = shutdown.exe /s /f /t $PowerOffSeconds
    }
    @{
        scheduled = $succeeded -and $LASTEXITCODE -eq 0
    }
}
