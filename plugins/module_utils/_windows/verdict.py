# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What became of a machine on which Sysprep was started.

Judged by what was read on the machine and by what Azure says of its power alone. How the connection ended is
no evidence: it breaks when all is well, and holds when Sysprep has failed. Only the four marks together are
success.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ansible_collections.goldenimage.azure.plugins.module_utils._windows import image_state as states
from ansible_collections.goldenimage.azure.plugins.module_utils._windows.markers import (
    Markers,
    read_markers,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._windows.panther_collected import (
    diagnose_collected,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._windows.preflight_facts import (
    Facts,
    UnknownFactError,
)

#: All four marks are there, and Sysprep is gone.
SUCCESS = "success"
#: Generalizing broke off, or an earlier run's did.
DAMAGED = "damaged"
#: Clean-up has begun, or some of the marks are there and others are not.
HALF_WAY = "half-way"
#: Sysprep did not begin: the machine is as it was.
REFUSED = "refused"
#: Sysprep or SetupHost.exe is at work.
RUNNING = "running"
#: Nothing was heard that would tell.
SILENT = "silent"
VERDICTS = (SUCCESS, DAMAGED, HALF_WAY, REFUSED, RUNNING, SILENT)

_NEXT = {
    SUCCESS: "The machine may be captured once it is off. Do not start it.",
    DAMAGED: "Go back to the backup; running Sysprep again on this machine does not repair it.",
    HALF_WAY: "Go back to the backup; running Sysprep again on this machine does not repair it.",
    REFUSED: "The machine is as it was: remove the cause and run Sysprep again.",
    # A process of a session over WinRM or SSH ends with the session, and no task outlives its own.
    RUNNING: (
        "Look whether sysprep.exe or SetupHost.exe is there still: Windows may have ended it with the "
        "session that started it. As long as one is, wait; once none is and the marks of success are not "
        "there, go back to the backup. Do not restart or capture the machine."
    ),
    SILENT: "Do not capture the machine. Read the marks on it, or on its disk, before anything else.",
}


#: Azure's words for a machine that does not run.
_OFF = ("stopped", "deallocated")


class _Run(NamedTuple):
    """What the collector `sysprep` tells; None for each thing that it does not."""

    started: bool | None
    working: bool | None
    overdue: bool
    trouble: str


def judge(collected: object, power: object = None) -> dict[str, Any]:
    """The verdict on a machine.

    `collected`: what the supervising script returned, as :class:`Facts` takes it, or None when nothing came
    back; `power`: the machine's power state by Azure, for instance "stopped". Result: documented in the
    filter sysprep_verdict. Never raises.
    """
    facts = Facts(collected)
    markers, run = read_markers(facts), _read_run(facts)
    diagnosis = diagnose_collected(facts, markers.image_state)
    verdict, why = _judge(markers, run, diagnosis)
    said = [why]
    if verdict == SILENT and isinstance(power, str) and power:
        said.append(f"Azure says that the machine is {power}, which proves nothing.")
    if verdict == RUNNING and run.overdue:
        said.append("The deadline has passed.")
    if verdict == SUCCESS and power not in _OFF:
        said.append(_power_off_trouble(facts))
    said.append(_advice(verdict, diagnosis))
    return {
        "verdict": verdict,
        "msg": " ".join(filter(None, said)),
        "next_step": _NEXT[verdict],
        "overdue": verdict == RUNNING and run.overdue,
        "markers": [marker._asdict() for marker in markers.each],
        "image_state": markers.image_state,
        "phases": _phases(facts),
        "power": power if isinstance(power, str) else "",
        "diagnosis": diagnosis or {},
    }


def _advice(verdict: str, diagnosis: Mapping[str, Any] | None) -> str:
    """What to do: as the log tells it where it tells why, else as the verdict alone calls for."""
    if diagnosis and verdict in (DAMAGED, HALF_WAY, REFUSED):
        if diagnosis["outcome"] == "failed":
            return str(diagnosis["msg"])
        if diagnosis["title"]:
            return f"{diagnosis['title']}. {diagnosis['remedy']}"
    return _NEXT[verdict]


def _read_run(facts: Facts) -> _Run:
    try:
        run = facts.of("sysprep")
        started, working = run.flag("started"), bool(run.texts("running"))
        trouble = ""
        if not started:
            trouble = "the session is SYSTEM's" if run.flag("as_system") else "another Sysprep is running"
        return _Run(started, working, run.flag("deadline_passed"), trouble)
    except UnknownFactError as error:
        return _Run(None, None, False, str(error))


def _phases(facts: Facts) -> list[str]:
    """Each ImageState that was seen while Sysprep was waited for, and after how many seconds first."""
    try:
        states_seen = facts.of("sysprep").nodes("states")
        return [f"{each.name('state')} after {each.count('seconds')} s" for each in states_seen]
    except UnknownFactError:
        return []


def _power_off_trouble(facts: Facts) -> str:
    """Why the machine may not power off by itself; "" where it was told to."""
    try:
        if facts.of("power_off").flag("scheduled"):
            return ""
        why = "Windows did not take the order to power off"
    except UnknownFactError as error:
        why = str(error)
    return f"It may not power off by itself: {why}. Power it off then, and do not restart it."


def _judge(markers: Markers, run: _Run, diagnosis: Mapping[str, Any] | None) -> tuple[str, str]:
    if run.working:
        return RUNNING, "Sysprep or SetupHost.exe is at work."
    if markers.complete:
        return SUCCESS, "All four marks of success are there."
    if run.started is False and markers.image_state in (states.COMPLETE, ""):
        return REFUSED, f"Sysprep was not started: {run.trouble}."
    if run.started is None:
        return SILENT, f"Nothing tells what Sysprep did: {run.trouble}."
    return _after_a_run(markers, diagnosis)


def _after_a_run(markers: Markers, diagnosis: Mapping[str, Any] | None) -> tuple[str, str]:
    """The verdict where Sysprep was started, is gone, and has not left all of the marks."""
    state = markers.image_state
    missing, unknown = ", ".join(markers.missing), ", ".join(markers.unknown)
    if state == states.UNDEPLOYABLE:
        return DAMAGED, f"ImageState is {state} and Sysprep is gone: generalizing broke off."
    if state in (states.SPECIALIZED, states.SPECIALIZED_FOR_AUDIT):
        return HALF_WAY, f"ImageState is {state}: clean-up has begun, and generalizing has not ended."
    if state == states.COMPLETE:
        return _unchanged(markers, diagnosis)
    if missing and state:
        return HALF_WAY, f"ImageState is {state}, but these marks of success are missing: {missing}."
    return SILENT, f"These marks could not be read: {unknown}."


def _unchanged(markers: Markers, diagnosis: Mapping[str, Any] | None) -> tuple[str, str]:
    """The verdict where ImageState is as if Sysprep had never begun, which has to fit all else."""
    held = ", ".join(marker.name for marker in markers.each if marker.held)
    unknown = ", ".join(markers.unknown)
    changed = diagnosis["machine_changed"] if diagnosis and diagnosis["outcome"] == "failed" else "no"
    if held:
        return HALF_WAY, f"ImageState is {states.COMPLETE}, but these marks of success are there: {held}."
    if changed in ("yes", "by-earlier-run"):
        return DAMAGED, f"ImageState is {states.COMPLETE}, but the log tells that the machine was changed."
    if changed == "partly":
        return HALF_WAY, f"ImageState is {states.COMPLETE}, but the log tells that clean-up has begun."
    if unknown:
        return SILENT, f"ImageState is {states.COMPLETE}, but other marks could not be read: {unknown}."
    return REFUSED, f"ImageState is {states.COMPLETE} and Sysprep is gone: it refused."
