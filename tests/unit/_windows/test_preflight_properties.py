# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Whatever is wrong with the facts, no rule takes what it has not seen for fine."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

from ansible_collections.goldenimage.azure.plugins.module_utils._windows.preflight import RULES, preflight
from ansible_collections.goldenimage.azure.plugins.module_utils._windows.preflight_facts import Facts
from hypothesis import given
from hypothesis import strategies as st

from tests.unit._windows.healthy import Answers, denied, server, workstation

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
_COLLECTORS = sorted(server())
_ALL = {rule.id for rule in RULES}


def _unknown(answers: object) -> set[str]:
    return {finding.id for finding in preflight(Facts(answers)).findings if finding.severity == "unknown"}


def _read_by() -> dict[str, set[str]]:
    """The rules that cannot do without a collector, on a healthy machine."""
    found = {}
    for collector in _COLLECTORS:
        answers = server()
        del answers[collector]
        found[collector] = _unknown(answers)
    return found


_READ_BY = _read_by()


def test_every_rule_reads_and_every_collector_is_read() -> None:
    assert set().union(*_READ_BY.values()) == _ALL
    # The firmware says which machine it is, not how it is.
    assert [collector for collector, rules in _READ_BY.items() if not rules] == ["firmware"]


@given(_JSON | st.binary(max_size=30) | st.text())
def test_no_facts_at_all_are_unknown_to_every_rule(facts: object) -> None:
    assert _unknown(facts) == _ALL


@given(st.sampled_from(_COLLECTORS), _JSON)
def test_a_collector_that_answers_garbage_is_unknown_to_all_its_rules(collector: str, garbage: Any) -> None:
    for answer in (
        garbage,
        {"ok": False, "error": garbage},
        {"ok": garbage, "value": {}},
        {"ok": True, "value": {}},
    ):
        assert _READ_BY[collector] <= _unknown({**server(), collector: answer})


def _places(value: object, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all that is below."""
    found = []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in items:
        found += [(*path, name), *_places(inner, (*path, name))]
    return found


def _changed(answers: Answers, path: tuple[Any, ...], value: object) -> Answers:
    answers = deepcopy(answers)
    target: Any = answers
    for name in path[:-1]:
        target = target[name]
    target[path[-1]] = value
    return answers


# Of another type than what is there: null is never right, and a list is where a list of texts is not.
_WRONG: list[Any] = [None, [[]], {"x": 1}, 1.5]
_MACHINES = {"server": server(), "workstation": workstation()}
# What does not concern a machine of that kind is not looked at there.
_NOT_READ = {
    "server": {"roles", "firmware"},
    "workstation": {"roles", "features", "firmware"},
}


def _is_judged_by(path: tuple[Any, ...]) -> bool:
    """Whether a rule judges by it; the others are told as evidence, or matter for other services."""
    name = str(path[-1])
    if path[0] == "services" and len(path) == 4:
        unread = {"TrustedInstaller": "state", "AppXSvc": "state", "Sense": "start_mode"}
        if path[2] == "WindowsAzureTelemetryService":
            return name == "present"
        return name != unread.get(str(path[2]))
    if path[0] == "configuration_manager":
        return name == "restart_pending"
    return name not in ("domain", "protection_status") and path[-3:] != ("users", 0, "user")


def _cases() -> list[tuple[str, tuple[Any, ...]]]:
    return [
        (kind, path)
        for kind, answers in _MACHINES.items()
        for path in _places(answers)
        if path[0] not in _NOT_READ[kind] and len(path) > 2 and _is_judged_by(path)
    ]


def test_a_fact_of_the_wrong_type_is_not_fine() -> None:
    for kind, path in _cases():
        for wrong in _WRONG:
            findings = preflight(Facts(_changed(_MACHINES[kind], path, wrong))).findings
            assert findings, (kind, path, wrong)


def test_a_fact_that_is_missing_is_not_fine() -> None:
    for kind, path in _cases():
        answers = deepcopy(_MACHINES[kind])
        target: Any = answers
        for name in path[:-1]:
            target = target[name]
        if isinstance(target, dict):
            del target[path[-1]]
            assert preflight(Facts(answers)).findings, (kind, path)


def test_a_value_in_the_registry_that_may_not_be_read_is_not_fine() -> None:
    answers = server()
    readings = [path for path in _places(answers) if path[-1] == "present" and "services" not in path]
    assert len(readings) > 15
    for *path, _present in readings:
        if path[0] != "roles":
            assert _unknown(_changed(answers, tuple(path), denied())), path


@given(st.data())
def test_no_change_makes_a_rule_raise(data: st.DataObject) -> None:
    answers = server()
    for _round in range(data.draw(st.integers(1, 4))):
        answers = _changed(answers, data.draw(st.sampled_from(_places(answers))), data.draw(_JSON))
    result = preflight(Facts(json.dumps(answers))).as_result()
    assert json.loads(json.dumps(result)) == result
