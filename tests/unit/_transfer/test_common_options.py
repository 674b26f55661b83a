# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Options and tags that uploads, downloads and copies all go by."""

from __future__ import annotations

from pathlib import Path
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
    assert checks_certificates({"cert_validation_mode": option}, signs_in=False) is checked


def test_what_a_profile_says_of_certificates_holds_for_blobs_unless_a_sas_is_all_that_is_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    profile = tmp_path / ".azure" / "credentials"
    profile.parent.mkdir()
    identity = "subscription_id=s\nclient_id=c\nsecret=x\ntenant=t\n"
    profile.write_text(f"[lab]\n{identity}cert_validation_mode=ignore\n", encoding="utf-8")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("AZURE_CERT_VALIDATION_MODE", raising=False)
    assert not checks_certificates({"profile": "lab"}, signs_in=True)
    assert checks_certificates({"profile": "lab"}, signs_in=False)
    assert checks_certificates({"profile": "lab", "cert_validation_mode": "validate"}, signs_in=True)


def test_missing_credentials_are_left_to_be_told_when_they_are_needed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AZURE_CERT_VALIDATION_MODE", "ignore")
    assert not checks_certificates({"profile": "none"}, signs_in=True)


def test_a_mode_that_there_is_not_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_CERT_VALIDATION_MODE", "Ignore")
    with pytest.raises(InvalidInput, match="cert_validation_mode is 'Ignore'"):
        checks_certificates({}, signs_in=False)


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
