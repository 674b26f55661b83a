# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The filter windows_preflight: in which shapes facts may come, and what is an error."""

from __future__ import annotations

import json

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.goldenimage.azure.plugins.filter.windows_preflight import FilterModule

from tests.unit._windows.healthy import server

_filter = FilterModule().filters()["windows_preflight"]


def test_facts_come_as_texts_or_decoded_alone_or_in_lists() -> None:
    text = json.dumps(server())
    halves = [{name: answer} for name, answer in server().items()]
    for facts in (text, [text], [[text], []], server(), halves, [json.dumps(half) for half in halves]):
        assert _filter(facts) == {
            "computer": "BUILD",
            "vm_ids": [
                "a1b2c3d4-0102-0304-8506-0708090a0b0c",
                "d4c3b2a1-0201-0403-8506-0708090a0b0c",
            ],
            "stops": False,
            "summary": [],
            "findings": [],
            "waived": [],
        }


def test_half_of_the_facts_are_not_enough() -> None:
    halves = [{name: answer} for name, answer in server().items()]
    assert _filter(halves[:-1])["summary"]
    assert _filter(halves[1:])["stops"]


def test_the_name_of_a_computer_that_could_not_be_read_is_none() -> None:
    assert _filter({})["computer"] is None
    assert _filter({})["vm_ids"] == []


@pytest.mark.parametrize("waive", ["appx", {"appx": True}, [1], ["nonsense"]])
def test_a_wrong_list_of_waivers_is_an_error_that_names_the_option(waive: object) -> None:
    with pytest.raises(AnsibleFilterError, match=r"waive: "):
        _filter(server(), waive=waive)
