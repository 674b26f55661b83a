# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Every trace on a Windows machine, in the order in which they are removed.

Where programs keep what: their documentation, and Windows installations as their users describe them. None
of it was tried on a Windows.
"""

from __future__ import annotations

from ansible_collections.goldenimage.azure.plugins.module_utils._windows.preflight_facts import Facts
from ansible_collections.goldenimage.azure.plugins.module_utils._windows.trace import (
    HTTPS,
    SSH,
    Accounts,
    EventLogs,
    Files,
    Listeners,
    Session,
    Trace,
    UserKeys,
    Values,
)

_EXPLORER = "Software\\Microsoft\\Windows\\CurrentVersion\\Explorer"
_WINLOGON = "HKLM:\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion\\Winlogon"
_LOGON_UI = "HKLM:\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Authentication\\LogonUI"


def _over_https(session: Session) -> str:
    """The session comes through such a listener."""
    if session.transport == HTTPS:
        return "this session comes through WinRM over HTTPS, and would end before its result is home"
    return ""


def _over_ssh(session: Session) -> str:
    """The session comes over SSH."""
    if session.transport == SSH:
        return "this session comes over SSH, and Ansible could not log in for the next task"
    return ""


def _used_by_sysprep(facts: Facts, path: str) -> str:
    """Whether Sysprep itself will take this answer file: the registry names it."""
    named = facts.of("values").text_reading("unattend_file") or ""
    if named.strip('" ').casefold() == path.casefold():
        return "Sysprep takes the answer file that the registry names"
    return ""


TRACES: tuple[Trace, ...] = (
    Trace(
        "build-accounts",
        "Accounts the image was built with",
        "An account with a known password in every machine is a way into all of them.",
        (Accounts(),),
    ),
    Trace(
        "powershell-history",
        "Histories and transcripts of PowerShell",
        "They show what people typed, passwords included.",
        (
            Files(
                (
                    "~\\AppData\\Roaming\\Microsoft\\Windows\\PowerShell\\PSReadLine\\*",
                    "~\\Documents\\PowerShell_transcript.*",
                    # In the day's folder. Not "*": nobody may look into Windows' own links there (My Music).
                    "~\\Documents\\20??????\\PowerShell_transcript.*",
                )
            ),
        ),
    ),
    Trace(
        "run-history",
        "What people ran, opened and searched for",
        "The lists name files, hosts and programs of whoever built the image.",
        (
            UserKeys(
                (
                    f"{_EXPLORER}\\RunMRU",
                    f"{_EXPLORER}\\TypedPaths",
                    f"{_EXPLORER}\\RecentDocs",
                    f"{_EXPLORER}\\WordWheelQuery",
                    f"{_EXPLORER}\\ComDlg32",
                    "Software\\Microsoft\\Internet Explorer\\TypedURLs",
                )
            ),
            Files(
                (
                    "~\\AppData\\Roaming\\Microsoft\\Windows\\Recent\\*.lnk",
                    "~\\AppData\\Roaming\\Microsoft\\Windows\\Recent\\AutomaticDestinations\\*",
                    "~\\AppData\\Roaming\\Microsoft\\Windows\\Recent\\CustomDestinations\\*",
                )
            ),
        ),
        severity="warning",
    ),
    Trace(
        "remote-desktop-history",
        "Machines that people connected to",
        "The lists name hosts and accounts of the build network.",
        (
            UserKeys(
                (
                    "Software\\Microsoft\\Terminal Server Client\\Default",
                    "Software\\Microsoft\\Terminal Server Client\\Servers",
                )
            ),
            Files(("~\\Documents\\Default.rdp", "~\\.ssh\\known_hosts*")),
        ),
        severity="warning",
    ),
    Trace(
        "cached-credentials",
        "Stored credentials of accounts",
        "Windows' credential manager keeps passwords, which whoever has the image may get at.",
        (
            Files(
                (
                    "~\\AppData\\Local\\Microsoft\\Credentials\\*",
                    "~\\AppData\\Roaming\\Microsoft\\Credentials\\*",
                    "~\\AppData\\Local\\Microsoft\\Vault\\*",
                    "~\\AppData\\Roaming\\Microsoft\\Vault\\*",
                )
            ),
        ),
    ),
    Trace(
        "cloud-credentials",
        "Cloud, registry and version control credentials",
        "Whoever has the image could act as their owner.",
        (
            Files(
                (
                    "~\\.azure\\accessTokens.json",
                    "~\\.azure\\azureProfile.json",
                    "~\\.azure\\msal_*",
                    "~\\.azure\\service_principal_entries.*",
                    "~\\.Azure\\AzureRmContext.json",
                    "~\\.aws\\credentials",
                    "~\\.docker\\config.json",
                    "~\\.kube\\config",
                    "~\\.git-credentials",
                    "~\\_netrc",
                )
            ),
        ),
    ),
    Trace(
        "ssh-keys",
        "Keys of the SSH server, and keys that may log in",
        "All machines of the image would share the host keys, and owners of the others could log in to all.",
        (
            Files(
                (
                    "%ProgramData%\\ssh\\ssh_host_*_key*",
                    "%ProgramData%\\ssh\\administrators_authorized_keys",
                    "~\\.ssh\\authorized_keys*",
                    "~\\.ssh\\id_*",
                )
            ),
        ),
        kept=_over_ssh,
    ),
    Trace(
        "winrm-certificates",
        "WinRM's listeners over HTTPS and their certificates",
        "All machines of the image would share the key, which is in the build machine's name.",
        (Listeners(),),
        kept=_over_https,
    ),
    Trace(
        "auto-logon-password",
        "Password of the automatic logon",
        "It stands in the registry in plain text.",
        (Values((f"{_WINLOGON}\\DefaultPassword", f"{_WINLOGON}\\AltDefaultPassword")),),
    ),
    Trace(
        "last-logon",
        "Who logged on last",
        "The logon screen of every machine would show the name.",
        (
            Values(
                (
                    f"{_LOGON_UI}\\LastLoggedOnUser",
                    f"{_LOGON_UI}\\LastLoggedOnSAMUser",
                    f"{_LOGON_UI}\\LastLoggedOnUserSID",
                    f"{_LOGON_UI}\\LastLoggedOnDisplayName",
                    f"{_WINLOGON}\\LastUsedUsername",
                )
            ),
        ),
        severity="warning",
    ),
    Trace(
        "answer-files",
        "Answer files",
        "They hold passwords, and Sysprep takes them again. One that the registry names stays, for this "
        "Sysprep takes it; in Panther and as Sysprep\\unattend.xml it has to go, for Azure wants them empty.",
        (
            Files(
                (
                    "%SystemRoot%\\System32\\Sysprep\\Panther\\*nattend*.xml",
                    "%SystemRoot%\\System32\\Sysprep\\*nattend*.xml",
                    "%SystemRoot%\\Panther\\*nattend*.xml",
                    "%SystemRoot%\\Panther\\Unattend\\*.xml",
                    "%SystemDrive%\\*nattend.xml",
                ),
                _used_by_sysprep,
            ),
        ),
    ),
    Trace(
        "extension-settings",
        "Settings and downloads of VM extensions",
        "They were meant for the build machine; protected settings and scripts can hold secrets.",
        (
            Files(
                (
                    "%SystemDrive%\\Packages\\Plugins\\*\\*\\RuntimeSettings\\*",
                    "%SystemDrive%\\Packages\\Plugins\\*\\*\\Status\\*",
                    "%SystemDrive%\\Packages\\Plugins\\Microsoft.Compute.CustomScriptExtension\\*\\Downloads\\*",
                )
            ),
        ),
        severity="warning",
    ),
    Trace(
        "crash-dumps",
        "Crash dumps and error reports",
        "They hold what was in memory, passwords included.",
        (
            Files(
                (
                    "%SystemRoot%\\MEMORY.DMP",
                    "%SystemRoot%\\Minidump\\*",
                    "%SystemRoot%\\LiveKernelReports\\*.dmp",
                    "%ProgramData%\\Microsoft\\Windows\\WER\\ReportArchive\\*",
                    "%ProgramData%\\Microsoft\\Windows\\WER\\ReportQueue\\*",
                    "~\\AppData\\Local\\CrashDumps\\*",
                    # Where role windows_prepare has them.
                    "%SystemDrive%\\CrashDumps\\*",
                )
            ),
        ),
    ),
    Trace(
        "recycle-bin",
        "Recycle bin",
        "What was deleted is still there.",
        (Files(("%SystemDrive%\\$Recycle.Bin\\*",)),),
        severity="warning",
    ),
    Trace(
        "temporary-files",
        "Temporary files",
        "Installers leave settings and keys in them. What is in use stays.",
        (Files(("%SystemRoot%\\Temp\\*", "~\\AppData\\Local\\Temp\\*")),),
        severity="warning",
    ),
    Trace(
        "agent-logs",
        "Logs of the Azure VM agent",
        "They tell of the build machine. Off: the agent holds most of them open.",
        (Files(("%SystemDrive%\\WindowsAzure\\Logs\\*",)),),
        severity="info",
        default=False,
    ),
    Trace(
        "update-downloads",
        "Downloads of Windows Update",
        "They make the image larger. Off: Windows Update may be at work, and clears them away by itself.",
        (Files(("%SystemRoot%\\SoftwareDistribution\\Download\\*",)),),
        severity="info",
        default=False,
    ),
    Trace(
        "event-logs",
        "Event logs",
        "They tell when, from where and by whom the machine was built.",
        (EventLogs(),),
        severity="warning",
    ),
)
