# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Comparing a resource with what it should be."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.ensure import (
    Change,
    changes,
    merged_tags,
)
from hypothesis import given
from hypothesis import strategies as st

DISK = "/subscriptions/S/resourceGroups/G/providers/Microsoft.Compute/disks/D"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(st.text(max_size=4), JSON, max_size=4))
def test_nothing_has_to_change_for_what_is_there(resource: dict[str, Any]) -> None:
    assert changes(resource, resource) == []


@given(st.dictionaries(st.text(max_size=4), JSON, max_size=4))
def test_what_azure_adds_is_no_difference(resource: dict[str, Any]) -> None:
    assert changes({**resource, "added by Azure": {"x": 1}}, resource) == []


@pytest.mark.parametrize(
    ("current", "desired"),
    [
        ({"location": "eastus2"}, {"location": "East US 2"}),
        ({"managedDisk": {"id": DISK.upper()}}, {"managedDisk": {"id": DISK}}),
        (
            {"disks": [{"lun": 1, "x": "a"}, {"lun": 0, "x": "b"}]},
            {"disks": [{"lun": 0, "x": "b"}, {"lun": 1}]},
        ),
        ({"ids": [DISK.lower()]}, {"ids": [DISK]}),
        ({}, {"plan": None}),
        ({"tags": None}, {"tags": {}}),
        ({"regions": [{"name": "a", "n": 1}]}, {"regions": [{"name": "A", "n": 1}]}),
    ],
)
def test_same_in_another_spelling(current: dict[str, Any], desired: dict[str, Any]) -> None:
    assert changes(current, desired) == []


@pytest.mark.parametrize(
    ("current", "desired", "found"),
    [
        ({"a": {"b": 1}}, {"a": {"b": 2}}, Change("a.b", 1, 2)),
        ({}, {"a": 1}, Change("a", None, 1)),
        ({"a": False}, {"a": 0}, Change("a", False, 0)),
        ({"a": True}, {"a": 1}, Change("a", True, 1)),
        ({"id": DISK}, {"id": f"{DISK}2"}, Change("id", DISK, f"{DISK}2")),
        (
            {"tags": {"a": "1", "b": "2"}},
            {"tags": {"a": "1"}},
            Change("tags", {"a": "1", "b": "2"}, {"a": "1"}),
        ),
        ({"d": [1]}, {"d": [1, 2]}, Change("d", [1], [1, 2])),
        ({"d": [1, 2]}, {"d": [1, 3]}, Change("d[1]", 2, 3)),
        (
            {"p": {"d": [{"lun": 2, "caching": "None"}, {"lun": 0, "caching": "None"}]}},
            {"p": {"d": [{"lun": 0, "caching": "None"}, {"lun": 2, "caching": "ReadOnly"}]}},
            Change("p.d[lun=2].caching", "None", "ReadOnly"),
        ),
        ({"d": [{"lun": 0}]}, {"d": [{"lun": 1}]}, Change("d", [{"lun": 0}], [{"lun": 1}])),
        ({"caching": "None"}, {"caching": "none"}, Change("caching", "None", "none")),
    ],
)
def test_differences_name_their_path(current: dict[str, Any], desired: dict[str, Any], found: Change) -> None:
    assert changes(current, desired) == [found]


def test_a_change_reads_as_a_sentence_part() -> None:
    assert str(Change("osDisk.caching", "None", "ReadOnly")) == "osDisk.caching: 'None' -> 'ReadOnly'"


@pytest.mark.parametrize(
    ("current", "wanted", "append", "result"),
    [
        ({"a": "1"}, None, True, {"a": "1"}),
        ({"a": "1"}, None, False, {"a": "1"}),
        ({"a": "1"}, {"b": 2}, True, {"a": "1", "b": "2"}),
        ({"a": "1"}, {"b": "2"}, False, {"b": "2"}),
        ({"a": "1"}, {}, False, {}),
        (None, {"a": None}, True, {"a": ""}),
        ({"Env": "x"}, {"env": "y"}, True, {"Env": "y"}),
        ({"Env": "x", "b": "1"}, {"env": "x"}, False, {"Env": "x"}),
    ],
)
def test_merging_tags(
    current: dict[str, str] | None, wanted: dict[str, Any] | None, append: bool, result: dict[str, str]
) -> None:
    assert merged_tags(current, wanted, append) == result


# No two names that differ in case alone: a resource cannot have them, and options with them are refused.
_TAGS = st.dictionaries(st.text(max_size=3), st.text(max_size=3)).filter(
    lambda tags: len({name.casefold() for name in tags}) == len(tags)
)


@given(_TAGS, _TAGS)
def test_merged_tags_are_merged_once_and_for_all(current: dict[str, str], wanted: dict[str, str]) -> None:
    for append in (True, False):
        once = merged_tags(current, wanted, append)
        assert merged_tags(once, wanted, append) == once
