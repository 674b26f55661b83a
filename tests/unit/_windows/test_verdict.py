# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Only the four marks together are success; all else says what is to be done, or that nothing is known."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from ansible_collections.goldenimage.azure.plugins.filter import sysprep_verdict as plugin
from ansible_collections.goldenimage.azure.plugins.module_utils._windows.image_state import MEANINGS
from ansible_collections.goldenimage.azure.plugins.module_utils._windows.verdict import VERDICTS, judge
from hypothesis import given
from hypothesis import strategies as st

from tests.unit._windows.supervised import generalized, present, untouched, with_log, with_state
from tests.windows.failures import FAILURES

_BY_CAUSE = {failure.cause: failure for failure in reversed(FAILURES)}
_COMPLETE, _UNDEPLOYABLE = "IMAGE_STATE_COMPLETE", "IMAGE_STATE_UNDEPLOYABLE"


def test_the_four_marks_are_success_however_the_machine_is_powered() -> None:
    for power in ("stopped", "running", "unknown", "", None):
        found = judge(generalized(), power)
        assert (found["verdict"], found["overdue"]) == ("success", False)
    assert judge(json.dumps(generalized()))["verdict"] == "success"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ({"ok": True, "value": {"scheduled": False}}, "Windows did not take the order to power off"),
        ({"ok": False, "error": "A shutdown is in progress"}, "failed: A shutdown is in progress"),
        (None, "there are no facts of collector power_off"),
    ],
)
def test_success_says_where_the_machine_may_stay_on(answer: object, why: str) -> None:
    answers = {**generalized(), "power_off": answer}
    found = judge(answers, "running")
    assert found["verdict"] == "success"
    assert f"{why}. Power it off then" in found["msg"]
    for quiet in (judge(generalized(), "running"), judge(answers, "stopped"), judge(answers, "deallocated")):
        assert "Power it off" not in quiet["msg"]


@pytest.mark.parametrize("command", ["oobe\\windeploy.exe", "C:\\Windows\\system32\\OOBE\\windeploy.exe"])
def test_the_first_start_s_program_is_known_with_and_without_its_folder(command: str) -> None:
    answers = generalized()
    answers["setup"]["value"]["setup_command_line"] = present(command)
    assert judge(answers)["verdict"] == "success"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("succeeded_tag", False),
        ("setup_type", present(0)),
        ("setup_type", {"present": False}),
        ("setup_command_line", present("")),
        ("setup_command_line", present("oobe\\windeploy.exe.old")),
        ("setup_command_line", {"present": False}),
        ("image_state", present("IMAGE_STATE_GENERALIZE_RESEAL_TO_AUDIT")),
        ("image_state", present("IMAGE_STATE_SPECIALIZE_RESEAL_TO_OOBE")),
        ("image_state", present(_COMPLETE)),
    ],
)
def test_three_of_four_marks_are_half_way(name: str, value: object) -> None:
    answers = generalized()
    answers["setup"]["value"][name] = value
    found = judge(answers)
    assert found["verdict"] == "half-way"
    assert "Go back to the backup" in found["msg"]


def test_the_tag_of_an_earlier_run_is_none() -> None:
    answers = generalized()
    answers["sysprep"]["value"]["tag_is_new"] = False
    found = judge(answers)
    assert found["verdict"] == "half-way"
    assert {"name": "tag-file", "held": False, "seen": "of an earlier run"} in found["markers"]


@pytest.mark.parametrize("name", ["succeeded_tag", "setup_type", "setup_command_line", "image_state"])
@pytest.mark.parametrize("value", [{"error": "access denied"}, None, "2", [], {}, 7.5])
def test_a_mark_that_could_not_be_read_is_no_success(name: str, value: object) -> None:
    for answers in (generalized(), untouched()):
        answers["setup"]["value"][name] = value
        assert judge(answers)["verdict"] == "silent"
        del answers["setup"]["value"][name]
        assert judge(answers)["verdict"] == "silent"


@pytest.mark.parametrize(
    ("state", "verdict"),
    [
        (_COMPLETE, "refused"),
        (_UNDEPLOYABLE, "damaged"),
        ("IMAGE_STATE_SPECIALIZE_RESEAL_TO_OOBE", "half-way"),
        ("IMAGE_STATE_GENERALIZE_RESEAL_TO_OOBE", "half-way"),
        ("IMAGE_STATE_GENERALIZE_RESEAL_TO_AUDIT", "half-way"),
        ("IMAGE_STATE_SPECIALIZE_RESEAL_TO_AUDIT", "half-way"),
    ],
)
def test_the_state_tells_where_sysprep_stopped(state: str, verdict: str) -> None:
    assert judge(with_state(state))["verdict"] == verdict


@pytest.mark.parametrize("state", sorted(MEANINGS))
@pytest.mark.parametrize("program", ["sysprep", "SetupHost"])
def test_as_long_as_it_works_it_is_running(state: str, program: str) -> None:
    for answers in (generalized(), with_state(state)):
        answers["sysprep"]["value"]["running"] = [program]
        assert (judge(answers)["verdict"], judge(answers)["overdue"]) == ("running", False)
        # The session that started it is gone when this is read, and it may have gone with it.
        assert "Windows may have ended it with the session" in judge(answers)["next_step"]
        answers["sysprep"]["value"]["deadline_passed"] = True
        assert judge(answers)["overdue"]
        assert "The deadline has passed." in judge(answers)["msg"]


@pytest.mark.parametrize("collected", [None, "", "Connection aborted", [], {}, 7, {"sysprep": {"ok": False}}])
@pytest.mark.parametrize("power", ["stopped", "running", "deallocated", "", None])
def test_nothing_heard_is_silence_whatever_the_power_state(collected: object, power: str | None) -> None:
    found = judge(collected, power)
    assert found["verdict"] == "silent"
    assert "Do not capture the machine." in found["msg"]
    assert not power or power in found["msg"]


def test_marks_without_a_run_s_report_tell_success_and_nothing_else() -> None:
    good, bad = generalized(), with_state(_UNDEPLOYABLE)
    del good["sysprep"], bad["sysprep"]
    assert judge(good)["verdict"] == "success"
    assert judge(bad)["verdict"] == "silent"


def test_sysprep_is_not_started_as_system() -> None:
    answers = untouched()
    answers["sysprep"]["value"].update(started=False, as_system=True)
    found = judge(answers)
    assert (found["verdict"], "the session is SYSTEM's" in found["msg"]) == ("refused", True)
    answers["setup"]["value"]["image_state"] = present(_UNDEPLOYABLE)
    assert judge(answers)["verdict"] == "damaged"


def test_a_refusal_names_cause_and_remedy_from_the_log() -> None:
    found = judge(with_log(untouched(), _BY_CAUSE["bitlocker-on"].messages))
    assert (found["verdict"], found["diagnosis"]["cause"]) == ("refused", "bitlocker-on")
    assert found["diagnosis"]["remedy"] in found["msg"]


@pytest.mark.parametrize(
    ("cause", "verdict"),
    [("earlier-run-unfinished", "damaged"), ("dsc-state", "half-way"), ("rearm-exhausted", "damaged")],
)
def test_a_log_of_damage_outweighs_a_state_that_tells_of_none(cause: str, verdict: str) -> None:
    assert judge(with_log(untouched(), _BY_CAUSE[cause].messages))["verdict"] == verdict


def test_no_log_makes_a_success() -> None:
    for failure in FAILURES:
        for answers in (untouched(), with_state(failure.state)):
            assert judge(with_log(answers, failure.messages))["verdict"] in ("refused", "half-way", "damaged")
        assert judge(with_log(generalized(), failure.messages))["verdict"] == "success"


def test_damaged_logs_do_not_change_the_verdict() -> None:
    damaged: tuple[object, ...] = (None, [{}], [{"path": "x", "content": "*"}], [{"path": 1}], "x")
    for files in damaged:
        answers = {**untouched(), "panther": {"ok": True, "value": {"files": files}}}
        assert judge(answers)["verdict"] == "refused"


_SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.text(max_size=5))
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner)),
)


@given(st.data())
def test_damage_to_any_answer_never_makes_a_success(data: st.DataObject) -> None:
    answers: Any = data.draw(st.sampled_from([untouched(), with_state(_UNDEPLOYABLE), generalized()]))
    good = judge(answers)["verdict"] == "success"
    part = answers[data.draw(st.sampled_from(["setup", "sysprep"]))]["value"]
    name = data.draw(st.sampled_from(sorted(part)))
    before, part[name] = part[name], data.draw(_VALUES)
    verdict = judge(answers)["verdict"]
    assert verdict in VERDICTS
    assert verdict != "success" or good, (name, before, part[name])


@given(_VALUES, _VALUES)
def test_garbage_is_silence(collected: object, power: object) -> None:
    assert judge(collected, power)["verdict"] == "silent"


def test_documentation_names_everything_that_is_returned() -> None:
    documented = yaml.safe_load(plugin.RETURN)["_value"]["contains"]
    assert set(documented) == set(judge(None))
    said = documented["verdict"]["description"][0]
    assert all(f"V({verdict})" in said for verdict in VERDICTS)
    assert plugin.FilterModule().filters() == {"sysprep_verdict": judge}


def test_the_states_that_were_seen_are_told_with_their_times() -> None:
    assert judge(generalized())["phases"] == [
        "IMAGE_STATE_COMPLETE after 5 s",
        "IMAGE_STATE_UNDEPLOYABLE after 40 s",
        "IMAGE_STATE_GENERALIZE_RESEAL_TO_OOBE after 215 s",
    ]
    assert judge(None)["phases"] == judge({"sysprep": {"ok": True, "value": {"states": 7}}})["phases"] == []
