# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""The filter panther_diagnosis: what it takes, refuses and returns."""

from __future__ import annotations

import base64

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.goldenimage.azure.plugins.filter import panther_diagnosis as plugin
from ansible_collections.goldenimage.azure.plugins.filter.panther_diagnosis import panther_diagnosis

from tests.windows.failures import FAILURES
from tests.windows.sysprep_logs import render

_BITLOCKER = next(failure for failure in FAILURES if failure.cause == "bitlocker-on")
_LOG = render(_BITLOCKER.messages)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_texts_in_base64_are_read_in_every_encoding(encoding: str) -> None:
    text = _LOG + "2025-11-03 09:20:00, Info SYSPRP Bücher\r\n"
    encoded = base64.b64encode(text.encode(encoding)).decode()
    assert panther_diagnosis({"setupact.log": encoded}, encoded=True)["cause"] == "bitlocker-on"
    assert panther_diagnosis(encoded, encoded=True)["run"]["ended"] == "2025-11-03 09:20:00"


def test_rows_and_text_are_the_same() -> None:
    assert panther_diagnosis(_LOG.splitlines()) == panther_diagnosis(_LOG)


@pytest.mark.parametrize(
    ("logs", "encoded", "said"),
    [
        (None, False, "must be text or a list of rows, not NoneType"),
        (7, False, "must be text or a list of rows, not int"),
        ({"a.log": None}, False, "a.log must be text"),
        (["x"], True, "must be text in Base64, not list"),
        ("Error SYSPRP", True, "not encoded in Base64, as encoded=true says"),
    ],
)
def test_what_is_no_log_is_refused(logs: object, encoded: bool, said: str) -> None:
    with pytest.raises(AnsibleFilterError, match=said):
        panther_diagnosis(logs, encoded=encoded)


def test_documentation_names_everything_that_is_returned() -> None:
    documented = yaml.safe_load(plugin.RETURN)["_value"]["contains"]
    assert list(documented) and set(documented) == set(panther_diagnosis(_LOG))
    phases = documented["phase"]["description"][0]
    for failure in FAILURES:
        assert f"V({failure.phase})" in phases


def test_message_of_a_failure_says_cause_remedy_and_next_step() -> None:
    for failure in FAILURES:
        found = panther_diagnosis(render(failure.messages), failure.state)
        assert found["msg"].startswith("Sysprep failed in the phase ")
        assert (found["title"] or "the cause is unknown. The first error is: ") in found["msg"]
        assert found["remedy"] in found["msg"]
        assert ("backup" in found["msg"]) or found["machine_changed"] == "no"
