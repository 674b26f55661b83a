# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Why a run of Sysprep failed, from its logs.

Precision goes before completeness: where no rule fits, or the log speaks against one, the cause is unknown,
and the lines that matter are handed on for a person to read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from ansible_collections.goldenimage.azure.plugins.module_utils._windows import image_state as states
from ansible_collections.goldenimage.azure.plugins.module_utils._windows import panther_events as events
from ansible_collections.goldenimage.azure.plugins.module_utils._windows.panther_advice import (
    BY_EARLIER_RUN,
    NO,
    PARTLY,
    UNSURE,
    YES,
    next_step,
    summary,
    was_changed,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._windows.panther_cause import (
    INFERRED,
    STATED,
    Cause,
    Setting,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._windows.panther_causes import CAUSES
from ansible_collections.goldenimage.azure.plugins.module_utils._windows.panther_codes import restore_codes
from ansible_collections.goldenimage.azure.plugins.module_utils._windows.panther_lines import Line, read_lines
from ansible_collections.goldenimage.azure.plugins.module_utils._windows.panther_runs import Run, runs_of
from ansible_collections.goldenimage.azure.plugins.module_utils._windows.panther_story import Story, tell

#: Instead of a cause: what went wrong, if anything, is not known / Sysprep or Windows says success.
UNKNOWN, NONE = "unknown", "none"
#: What became of the run.
SUCCEEDED, FAILED, UNFINISHED, NO_RUN = "succeeded", "failed", "unfinished", "no-run"

Logs: TypeAlias = "str | Sequence[str] | Mapping[str, str | Sequence[str]]"

_PACKAGE = re.compile(r"\bPackage (?P<name>\S.{0,290}?) (?:(?:was|is) )?installed for a user", re.IGNORECASE)
_MOST_LINES = 12
_LAST_LINES = 5
_MOST_EARLIER = 5


class _Verdict(NamedTuple):
    """A cause with the line that shows it; `cause` is None where none is known."""

    cause: Cause | None
    line: Line | None


def diagnose(logs: Logs, image_state: object = None) -> dict[str, Any]:
    """The diagnosis of the last run in the logs of one Panther folder.

    `logs`: the text or rows of one log, or several by their paths; of several folders Sysprep's own counts.
    `image_state`: what Windows records, if it was read. Result: documented in the filter panther_diagnosis.
    Whatever is in the logs, nothing is raised.
    """
    used, left_out = _of_one_folder(logs)
    runs = runs_of({name: read_lines(content, name) for name, content in used.items()})
    runs = _refusals_first(runs)
    state = states.known_state(image_state) or _state_in(runs[-1:])
    if not runs:
        return _result(Run((), "whole-log"), state, [], list(used), left_out)
    return _result(runs[-1], state, runs[:-1], list(used), left_out)


def _result(run: Run, state: str, before: list[Run], used: list[str], left_out: list[str]) -> dict[str, Any]:
    story = tell(run)
    verdict = _cause_of(story, state)
    cause = verdict.cause
    outcome = _outcome(story, run, cause)
    identity = cause.id if cause else _unnamed(story, state)
    phase, basis = _phase(story, cause)
    changed = _changed(story, cause, state, outcome)
    lines = _evidence(story, run, verdict)
    earlier = [_brief(one) for one in before[-_MOST_EARLIER:]]
    result: dict[str, Any] = {
        "outcome": outcome,
        "cause": identity,
        "title": cause.title if cause else "",
        "explanation": cause.explanation if cause else "",
        "remedy": cause.remedy if cause else "",
        "source": cause.source if cause else "",
        "basis": "" if cause is None else (STATED if cause.stated else INFERRED),
        "phase": phase,
        "phase_basis": basis,
        "machine_changed": changed,
        "next_step": next_step(outcome, changed),
        "first_error": story.failure[0].as_evidence() if story.failure else None,
        "evidence": [line.as_evidence() for line in lines],
        "codes": [code.as_result() for code in restore_codes(story.failure)],
        "provider": str(story.provider) if story.provider else "",
        "unfinished_provider": str(story.unfinished) if story.unfinished else "",
        "packages": _packages(story),
        "registry": _registry(story),
        "benign": [{**line.as_evidence(), "reason": known.reason} for line, known in story.benign],
        "other_errors": [line.as_evidence() for line in story.stray[:_MOST_LINES]],
        "options": list(story.options),
        "image_state": state,
        "image_state_meaning": states.MEANINGS.get(state, ""),
        "run": {
            "began": str(run.began or ""),
            "ended": str(run.ended or ""),
            "cut": run.cut,
            "runs": len(before) + bool(run.lines),
        },
        "earlier_runs": earlier,
        "earlier_cause": "" if cause and changed != BY_EARLIER_RUN else _blamed(earlier, outcome, changed),
        "logs": used,
        "logs_left_out": left_out,
    }
    return {**result, "msg": summary(result)}


def _of_one_folder(logs: Logs) -> tuple[dict[str, str | Sequence[str]], list[str]]:
    """The logs of the folder that Sysprep writes to, and the names of those that lay elsewhere."""
    if isinstance(logs, str):
        return {"setupact.log": logs}, []
    if not isinstance(logs, Mapping):
        return {"setupact.log": [str(row) for row in logs]}, []
    named = {str(name): content for name, content in logs.items()}
    folders = {name: re.sub(r"[\\/]?[^\\/]*$", "", name).lower() for name in named}
    ours = {folder for folder in folders.values() if "sysprep" in folder} or set(folders.values())
    chosen = min(ours, key=lambda folder: (len(folder), folder)) if ours else ""
    used = {name: content for name, content in named.items() if folders[name] == chosen}
    return used, [name for name in named if name not in used]


def _refusals_first(runs: list[Run]) -> list[Run]:
    """The runs in an order that explains them, where a quotation has no times.

    A run is refused because an earlier one stopped while it changed the machine. Where that one is quoted
    as well and its cause is known, it is what must be told, in whatever order people have quoted them.
    """
    if any(run.began for run in runs):
        return runs
    refused = [run for run in runs if any(map(events.refuses, run.lines))]
    others = [run for run in runs if run not in refused]
    if not refused or not others:
        return runs
    told = _brief(others[-1])
    explains = told["cause"] not in (UNKNOWN, NONE) and told["machine_changed"] in (PARTLY, YES)
    return [*refused, *others] if explains else runs


def _state_in(runs: Iterable[Run]) -> str:
    """What a console that polls ImageState has left between the lines."""
    lines = (line for run in runs for line in reversed(run.lines))
    return next((state for state in map(states.last_state_in, (line.raw for line in lines)) if state), "")


def _cause_of(story: Story, state: str) -> _Verdict:
    setting = Setting(story.provider, story.phase)
    # What ends a run at its start is no cause where providers were run after it.
    possible = [cause for cause in CAUSES if not (story.halted and cause.usual_phase == events.START)]
    for lines in _telling(story):
        for general in (False, True):
            for line in lines:
                for cause in possible:
                    if cause.general == general and cause.explains(line, setting):
                        return _Verdict(cause, line)
    return _Verdict(_hung(story, state), None)


def _telling(story: Story) -> list[list[Line]]:
    """The lines that may show the cause, those first that have the form of a log's. A console has errors of
    other programs as well, which count not at all where the log itself says what failed.
    """
    logged = [line for line in story.failure if events.is_logged(line)]
    if any(events.halts(line) or events.provider_fails(line) for line in logged):
        return [logged]
    return [logged, [line for line in story.failure if not events.is_logged(line)]]


def _hung(story: Story, state: str) -> Cause | None:
    """The cause where a log simply ends in the VM agent's provider and Windows is in the midst of it."""
    if story.failure or story.tagged or story.unfinished is None or state != states.UNDEPLOYABLE:
        return None
    module = story.unfinished.module
    return next((cause for cause in CAUSES if cause.hangs and module in cause.modules), None)


def _unnamed(story: Story, state: str) -> str:
    """NONE where success is said and no failure, else UNKNOWN: that a log is silent is no success."""
    good = story.tagged or state in (states.GENERALIZED, states.GENERALIZED_FOR_AUDIT)
    return NONE if good and not story.failure else UNKNOWN


def _outcome(story: Story, run: Run, cause: Cause | None) -> str:
    """What became of it. An error alone that nobody knows ends no run: the log may have been copied
    meanwhile.
    """
    if story.failure and (cause or story.halted or story.provider):
        return FAILED
    if story.tagged and not story.failure:
        return SUCCEEDED
    return UNFINISHED if run.lines else NO_RUN


def _phase(story: Story, cause: Cause | None) -> tuple[str, str]:
    """The phase, and how it is known: by the log, or, where that does not tell, as this cause's usual one."""
    usual = cause.usual_phase if cause else ""
    if story.phase_sure or not usual or usual == story.phase:
        return story.phase, "" if story.phase == events.UNKNOWN else "log"
    return usual, "usual"


def _changed(story: Story, cause: Cause | None, state: str, outcome: str) -> str:
    """Whether the machine was changed. A cause's usual phase may make it worse than the log says, not
    better.
    """
    phases = [story.phase]
    if not story.phase_sure and story.phase != events.UNKNOWN and cause and cause.usual_phase:
        phases.append(cause.usual_phase)
    return was_changed(phases, state, failed=outcome == FAILED)


def _evidence(story: Story, run: Run, verdict: _Verdict) -> list[Line]:
    """The lines that a person should read, in the order of the log."""
    if story.failure:
        chosen = list(story.failure[:_MOST_LINES])
        if verdict.line is not None and verdict.line not in chosen:
            chosen.append(verdict.line)
        return chosen
    return [] if story.tagged else list(run.lines[-_LAST_LINES:])


def _packages(story: Story) -> list[str]:
    found = (match["name"] for line in story.failure for match in _PACKAGE.finditer(line.text))
    # People set names in bold or as code.
    names = (name.strip("*`\"'") for name in found)
    return list(dict.fromkeys(name for name in names if name.lower() not in ("", "was", "is")))


def _registry(story: Story) -> list[dict[str, str]]:
    found = (events.registry_action_in(line) for line in story.failure)
    return [{"action": one.action, "key": one.key, "value": one.value} for one in found if one]


def _brief(run: Run) -> dict[str, str]:
    story = tell(run)
    cause = _cause_of(story, "").cause
    outcome = _outcome(story, run, cause)
    return {
        "began": str(run.began or ""),
        "outcome": outcome,
        "cause": cause.id if cause else _unnamed(story, ""),
        "phase": _phase(story, cause)[0],
        "machine_changed": _changed(story, cause, "", outcome),
        "first_error": story.failure[0].text if story.failure else "",
    }


def _blamed(earlier: list[dict[str, str]], outcome: str, changed: str) -> str:
    """The known cause of the last earlier run that failed; "" where no log tells, or it matters no more.

    Where an earlier run spoilt the machine, it is one that had begun to change it.
    """
    if outcome == SUCCEEDED:
        return ""
    harmless = (NO, UNSURE, BY_EARLIER_RUN) if changed == BY_EARLIER_RUN else ()
    failed = [run for run in earlier if run["outcome"] == FAILED and run["machine_changed"] not in harmless]
    return failed[-1]["cause"] if failed and failed[-1]["cause"] != UNKNOWN else ""
