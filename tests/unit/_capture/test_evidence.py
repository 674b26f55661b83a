# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What counts as proof that a guest was generalized, and what does not."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._capture.evidence import (
    MARK_TAG,
    find_evidence,
    mark,
)

from tests.unit._capture.machines import disk, machine, request

MARKED = datetime(2026, 11, 21, 8, 0, 0, tzinfo=timezone.utc)


def owned(moment: str) -> Any:
    return disk(None, LastOwnershipUpdateTime=moment)


@pytest.mark.parametrize(
    "moment",
    ["2026-11-21T07:59:59.9999999+00:00", "2026-11-21T08:00:00.5+00:00", "2026-11-21T10:00:00.1+02:00", ""],
)
def test_the_tag_counts_for_a_machine_that_was_not_started_since(moment: str) -> None:
    source = machine(owned(moment), tags={MARK_TAG: mark("ONE", MARKED)})
    assert find_evidence(request(), source).how == "tag"


@pytest.mark.parametrize("moment", ["2026-11-21T08:00:01+00:00", "2026-11-21T05:00:01-04:00"])
def test_the_tag_does_not_count_after_a_start_or_a_deallocation(moment: str) -> None:
    for power in ("stopped", "deallocated"):
        source = machine(owned(moment), power=power, tags={MARK_TAG: mark("one", MARKED)})
        found = find_evidence(request(), source)
        assert found.how is None
        assert "started or deallocated" in found.why


def test_the_build_s_own_deallocation_does_not_take_the_proof_away() -> None:
    moment = "2026-11-21T08:01:00+00:00"
    tags = {MARK_TAG: mark("one", MARKED, request().build_id)}
    stopped, deallocated = (
        machine(owned(moment), power=each, tags=tags) for each in ("stopped", "deallocated")
    )
    assert find_evidence(request(), deallocated).how == "tag"
    # Off, but not deallocated: it was started after that.
    assert find_evidence(request(), stopped).how is None
    assert find_evidence(request(build_id="other"), deallocated).how is None


def test_no_tag_counts_for_a_machine_that_runs_and_only_a_linux_guest_is_asked() -> None:
    tags = {MARK_TAG: mark("one", MARKED)}
    found = find_evidence(request(), machine(power="running", tags=tags))
    assert (found.how, found.ask_guest) == (None, True)
    windows = machine(disk(None, "Windows"), power="running", tags=tags)
    assert not find_evidence(request(), windows).ask_guest


def test_what_a_build_deallocates_itself_it_deallocates_within_the_hour() -> None:
    tags = {MARK_TAG: mark("one", MARKED, request().build_id)}
    later = machine(owned("2026-11-21T09:30:00+00:00"), power="deallocated", tags=tags)
    found = find_evidence(request(), later)
    assert found.how is None, "somebody has started and stopped it after the build was killed"


def test_azure_s_own_mark_is_no_proof_and_what_the_user_knows_is() -> None:
    flagged = find_evidence(request(), machine(flagged=True))
    assert (flagged.how, flagged.why) == (None, "it has no tag goldenimage_generalized.")
    assert find_evidence(request(assume_generalized=True), machine(power="running")).how == "assumed"


def test_what_one_build_has_proved_and_marked_another_build_may_capture_too() -> None:
    moment = "2026-11-21T08:01:00+00:00"
    tags = {MARK_TAG: mark("one", MARKED, "another-build")}
    flagged = machine(owned(moment), power="deallocated", flagged=True, tags=tags)
    assert find_evidence(request(), flagged).how == "tag"
    # Without Azure's mark it may have been started since.
    assert find_evidence(request(), machine(owned(moment), power="deallocated", tags=tags)).how is None
