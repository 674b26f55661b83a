# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Options and tags that uploads, downloads and copies all go by."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import InvalidInput
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.common_options import (
    check_pace,
    checks_certificates,
    waiter_of,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.source import known_content


@pytest.mark.parametrize(
    ("option", "variable", "checked"),
    [(None, "", True), (None, "ignore", False), ("validate", "ignore", True), ("ignore", "validate", False)],
)
def test_certificates_are_checked_unless_the_option_or_else_the_environment_says_not(
    monkeypatch: pytest.MonkeyPatch, option: str | None, variable: str, checked: bool
) -> None:
    monkeypatch.setenv("AZURE_CERT_VALIDATION_MODE", variable)
    assert checks_certificates({"cert_validation_mode": option}) is checked


def test_a_mode_that_there_is_not_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_CERT_VALIDATION_MODE", "Ignore")
    with pytest.raises(InvalidInput, match="cert_validation_mode is 'Ignore'"):
        checks_certificates({})


@pytest.mark.parametrize(
    ("connections", "limit", "word"), [(0, None, "connections"), (13, None, "1 to 12"), (1, 99_999, "100000")]
)
def test_numbers_that_make_no_sense_are_refused(connections: int, limit: int | None, word: str) -> None:
    with pytest.raises(InvalidInput, match=word):
        check_pace({"connections": connections, "bandwidth_limit": limit})


def test_a_timeout_is_above_zero() -> None:
    with pytest.raises(InvalidInput, match="wait_timeout is 0"):
        waiter_of({"wait_timeout": 0})
    waiter = waiter_of({"wait_timeout": 5}, wait=False)
    assert (waiter.wait, waiter.timeout) == (False, 5)


@pytest.mark.parametrize(
    ("resource", "known"),
    [
        ({"properties": {}}, "abc"),
        ({"properties": {}, "managedBy": "/vm"}, None),
        ({"properties": {"LastOwnershipUpdateTime": "2026-11-21T08:00:00+00:00"}}, None),
    ],
)
def test_what_an_upload_has_left_is_known_until_a_machine_has_the_disk(
    resource: dict[str, Any], known: str | None
) -> None:
    assert known_content({**resource, "tags": {"goldenimage_content_sha256": "abc"}}) == known
