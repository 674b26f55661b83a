# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Numbers of versions that are counted, taken from the day, or from the source."""

from __future__ import annotations

from datetime import date

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import InvalidInput
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.names import version_number
from ansible_collections.goldenimage.azure.plugins.module_utils._gallery.version_numbers import (
    AUTOMATIC,
    next_number,
)
from hypothesis import given
from hypothesis import strategies as st

TODAY = date(2026, 1, 9)
_PART = st.integers(0, 2**31 - 2)
_NAMES = st.lists(st.tuples(_PART, _PART, _PART).map(lambda parts: ".".join(map(str, parts))), max_size=6)


@pytest.mark.parametrize(
    ("how", "taken", "number"),
    [
        ("next_patch", [], "1.0.0"),
        ("next_patch", ["1.0.9", "1.0.10"], "1.0.11"),
        ("next_minor", ["1.2.9", "1.10.3"], "1.11.0"),
        ("next_major", ["9.0.0", "10.4.2"], "11.0.0"),
        ("date", ["3000.0.0"], "2026.109.0"),
        ("date", ["2026.109.0", "2026.109.4", "2026.1109.9"], "2026.109.5"),
    ],
)
def test_the_next_number(how: str, taken: list[str], number: str) -> None:
    assert next_number(how, taken, TODAY) == number


@pytest.mark.parametrize(
    ("source", "number"), [("24.04.202410170", "24.4.202410170"), ("1.2.3", "1.2.3"), ("0.0.0", "0.0.0")]
)
def test_the_number_of_the_source_without_its_leading_zeros(source: str, number: str) -> None:
    assert next_number("source", ["9.9.9"], TODAY, source) == number


@pytest.mark.parametrize("source", [None, "", "latest", "1.2", "1.2.99999999999"])
def test_a_source_without_a_number_for_a_gallery(source: str | None) -> None:
    with pytest.raises(InvalidInput, match="which is none for a gallery"):
        next_number("source", [], TODAY, source)


def test_numbers_end() -> None:
    with pytest.raises(InvalidInput, match="there is no next patch version"):
        next_number("next_patch", ["1.0.2147483647"], TODAY)
    assert next_number("next_minor", ["1.0.2147483647"], TODAY) == "1.1.0"


@given(_NAMES, st.sampled_from([how for how in AUTOMATIC if how != "source"]))
def test_a_new_number_is_a_number_that_nobody_has(taken: list[str], how: str) -> None:
    made = version_number(next_number(how, taken, TODAY))
    assert made is not None
    assert str(made) not in taken
    if how != "date":
        assert all(made > (version_number(name) or ()) for name in taken)


@pytest.mark.parametrize("text", ["1.0", "1.0.0.0", "v1.0.0", "1.0.-1", "1.0.2147483648", "١.0.0", "1.0.0\n"])
def test_what_is_no_version(text: str) -> None:
    assert version_number(text) is None
