# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Tags by which temporary resources are known again."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import InvalidInput
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.temporary import (
    Build,
    belongs_to,
    build_id_of,
    build_of,
    derived_build_id,
    expiry,
    has_expired,
    is_temporary,
    new_build,
    source_tag,
    temporary_tags,
)

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=timezone.utc)
MACHINE = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Compute/virtualMachines/web"


def tagged(**changes: str) -> dict[str, object]:
    tags = temporary_tags(new_build("b1", 24, NOW), "twin", MACHINE)
    return {"tags": {**tags, **changes}}


def test_the_tags_name_purpose_build_expiry_in_utc_and_source() -> None:
    there = datetime(2026, 3, 1, 14, 0, tzinfo=timezone(timedelta(hours=2)))
    assert temporary_tags(Build("b1", there), "twin", MACHINE) == {
        "goldenimage_temporary": "twin",
        "goldenimage_build": "b1",
        "goldenimage_expires": "2026-03-01T12:00:00Z",
        "goldenimage_source": MACHINE,
    }


def test_a_resource_expires_with_the_hour_it_was_given_and_not_a_second_before() -> None:
    ends = NOW + timedelta(hours=24)
    assert expiry(tagged()) == ends
    assert has_expired(tagged(), ends)
    assert not has_expired(tagged(), ends - timedelta(seconds=1))


@pytest.mark.parametrize("missing", ["goldenimage_temporary", "goldenimage_build", "goldenimage_expires"])
def test_without_one_of_the_tags_nothing_is_ours_to_collect(missing: str) -> None:
    resource = tagged(**{missing: ""})
    assert not is_temporary(resource)
    assert build_of(resource) is None
    assert not has_expired(resource, NOW + timedelta(days=999))


@pytest.mark.parametrize("value", ["soon", "2026-13-01T00:00:00Z", "2026-03-01T00:00:00"])
def test_an_expiry_that_is_no_time_with_a_zone_never_passes(value: str) -> None:
    assert not has_expired(tagged(goldenimage_expires=value), NOW + timedelta(days=999))


def test_tag_names_in_another_case_are_the_same_tags() -> None:
    tags = temporary_tags(new_build("b1", 1, NOW), "twin", MACHINE)
    assert belongs_to({"tags": {name.upper(): value for name, value in tags.items()}}, "b1", MACHINE.upper())


def test_another_build_or_source_is_not_ours() -> None:
    assert not belongs_to(tagged(), "b2")
    assert not belongs_to(tagged(), "b1", MACHINE + "2")
    assert not belongs_to({"tags": None}, "b1")


def test_a_source_id_that_no_tag_can_hold_is_cut_and_still_tells_sources_apart() -> None:
    longest = MACHINE + "x" * 300
    assert len(source_tag(longest)) == 256
    assert source_tag(longest) != source_tag(longest + "y")
    assert source_tag(MACHINE) == MACHINE


def test_the_derived_id_is_the_same_for_the_same_work_only() -> None:
    first = derived_build_id(MACHINE, "image/a", "gallery/b")
    assert first == derived_build_id(MACHINE.upper() + "/", "gallery/B", "image/a")
    assert first != derived_build_id(MACHINE, "image/a")
    assert first != derived_build_id(MACHINE + "2", "image/a", "gallery/b")
    assert new_build(first, 1, NOW).id == first


@pytest.mark.parametrize("bad", ["", "Build", "a_b", "-a", "a-", "a" * 41, "a/b"])
def test_a_build_id_that_no_name_can_hold_is_refused(bad: str) -> None:
    with pytest.raises(InvalidInput, match="build_id"):
        new_build(bad, 24, NOW)


@pytest.mark.parametrize("hours", [0, -1, 10**9])
def test_an_expiry_in_the_past_or_beyond_all_time_is_refused(hours: int) -> None:
    with pytest.raises(InvalidInput, match="expires_after"):
        new_build("b1", hours, NOW)


def test_builds_of_files_that_differ_in_the_case_of_a_letter_are_two() -> None:
    assert build_id_of("version /srv/A.vhd") == build_id_of("version /srv/A.vhd")
    assert build_id_of("version /srv/A.vhd") != build_id_of("version /srv/a.vhd")
