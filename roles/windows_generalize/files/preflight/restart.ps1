# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
#
# What waits for a restart.
Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'

Add-Answer -Name 'restart' -Collector {
    $current = 'HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion'
    $servicing = Join-Path -Path $current -ChildPath 'Component Based Servicing'
    $update = Join-Path -Path $current -ChildPath 'WindowsUpdate\Auto Update'
    $names = 'HKLM:\SYSTEM\CurrentControlSet\Control\ComputerName'
    $manager = 'HKLM:\SOFTWARE\Microsoft\ServerManager\ServicingStorage\ServerComponentCache'
    $sessions = Join-Path -Path $servicing -ChildPath 'SessionsPending'
    $netlogon = 'HKLM:\SYSTEM\CurrentControlSet\Services\Netlogon'

    $renames = 0
    $session = Get-Item -LiteralPath 'HKLM:\SYSTEM\CurrentControlSet\Control\Session Manager'
    foreach ($name in 'PendingFileRenameOperations', 'PendingFileRenameOperations2') {
        $renames += @($session.GetValue($name, @()) | Where-Object { $_ }).Count
    }
    $active = Get-Item -LiteralPath (Join-Path -Path $names -ChildPath 'ActiveComputerName')
    $next = Get-Item -LiteralPath (Join-Path -Path $names -ChildPath 'ComputerName')
    $signal = Join-Path -Path $current -ChildPath 'RunOnce'
    @{
        cbs_reboot_pending = Test-Present -Path (Join-Path -Path $servicing -ChildPath 'RebootPending')
        cbs_reboot_in_progress = Test-Present -Path (Join-Path -Path $servicing -ChildPath 'RebootInProgress')
        cbs_packages_pending = Test-Present -Path (Join-Path -Path $servicing -ChildPath 'PackagesPending')
        cbs_sessions_exclusive = Read-Value -Path $sessions -Name 'Exclusive'
        pending_xml = Test-Present -Path (Join-Path -Path $env:SystemRoot -ChildPath 'WinSxS\pending.xml')
        update_reboot_required = Test-Present -Path (Join-Path -Path $update -ChildPath 'RebootRequired')
        update_post_reboot = Test-Present -Path (Join-Path -Path $update -ChildPath 'PostRebootReporting')
        update_exe_volatile = Read-Value -Path 'HKLM:\SOFTWARE\Microsoft\Updates' -Name 'UpdateExeVolatile'
        server_manager_restart = Read-Value -Path $manager -Name 'RestartRequired'
        file_renames = $renames
        active_name = $active.GetValue('ComputerName', $null)
        next_name = $next.GetValue('ComputerName', $null)
        join_domain = Read-Value -Path $netlogon -Name 'JoinDomain'
        avoid_spn_set = Read-Value -Path $netlogon -Name 'AvoidSpnSet'
        installer_in_progress = Test-Present -Path (Join-Path -Path $current -ChildPath 'Installer\InProgress')
        dvd_reboot_signal = Read-Value -Path $signal -Name 'DVDRebootSignal'
    }
}
