# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Restarts that are pending and servicing that is under way, each as grave as Sysprep takes it.

Sysprep refuses while the servicing stack has something pending. Renames that are pending are a warning in
its log, and some programs leave them there for ever. Of the others no log was found.
"""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.goldenimage.azure.plugins.module_utils._windows.preflight_facts import (
    Facts,
    running_programs,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._windows.preflight_rule import (
    ERROR,
    WARNING,
    Observation,
    Rule,
)

_RESTART = "Restart the machine, and wait until servicing has ended."
_SERVICING = {
    "cbs_reboot_pending": "Component Based Servicing has the key RebootPending",
    "cbs_reboot_in_progress": "Component Based Servicing has the key RebootInProgress",
    "cbs_packages_pending": "Component Based Servicing has the key PackagesPending",
    "pending_xml": "WinSxS has a pending.xml",
}
_UPDATE = {
    "update_reboot_required": "Windows Update has the key RebootRequired",
    "update_post_reboot": "Windows Update has the key PostRebootReporting",
}
# The worker also comes up where somebody only asks for features or packages, as the collectors do, and stays.
_SERVICING_PROGRAMS = {
    "dism": ERROR,
    "wusa": ERROR,
    "tiworker": WARNING,
    "dismhost": WARNING,
    "msiexec": WARNING,
}
_DISABLED = "disabled"
_MODULES_INSTALLER = "TrustedInstaller"
_APPX = "AppXSvc"


def _servicing(facts: Facts) -> Iterator[Observation]:
    pending = facts.of("restart")
    for name, evidence in _SERVICING.items():
        if pending.flag(name):
            yield Observation(f"{evidence}.", subject=name.replace("_", "-"))
    sessions = pending.integer_reading("cbs_sessions_exclusive")
    if sessions:
        yield Observation(f"SessionsPending has Exclusive = {sessions}.", subject="cbs-sessions")


def _updates(facts: Facts) -> Iterator[Observation]:
    pending = facts.of("restart")
    for name, evidence in _UPDATE.items():
        if pending.flag(name):
            severity = ERROR if name == "update_reboot_required" else WARNING
            yield Observation(f"{evidence}.", subject=name.replace("_", "-"), severity=severity)
    if pending.integer_reading("update_exe_volatile"):
        yield Observation("UpdateExeVolatile is not 0.", subject="update-exe-volatile", severity=WARNING)


def _features(facts: Facts) -> Iterator[Observation]:
    pending = facts.of("restart")
    if pending.integer_reading("server_manager_restart"):
        yield Observation("Server Manager has RestartRequired for roles and features.", subject="features")


def _renames(facts: Facts) -> Iterator[Observation]:
    renames = facts.of("restart").count("file_renames")
    if renames:
        yield Observation(f"PendingFileRenameOperations has {renames} entries.")


def _name(facts: Facts) -> Iterator[Observation]:
    pending = facts.of("restart")
    active, next_name = pending.name("active_name"), pending.name("next_name")
    if active.casefold() != next_name.casefold():
        yield Observation(f"The name {active} becomes {next_name} at the next start.", subject="name")
    for name, value in (("JoinDomain", "join_domain"), ("AvoidSpnSet", "avoid_spn_set")):
        if pending.is_set(value):
            yield Observation(f"Netlogon has {name}.", subject=name)


def _programs(facts: Facts) -> Iterator[Observation]:
    pending = facts.of("restart")
    if pending.flag("installer_in_progress"):
        yield Observation("Windows Installer has the key InProgress.", subject="windows-installer")
    if pending.is_set("dvd_reboot_signal"):
        yield Observation("RunOnce has DVDRebootSignal.", subject="run-once")
    if facts.of("configuration_manager").flag("restart_pending"):
        yield Observation("The client of Configuration Manager says so.", subject="configuration-manager")


def _in_flight(facts: Facts) -> Iterator[Observation]:
    servicing = facts.of("servicing")
    running = running_programs(facts)
    for program, severity in _SERVICING_PROGRAMS.items():
        if program in running:
            yield Observation(f"A process {program}.exe is running.", subject=program, severity=severity)
    reserve = servicing.integer_reading("reserve_active_scenario")
    if reserve:
        yield Observation(f"ReserveManager has ActiveScenario = {reserve}.", subject="reserved-storage")
    if servicing.integer_reading("reserve_attempted_initialization"):
        yield Observation(
            "ReserveManager has TiAttemptedInitialization, which is also seen where nothing is wrong.",
            subject="reserved-storage-initialization",
            severity=WARNING,
        )


def _services(facts: Facts) -> Iterator[Observation]:
    services = facts.of("services")
    for name, code in ((_MODULES_INSTALLER, "0x80080005"), (_APPX, "0x422")):
        service = services.node(name)
        if service.flag("present") and service.text("start_mode").casefold() == _DISABLED:
            yield Observation(f"Service {name} is disabled ({code} in Sysprep's log).", subject=name)
        elif name == _MODULES_INSTALLER and not service.flag("present"):
            yield Observation(f"There is no service {name}.", subject=name)


RULES = (
    Rule(
        "servicing-restart",
        ERROR,
        "Updates or features wait for a restart, and Sysprep refuses to run.",
        _RESTART,
        "Sysprep's own message, as in public logs",
        _servicing,
    ),
    Rule(
        "update-restart",
        ERROR,
        "Windows Update waits for a restart.",
        _RESTART,
        "Microsoft: Prepare a Windows VHD to upload to Azure; Sysprep's own message",
        _updates,
    ),
    Rule(
        "feature-restart",
        ERROR,
        "Roles or features that were added or removed wait for a restart.",
        _RESTART,
        "ansible.windows.win_reboot_info; Azure Image Builder reports of features enabled without a restart",
        _features,
    ),
    Rule(
        "file-renames",
        WARNING,
        "Files are renamed at the next start. Sysprep only warns of it.",
        "Restart the machine once. What stays there after a restart does no harm.",
        "public logs (WinMain: File operations pending); flcdrg/au-packages#28",
        _renames,
    ),
    Rule(
        "name-change",
        WARNING,
        "The machine's name or membership changes at the next start.",
        "Restart the machine.",
        "ansible.windows.win_reboot_info",
        _name,
    ),
    Rule(
        "program-restart",
        WARNING,
        "A program waits for a restart.",
        "Let the installation end and restart the machine.",
        "EUCweb/BIS-F#40",
        _programs,
    ),
    Rule(
        "servicing-in-flight",
        ERROR,
        "Windows is being serviced, or its reserved storage is in use (0x800F0975 in Sysprep's log).",
        "Finish updates, restart, run the task StartComponentCleanup, wait until it has ended, then "
        "try again.",
        "Microsoft: Sysprep error 0x800F0975",
        _in_flight,
    ),
    Rule(
        "servicing-service",
        ERROR,
        "A service that Sysprep needs cannot be started.",
        "Set its start type to manual.",
        "public logs (0x80080005, 0x422)",
        _services,
    ),
)
