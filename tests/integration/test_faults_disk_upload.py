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


def grants(azure: LocalAzure, mark: int, name: str) -> int:
    return sum(write.endswith(f"/disks/{name}/beginGetAccess") for write in azure.writes(mark))


def test_access_that_runs_out_is_granted_anew(azure: LocalAzure, play: Player, group: str, raw: Path) -> None:
    mark = azure.mark()
    with faults(azure, rule("expired", {**PUT, "nth": [3, 4]}, "expire_sas")):
        done = play.module("disk_upload", options(raw, group, "renewed")).succeeded().last
    assert done["bytes_resumed"] == 0
    assert 2 <= grants(azure, mark, "renewed") <= 3
    assert disk_content(azure, group, "renewed") == raw.read_bytes()


def test_an_upload_that_cannot_go_on_is_kept_and_gone_on_with(
    azure: LocalAzure, play: Player, group: str, raw: Path
) -> None:
    with faults(azure, rule("expired", {**PUT, "nth": list(range(4, 100))}, "expire_sas")):
        failed = play.module("disk_upload", options(raw, group, "kept")).failed_with("AuthenticationFailed")
    assert "403" in failed.msg and "was kept: run the task again" in failed.msg
    disk = azure.get(azure.id(group, DISKS, "kept"))
    assert disk["properties"]["diskState"] == "ActiveUpload" and "goldenimage_upload" in disk["tags"]
    done = play.module("disk_upload", {**options(raw, group, "kept"), "verify": "full"}).succeeded().last
    assert done["bytes_resumed"] >= 4 * MIB
    assert done["actions"][0].startswith("Went on with disk kept ")
    assert "goldenimage_upload" not in done["disk"]["tags"]
    assert disk_content(azure, group, "kept") == raw.read_bytes()


def test_an_upload_that_cannot_go_on_and_shall_not_be_kept_leaves_no_disk_and_no_access(
    azure: LocalAzure, play: Player, group: str, raw: Path
) -> None:
    mark = azure.mark()
    wanted = {**options(raw, group, "no-sas"), "resume": False}
    with faults(
        azure, rule("forbidden", {**PUT, "nth": 4}, "error", status=403, code="AuthorizationFailure")
    ):
        play.module("disk_upload", wanted).failed_with("AuthorizationFailure", "403")
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
