# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""What holds for every log: nothing raises, harmless lines are no cause, and damage to a log invents none."""

from __future__ import annotations

from datetime import timedelta

from ansible_collections.goldenimage.azure.plugins.module_utils._windows.panther_benign import benign_reason
from ansible_collections.goldenimage.azure.plugins.module_utils._windows.panther_causes import CAUSES
from ansible_collections.goldenimage.azure.plugins.module_utils._windows.panther_diagnosis import diagnose
from ansible_collections.goldenimage.azure.plugins.module_utils._windows.panther_lines import read_lines
from hypothesis import given
from hypothesis import strategies as st

from tests.windows.failures import FAILURES
from tests.windows.sysprep_logs import BEGAN, FORMS, harmless, render, success

_HARMLESS = tuple(harmless())
_STATES = st.sampled_from(
    [
        "",
        "IMAGE_STATE_COMPLETE",
        "IMAGE_STATE_UNDEPLOYABLE",
        "IMAGE_STATE_SPECIALIZE_RESEAL_TO_OOBE",
        "nonsense",
    ]
)
_WORDS = st.sampled_from(
    [
        "Error",
        "SYSPRP",
        "2025-11-03 09:15:01,",
        "[0x0f0070]",
        "WinMain:Hit failure while",
        "dwRet = 0x",
        "'X' from C:\\",
        ".dll",
        "Package",
        "[gle=",
        "\n",
        "\0",
        "failed",
        "cleanup",
        "\\Generalize.xml",
        "IMAGE_STATE_",
    ]
)
_GARBAGE = st.lists(st.one_of(_WORDS, st.text(max_size=20)), max_size=40).map(" ".join)


@given(st.one_of(st.text(), _GARBAGE), _STATES)
def test_garbage_never_raises(text: str, state: str) -> None:
    found = diagnose({"a/setupact.log": text, "a/setuperr.log": text[::-1]}, state)
    assert found["outcome"] in ("failed", "succeeded", "unfinished", "no-run")
    assert found["cause"] in {"unknown", "none"} | {cause.id for cause in CAUSES}


@given(st.text())
def test_text_without_a_word_of_sysprep_has_no_cause(text: str) -> None:
    assert diagnose(text)["cause"] == "unknown"


@given(st.lists(st.sampled_from(_HARMLESS), min_size=1), st.sampled_from(sorted(FORMS)), _STATES)
def test_harmless_lines_are_never_a_cause(messages: list[object], form: str, state: str) -> None:
    found = diagnose(render(messages, form), state)  # type: ignore[arg-type]
    assert (found["cause"], found["outcome"]) == ("unknown", "unfinished")
    assert len(found["benign"]) == len(messages)


def test_every_harmless_message_is_known_to_be_harmless() -> None:
    for line in read_lines(render(_HARMLESS)):
        assert benign_reason(line) is not None, line.text


def test_no_line_of_a_failure_is_taken_for_a_harmless_one() -> None:
    for failure in FAILURES:
        found = diagnose(render(failure.messages))
        assert not [line for line in found["evidence"] if line in found["benign"]]


@given(st.data())
def test_a_log_that_lost_lines_gives_its_cause_or_a_vaguer_one(data: st.DataObject) -> None:
    failure = data.draw(st.sampled_from(FAILURES))
    rows = render(failure.messages).splitlines()
    kept = [row for row in rows if data.draw(st.booleans())]
    vaguer = {cause.id for cause in CAUSES if cause.general}
    assert diagnose(kept)["cause"] in {failure.cause, "unknown"} | vaguer


@given(st.data())
def test_noise_around_a_run_does_not_change_its_cause(data: st.DataObject) -> None:
    failure = data.draw(st.sampled_from(FAILURES))
    rows = render(failure.messages).splitlines()
    noise = render(data.draw(st.lists(st.sampled_from(_HARMLESS), max_size=5))).splitlines()
    noise += ["2025-11-03 09:15:01, Info                  CSI    00000001 Shim considered: error, failed"]
    for row in noise:
        rows.insert(data.draw(st.integers(0, len(rows))), row)
    assert diagnose(rows)["cause"] == failure.cause


@given(st.lists(st.sampled_from(FAILURES), max_size=4))
def test_only_the_last_of_many_runs_counts(failures: list[object]) -> None:
    texts = [
        render(failure.messages, began=BEGAN + timedelta(hours=number))  # type: ignore[attr-defined]
        for number, failure in enumerate(failures)
    ]
    found = diagnose("".join(texts) + render(success(), began=BEGAN + timedelta(days=1)))
    assert (found["outcome"], found["run"]["runs"]) == ("succeeded", len(failures) + 1)
