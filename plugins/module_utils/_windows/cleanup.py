# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Which traces are on a Windows machine, which of them are to go, and which of those went."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ansible_collections.goldenimage.azure.plugins.module_utils._windows.preflight_facts import (
    Facts,
    UnknownFactError,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._windows.trace import (
    TRANSPORTS,
    Files,
    Hit,
    Session,
    Trace,
    UserKeys,
    Values,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._windows.traces import TRACES

REMOVE, KEPT, EXCLUDED, ABSENT, UNKNOWN = "remove", "kept", "excluded", "absent", "unknown"
# How many of a trace's hits a line names.
_NAMED = 3
# The highest relative id of an account that Windows itself has: administrator, guest, and two more.
_BUILT_IN = range(500, 1000)


class CleanupError(ValueError):
    """What is asked for cannot be meant, or cannot be done from this session."""


class _Seen(NamedTuple):
    """A trace on the machine: what is done about it (one of the states above), and why not more."""

    trace: Trace
    hits: tuple[Hit, ...]
    state: str
    why: str

    @property
    def stops(self) -> bool:
        return self.state == UNKNOWN and self.trace.severity == "error"

    def as_result(self) -> dict[str, Any]:
        return {
            "id": self.trace.id,
            "title": self.trace.title,
            "reason": self.trace.reason,
            "severity": self.trace.severity,
            "state": self.state,
            "why": self.why,
            "stops": self.stops,
            "found": [hit.shown for hit in self.hits],
        }


def places(kind: str) -> list[str]:
    """What a collector is to look for: all `files`, `user_keys` or `values`. Raises KeyError for others."""
    found: list[str] = []
    for trace in TRACES:
        for place in trace.places:
            if kind == "files" and isinstance(place, Files):
                found += place.patterns
            elif kind == "user_keys" and isinstance(place, UserKeys):
                found += place.keys
            elif kind == "values" and isinstance(place, Values):
                found += place.names
    if not found:
        raise KeyError(kind)
    return list(dict.fromkeys(found))


def judge_traces(
    collected: object,
    session: Session,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
) -> dict[str, Any]:
    """What is on the machine and what is to be done, as the filter windows_traces documents it.

    `collected`: what the collectors of traces answered, as :class:`Facts` takes it. Raises CleanupError for
    ids that no trace has, and for accounts that cannot be removed.
    """
    _check(include, exclude, session)
    facts = Facts(collected)
    seen = [_look(trace, facts, include, exclude, session) for trace in TRACES]
    if "build-accounts" not in exclude:
        _refuse_accounts(facts, session)
    seen.append(_own_account(facts))
    return {
        "traces": [each.as_result() for each in seen],
        "remove": [
            {"id": each.trace.id, "severity": each.trace.severity, **hit._asdict()}
            for each in seen
            if each.state == REMOVE or (each.state == UNKNOWN and not each.stops)
            for hit in each.hits
        ],
        "stops": [each.trace.id for each in seen if each.stops],
        "summary": [_line(each) for each in seen if each.state != ABSENT],
    }


def _check(include: Sequence[str], exclude: Sequence[str], session: Session) -> None:
    known = {trace.id for trace in TRACES}
    for name in (*include, *exclude):
        if name not in known:
            raise CleanupError(f"There is no trace {name!r}. There are: {', '.join(sorted(known))}.")
    if session.transport not in TRANSPORTS:
        raise CleanupError(f"{session.transport!r} is no transport. There are: {', '.join(TRANSPORTS)}.")


def _look(
    trace: Trace, facts: Facts, include: Sequence[str], exclude: Sequence[str], session: Session
) -> _Seen:
    hits: list[Hit] = []
    unknown = ""
    try:
        for hit in trace.find(facts, session):
            hits.append(hit)
    except UnknownFactError as error:
        unknown = f"{str(error)[:1].upper()}{str(error)[1:]}."
    kept = trace.kept(session) if trace.kept is not None else ""
    if trace.id in exclude or not (trace.default or trace.id in include):
        state, why = EXCLUDED, "It was not asked for."
    elif kept and (hits or unknown):
        state, why = KEPT, f"{kept[:1].upper()}{kept[1:]}."
    elif unknown:
        state, why = UNKNOWN, unknown
    else:
        state, why = (REMOVE, "") if hits else (ABSENT, "")
    return _Seen(trace, tuple(hits), state, why)


def _refuse_accounts(facts: Facts, session: Session) -> None:
    """No account is removed from its own session, nor one of Windows' own."""
    if not session.accounts:
        return
    try:
        people = facts.of("people")
        own = people.name("own_sid")
        named = {each.name("name").casefold(): each.name("sid") for each in people.nodes("accounts")}
    except UnknownFactError:
        return  # The trace itself is unknown then, and stops.
    for name in session.accounts:
        sid = named.get(name.casefold(), "")
        if sid == own:
            raise CleanupError(
                f"{name} is the account of this session, which cannot remove itself. Build with another "
                f"account and name that one, or have Azure give {name} a new password in each machine."
            )
        last = sid.rpartition("-")[2]
        if last.isdigit() and int(last) in _BUILT_IN:
            raise CleanupError(
                f"{name} is an account of Windows itself, which cannot be removed. Disable it."
            )


_OWN = Trace(
    "own-account",
    "Account and profile of this session",
    "Its password is known to whoever built the image.",
    (),
    severity="warning",
)


def _own_account(facts: Facts) -> _Seen:
    """Always kept, and always told."""
    shown = "the account of this session"
    sid = ""
    try:
        people = facts.of("people")
        sid = people.name("own_sid")
        names = [each.name("name") for each in people.nodes("accounts") if each.name("sid") == sid]
        shown = f"account {names[0]}" if names else f"account {sid}, which is not of this machine"
    except UnknownFactError:
        pass
    why = (
        "No session can remove its own account and profile, and a first start of each machine must not: "
        "Azure may have given the account to the machine's owner by then."
    )
    return _Seen(_OWN, (Hit("account", sid, shown),), KEPT, why)


def _line(seen: _Seen) -> str:
    names = ", ".join(hit.shown for hit in seen.hits[:_NAMED])
    more = len(seen.hits) - _NAMED
    found = f"{names} and {more} more" if more > 0 else names
    done = {REMOVE: "to be removed", KEPT: "stays", EXCLUDED: "stays", UNKNOWN: "not known"}[seen.state]
    return " ".join(
        part for part in (f"{seen.trace.id} ({done}):", found or "nothing found.", seen.why) if part
    )


def left(judged: object, collected: object) -> dict[str, Any]:
    """What of a judgement's `remove` is still there, as the filter windows_traces_left documents it.

    `collected`: what the removing script answered. Without an answer, all of it may be there.
    """
    wanted = judged.get("remove") if isinstance(judged, Mapping) else None
    hits = [each for each in wanted if isinstance(each, Mapping)] if isinstance(wanted, list) else []
    found = list(_left(hits, Facts(collected)))
    return {
        "left": found,
        "stops": any(each["severity"] == "error" for each in found),
        "summary": [f"{each['id']}: {each['shown']}. {each['error']}" for each in found],
    }


def _left(hits: list[Mapping[str, Any]], facts: Facts) -> Iterator[dict[str, Any]]:
    try:
        answer = facts.of("removed")
        tried = answer.count("tried")
        failed = {each.count("number"): each.text("error") for each in answer.nodes("failed")}
    except UnknownFactError as error:
        tried, failed, reason = 0, {}, f"Whether it was removed is not known: {error}."
    else:
        reason = "It was not reached."
    for number, hit in enumerate(hits):
        if number in failed or number >= tried:
            yield {**hit, "error": failed.get(number, reason)}
