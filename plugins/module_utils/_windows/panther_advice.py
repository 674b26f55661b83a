# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Whether a failed run of Sysprep has changed the machine, and what is to be done then."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.goldenimage.azure.plugins.module_utils._windows import image_state as states
from ansible_collections.goldenimage.azure.plugins.module_utils._windows import panther_events as events

NO, PARTLY, YES, BY_EARLIER_RUN, UNSURE = "no", "partly", "yes", "by-earlier-run", "unknown"

_BACK = "Go back to the backup; running Sysprep again on this machine does not repair it."
NEXT_STEPS = {
    NO: (
        "The machine is as it was: remove the cause and run Sysprep again. "
        "Another cause may show up then, because Sysprep names one at a time."
    ),
    PARTLY: _BACK,
    YES: _BACK,
    BY_EARLIER_RUN: _BACK,
    UNSURE: "Read ImageState before anything else: only with IMAGE_STATE_COMPLETE is the machine as it was.",
}
_BY_STATE = {
    states.COMPLETE: NO,
    states.UNDEPLOYABLE: YES,
    states.GENERALIZED: YES,
    states.GENERALIZED_FOR_AUDIT: YES,
    states.SPECIALIZED: PARTLY,
    states.SPECIALIZED_FOR_AUDIT: PARTLY,
}
_WEIGHT = {NO: 0, PARTLY: 1, YES: 2}


def was_changed(phases: Iterable[str], state: str, *, failed: bool) -> str:
    """NO, PARTLY, YES, BY_EARLIER_RUN or UNSURE.

    `phases`: the one that the log tells, and others that it may be; `state`: ImageState, "" if it was not
    read. Where they differ the worst counts: the change may be an earlier run's.
    """
    phases = list(phases)
    if events.REFUSED in phases:
        return BY_EARLIER_RUN
    known = [one for one in map(_by_phase, phases) if one is not None]
    if not known and not failed and state == states.COMPLETE:
        # Nothing says that it failed, so it may still be about to begin.
        return UNSURE
    if state in _BY_STATE:
        known.append(_BY_STATE[state])
    return max(known, key=lambda one: _WEIGHT[one]) if known else UNSURE


def next_step(outcome: str, changed: str) -> str:
    """What is to be done, as far as the state of the machine decides that."""
    if outcome == "failed":
        return NEXT_STEPS[changed]
    if outcome == "unfinished" or (outcome == "no-run" and changed not in (NO, UNSURE)):
        return f"Wait as long as sysprep.exe or SetupHost.exe runs. When neither does: {NEXT_STEPS[changed]}"
    return ""


def _by_phase(phase: str) -> str | None:
    if phase == events.START or phase.startswith("validate-"):
        return NO
    if phase.startswith(f"{events.CLEANUP}-"):
        return PARTLY
    return None if phase == events.UNKNOWN else YES


def summary(result: Mapping[str, Any]) -> str:
    """The diagnosis in a few sentences, for the message of a failed task."""
    outcome = result["outcome"]
    if outcome == "succeeded":
        return "Sysprep's log says that it succeeded."
    state = f"{result['image_state']}: {result['image_state_meaning']}" if result["image_state"] else ""
    if outcome == "no-run":
        return " ".join(filter(None, ("There is no run of Sysprep in the log.", state, result["next_step"])))
    where = "" if result["phase"] in ("", events.UNKNOWN) else f" in the phase {result['phase']}"
    if outcome == "unfinished" and not result["title"]:
        begun = result["unfinished_provider"]
        ending = f" in {begun}" if begun else ""
        end = f"The log ends{ending or where}, without success and without an error that explains it."
        return " ".join(filter(None, (end, state, _earlier(result), result["next_step"])))
    failed = "failed" if outcome == "failed" else "hangs or was broken off"
    parts = [f"Sysprep {failed}{where}: {_what(result)}."]
    if result["earlier_cause"]:
        parts.append(_earlier(result))
    if result["remedy"]:
        parts.append(result["remedy"])
    if not (result["remedy"].startswith("Go back") and result["next_step"] == _BACK):
        parts.append(result["next_step"])
    return " ".join(parts)


def _earlier(result: Mapping[str, Any]) -> str:
    cause = result["earlier_cause"]
    return f"An earlier run failed by {cause}." if cause else ""


def _what(result: Mapping[str, Any]) -> str:
    if result["cause"] == "unknown":
        first = result["first_error"]["text"] if result["first_error"] else ""
        return f"the cause is unknown. The first error is: {first}".rstrip(". ")
    named = [*result["packages"], *(f"{one['key']}, {one['value']}" for one in result["registry"])]
    subject = named or ([result["provider"]] if result["provider"] else [])
    return f"{result['title']}" + (f" ({'; '.join(subject)})" if subject else "")
