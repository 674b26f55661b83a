# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""disk_upload against a blob service and a Resource Manager in which things go wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.integration.cloud import LocalAzure
from tests.integration.faults import faults, rule
from tests.integration.plays import Player
from tests.integration.uploads import DISKS, MIB, disk_content, raw_disk

PUT = {"service": "blob", "method": "PUT", "query": {"comp": "page"}}
LIST = {"service": "blob", "method": "GET", "query": {"comp": "pagelist"}}


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return raw_disk(tmp_path_factory.mktemp("faulty") / "web.raw", size=64 * MIB, filled=40 * MIB)


def options(raw: Path, group: str, name: str) -> dict[str, Any]:
    return {"path": str(raw), "resource_group": group, "disk_name": name, "connections": 2}


def test_a_disk_arrives_whole_over_a_bad_line(azure: LocalAzure, play: Player, group: str, raw: Path) -> None:
    disk = f"**/{group}/**/disks/bad-line"
    rules = [
        rule("busy", {**PUT, "nth": [2, 5]}, "throttle", retry_after=1),
        rule("dropped", {**PUT, "nth": [3, 4]}, "drop", when="before"),
        rule("cut", {**PUT, "nth": 6}, "drop", when="during"),
        rule("unheard", {**PUT, "nth": 7}, "drop", when="after"),
        rule("damaged", {**PUT, "nth": 8}, "corrupt", what="request"),
        rule("stalled", {**PUT, "nth": 9}, "stall", seconds=1.5),
        rule("error", {**PUT, "nth": 10}, "error", status=500),
        rule("list-busy", {**LIST, "nth": 1}, "throttle", retry_after=0),
        rule("list-cut", {**LIST, "nth": 2}, "drop", when="during"),
        rule(
            "grant-503", {"method": "POST", "path": f"{disk}/beginGetAccess", "nth": 1}, "error", status=503
        ),
        rule("revoke-503", {"method": "POST", "path": f"{disk}/endGetAccess", "nth": 1}, "error", status=503),
    ]
    with faults(azure, *rules) as hits:
        done = play.module("disk_upload", options(raw, group, "bad-line")).succeeded().last
    assert done.changed
    assert 0 not in hits.by_rule.values(), hits.by_rule
    assert azure.get(azure.id(group, DISKS, "bad-line"))["properties"]["diskState"] == "Unattached"
    assert disk_content(azure, group, "bad-line") == raw.read_bytes()


def test_an_upload_that_cannot_go_on_leaves_no_disk_and_no_access(
    azure: LocalAzure, play: Player, group: str, raw: Path
) -> None:
    mark = azure.mark()
    with faults(azure, rule("expired", {**PUT, "nth": 4}, "expire_sas")):
        failed = play.module("disk_upload", options(raw, group, "no-sas")).failed_with("AuthenticationFailed")
    assert "403" in failed.msg
    assert azure.get(azure.id(group, DISKS, "no-sas")) is None
    assert any(write.endswith("/disks/no-sas/endGetAccess") for write in azure.writes(mark))


def test_one_seed_is_survived_like_any_other(azure: LocalAzure, play: Player, group: str, raw: Path) -> None:
    rules = [
        rule("busy", {**PUT, "probability": 0.15}, "throttle", retry_after=0),
        rule("unheard", {**PUT, "probability": 0.1}, "drop", when="after"),
        rule("arm", {"path": f"**/{group}/**", "method": "GET", "probability": 0.1}, "error", status=503),
    ]
    with faults(azure, *rules, seed=20) as hits:
        play.module("disk_upload", options(raw, group, "seeded")).succeeded()
    assert hits["busy"] + hits["unheard"] > 0
    assert disk_content(azure, group, "seeded") == raw.read_bytes()
