# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
#
# Waits until those of the agent's services that exist run: Sysprep runs a provider of the agent.
Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'

Add-Answer -Name 'agent' -Collector {
    $deadline = [DateTime]::UtcNow.AddSeconds($DeadlineSeconds)
    while ($true) {
        $found = @(Get-Service | Where-Object { $Services -contains $_.Name })
        $waiting = @($found | Where-Object { $_.Status -ne 'Running' } | ForEach-Object { $_.Name })
        if ($waiting.Count -eq 0 -or [DateTime]::UtcNow -ge $deadline) {
            break
        }
        Start-Sleep -Seconds $PollSeconds
    }
    @{
        found = @($found | ForEach-Object { $_.Name })
        waiting = $waiting
    }
}
