# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Is this a fully installed Windows on which no Sysprep has begun, and may Sysprep be started from here?

What the values mean: Microsoft's "Windows Setup States", "Sysprep (System Preparation) Overview" and "A
fatal error occurred while trying to sysprep the machine"; what is seen after runs that failed was read in
public reports.
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

_COMPLETE = "IMAGE_STATE_COMPLETE"
_CLEAN_UP_DONE = 2
_GENERALIZATION_DONE = 7

_STATE_MEANS = {
    "IMAGE_STATE_UNDEPLOYABLE": (
        "A phase of Windows Setup or Sysprep is running, or has failed and left the machine broken.",
        "If neither sysprep.exe nor SetupHost.exe runs, restore the machine from a backup or build it anew.",
    ),
    "IMAGE_STATE_GENERALIZE_RESEAL_TO_OOBE": (
        "The machine has been generalized and not been started since.",
        "Capture it as it is, or start it and let Windows Setup finish.",
    ),
    "IMAGE_STATE_SPECIALIZE_RESEAL_TO_OOBE": (
        "Windows Setup did not finish, or an earlier Sysprep stopped between clean-up and generalize.",
        "Restore the machine from a backup, or let Windows Setup finish.",
    ),
    "IMAGE_STATE_GENERALIZE_RESEAL_TO_AUDIT": (
        "The machine has been generalized, and starts in audit mode next.",
        "Start it, and leave audit mode for the out-of-box experience first.",
    ),
    "IMAGE_STATE_SPECIALIZE_RESEAL_TO_AUDIT": (
        "The machine is in audit mode.",
        "Leave audit mode for the out-of-box experience first.",
    ),
}


def _image_state(facts: Facts) -> Iterator[Observation]:
    setup = facts.of("setup")
    registry, file = setup.text_reading("image_state"), setup.text_reading("image_state_file")
    if registry == file == _COMPLETE:
        return
    evidence = f"ImageState is {registry or 'absent'} in the registry and {file or 'absent'} in State.ini."
    for state in (registry, file):
        if state in _STATE_MEANS:
            what, remedy = _STATE_MEANS[state]
            yield Observation(evidence, what=what, remedy=remedy)
            return
    yield Observation(evidence)


def _sysprep_status(facts: Facts) -> Iterator[Observation]:
    setup = facts.of("setup")
    cleanup = setup.integer_reading("cleanup_state")
    generalization = setup.integer_reading("generalization_state")
    if (cleanup, generalization) != (_CLEAN_UP_DONE, _GENERALIZATION_DONE):
        yield Observation(
            f"CleanupState is {_shown(cleanup)} where {_CLEAN_UP_DONE} is usual, "
            f"GeneralizationState is {_shown(generalization)} where {_GENERALIZATION_DONE} is."
        )


def _shown(value: int | str | None) -> str:
    return "absent" if value is None else str(value)


def _setup_in_progress(facts: Facts) -> Iterator[Observation]:
    setup = facts.of("setup")
    numbers = {
        name: setup.integer_reading(value)
        for name, value in (
            ("SetupType", "setup_type"),
            ("SystemSetupInProgress", "system_setup_in_progress"),
            ("OOBEInProgress", "oobe_in_progress"),
        )
    }
    command = setup.text_reading("setup_command_line")
    seen = [f"{name} is {number}" for name, number in numbers.items() if number]
    if command:
        seen.append(f"CmdLine is {command}")
    if seen:
        yield Observation(f"In HKLM\\SYSTEM\\Setup, {', '.join(seen)}.")


def _msdtc(facts: Facts) -> Iterator[Observation]:
    if facts.of("setup").integer_reading("msdtc_sysprep_in_progress"):
        yield Observation("HKLM\\SOFTWARE\\Microsoft\\MSDTC has SysprepInProgress = 1.")


def _running(facts: Facts) -> Iterator[Observation]:
    running = running_programs(facts)
    for program in ("sysprep", "setuphost"):
        if program in running:
            yield Observation(f"A process {program}.exe is running.", subject=program)


def _session(facts: Facts) -> Iterator[Observation]:
    session = facts.of("session")
    user = session.name("user")
    if session.flag("system"):
        yield Observation(f"The session is that of {user}, which is SYSTEM.", subject="system")
    elif not session.flag("elevated"):
        yield Observation(f"The session of {user} is not elevated.", subject="elevation")


def _succeeded_tag(facts: Facts) -> Iterator[Observation]:
    if facts.of("setup").flag("succeeded_tag"):
        yield Observation("There is a Sysprep_succeeded.tag of an earlier run.")


RULES = (
    Rule(
        "image-state",
        ERROR,
        "Windows is not in the state of a fully installed machine.",
        "Let Windows Setup finish, or restore the machine from a backup.",
        "Microsoft: Windows Setup States",
        _image_state,
    ),
    Rule(
        "sysprep-status",
        ERROR,
        "An earlier run of Sysprep, or the setup of this machine, has not ended; Sysprep refuses to "
        "run again.",
        "Restore the machine from a backup, or build it anew. Setting the values back does not repair it.",
        "Microsoft: A fatal error occurred while trying to sysprep the machine",
        _sysprep_status,
    ),
    Rule(
        "setup-in-progress",
        ERROR,
        "Windows Setup is under way, or armed for the next start.",
        "Start the machine and let Windows Setup finish.",
        "LegacyUpdate/LegacyUpdate#307 and images read back by their builders",
        _setup_in_progress,
    ),
    Rule(
        "msdtc-sysprep",
        ERROR,
        "An earlier run of Sysprep stopped in clean-up: the transaction coordinator (MSDTC) was left "
        "half-way.",
        "Restore the machine from a backup. Otherwise install MSDTC anew (msdtc -uninstall, msdtc -install).",
        "Microsoft's blog of the distributed services",
        _msdtc,
    ),
    Rule(
        "sysprep-running",
        ERROR,
        "Sysprep is running already; one at a time is allowed.",
        "Wait for it to end and look at its result.",
        "Microsoft: Sysprep (System Preparation) Overview",
        _running,
    ),
    Rule(
        "session",
        ERROR,
        "Sysprep has to be run by an administrator in an elevated session, never as SYSTEM.",
        "Connect with an administrator's account, without become to SYSTEM and without a scheduled task.",
        "Microsoft: Sysprep (System Preparation) Overview; Running Sysprep as SYSTEM on Windows 11",
        _session,
    ),
    Rule(
        "succeeded-tag",
        WARNING,
        "The mark of an earlier success is there; by itself it proves nothing of the next run.",
        "None is needed: Sysprep deletes it when it begins.",
        "notepad-plus-plus/notepad-plus-plus#13675 (log)",
        _succeeded_tag,
    ),
)
