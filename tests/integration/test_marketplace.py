# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""marketplace_info and marketplace_terms: looked through, read, accepted once, with a record."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import AzureError
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession
from ansible_collections.goldenimage.azure.plugins.module_utils._image.marketplace_browsing import (
    Browser,
    Query,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.marketplace_terms import ensure_terms

from tests.integration.cloud import LocalAzure
from tests.integration.plays import Player

SQL = "MicrosoftSQLServer"


def browse(session: AzureSession, **options: Any) -> tuple[list[dict[str, Any]], int]:
    browser = Browser(session, Query.from_options(options, "eastus"))
    return browser.browse(), browser.requests


def names(found: list[dict[str, Any]]) -> list[str]:
    return [
        ":".join(each[part] for part in ("publisher", "offer", "sku", "version") if part in each)
        for each in found
    ]


def test_each_level_is_listed_below_what_is_named_with_one_request(session: AzureSession) -> None:
    publishers, asked = browse(session)
    assert {"publisher": "Debian"} in publishers
    assert asked == 1
    offers, asked = browse(session, publisher="debian")
    assert {"debian:debian-12", "debian:debian-11"} <= set(names(offers))
    assert asked == 1
    skus, asked = browse(session, publisher="Debian", offer="debian-12")
    assert "Debian:debian-12:12-gen2" in names(skus)
    assert asked == 1
    versions, asked = browse(session, publisher="almalinux", offer="almalinux-x86_64", sku="9-gen2")
    assert names(versions) == [
        "almalinux:almalinux-x86_64:9-gen2:9.5.2024112101",
        "almalinux:almalinux-x86_64:9-gen2:9.4.2024050701",
    ]
    assert versions[0]["urn"] == names(versions)[0]
    assert asked == 1


def test_wildcards_and_words_find_application_images(session: AzureSession) -> None:
    found, asked = browse(session, publisher="*sql*", offer="sql20*", level="skus", search="GEN2 standard")
    assert "MicrosoftSQLServer:sql2019-ws2022:standard-gen2" in names(found)
    assert all("gen2" in name and "standard" in name for name in names(found))
    offers, _asked = browse(session, publisher=SQL)
    # The publishers, its offers, and the SKUs of those that fit.
    assert asked <= 2 + len(offers)


def test_details_tell_generation_architecture_plan_and_deprecation(session: AzureSession) -> None:
    (debian,), asked = browse(
        session, publisher="Debian", offer="debian-10", sku="10", level="versions", details=True
    )
    assert (debian["generation"], debian["architecture"], debian["os_type"]) == ("V1", "x64", "Linux")
    assert debian["deprecation"]["state"] == "ScheduledForDeprecation"
    assert debian["plan"] == {}
    assert asked == 1
    skus, asked = browse(session, publisher="resf", offer="rockylinux-x86_64", level="skus", details=True)
    rocky = {each["sku"]: each for each in skus}["9-base"]
    assert rocky["version"] == "9.5.20241118"
    assert rocky["plan"] == {"publisher": "resf", "product": "rockylinux-x86_64", "name": "9-base"}
    assert rocky["security_type"] == "TrustedLaunchSupported"
    assert asked == 1 + 2 * len(skus)
    (newest,), asked = browse(
        session, publisher="resf", offer="rockylinux-x86_64", sku="9-base", newest=1, details=True
    )
    assert newest == rocky
    assert asked == 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"publisher": "Nobody"}, "Nobody"),
        ({"publisher": "Debian", "offer": "none"}, "not found"),
        ({"offer": "sql*", "level": "publishers"}, "offer"),
        ({"newest": 0}, "newest"),
        ({"details": True}, "details"),
    ],
)
def test_what_cannot_be_looked_for_is_said(session: AzureSession, options: dict[str, Any], said: str) -> None:
    with pytest.raises(AzureError, match=said):
        browse(session, **options)


@pytest.fixture(scope="module")
def plan(azure: LocalAzure) -> Iterator[dict[str, str]]:
    """A plan of which no other test needs to know whether it is accepted."""
    plan = {"publisher": "resf", "product": "rockylinux-x86_64", "name": "8-base"}
    agreement = (
        f"/subscriptions/{azure.subscription_id}/providers/Microsoft.MarketplaceOrdering/offerTypes/"
        "virtualmachine/publishers/resf/offers/rockylinux-x86_64/plans/8-base/agreements/current"
    )
    yield plan
    terms = azure.get(agreement)
    assert terms["properties"]["accepted"] is False


def test_terms_are_read_accepted_once_with_a_record_and_cancelled(
    azure: LocalAzure, play: Player, plan: dict[str, str], tmp_path: Path
) -> None:
    record = tmp_path / "audit.jsonl"
    module = "goldenimage.azure.marketplace_terms"
    source = {"source": "resf:rockylinux-x86_64:8-base:latest", "location": "eastus"}
    accept = {"plan": plan, "state": "accepted", "audit_file": str(record)}
    digest = "{{ shown.terms.terms_digest }}"
    mark = azure.mark()
    tasks: list[dict[str, Any]] = [
        {"name": "show", module: source, "register": "shown"},
        {"name": "foresee", module: accept, "check_mode": True},
        {"name": "stale", module: {**accept, "terms_digest": "0" * 64}, "ignore_errors": True},
        {"name": "nowhere", module: {**accept, "audit_file": "/none/a"}, "ignore_errors": True},
        {"name": "accept", module: {**accept, "terms_digest": digest}, "diff": True},
        {"name": "repeat", module: {**source, "state": "accepted", "audit_file": str(record)}},
        {"name": "cancel", module: {**accept, "state": "cancelled"}},
        {
            "name": "none",
            module: {"source": "Debian:debian-12:12:latest", "location": "eastus", "state": "accepted"},
        },
    ]
    done = play(tasks, diff=True)
    assert done.rc == 0, done.output
    run = done.tasks
    assert run["show"]["terms"]["accepted"] is False
    assert run["show"]["terms"]["links"]["license_text"].startswith("https://")
    assert not run["show"].changed
    assert run["foresee"].changed
    assert "other texts" in run["stale"].msg
    assert "audit_file" in run["nowhere"].msg
    assert run["accept"].changed
    assert run["accept"]["terms"]["accepted"] is True
    assert run["accept"]["actions"] == run["foresee"]["actions"]
    assert not run["repeat"].changed
    assert run["cancel"].changed
    assert run["none"]["terms"] == {}
    assert not run["none"].changed
    assert len(azure.writes(mark)) == 2
    lines = [json.loads(line) for line in record.read_text().splitlines()]
    assert [line["action"] for line in lines] == ["accepted", "cancelled"]
    assert lines[0] == run["accept"]["audit"]
    assert lines[0]["who"]["appid"] == azure.env["AZURE_CLIENT_ID"]
    assert lines[0]["terms_digest"] == run["show"]["terms"]["terms_digest"]
    assert record.stat().st_mode & 0o077 == 0


def test_an_unknown_plan_is_said(session: AzureSession) -> None:
    plan = {"publisher": "nobody", "product": "nothing", "name": "never"}
    with pytest.raises(AzureError, match="no plan never"):
        ensure_terms(session, plan, {"state": "accepted"}, check_mode=False)
