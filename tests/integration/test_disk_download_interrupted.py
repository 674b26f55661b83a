# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""disk_download that is stopped half-way, or whose access runs out; and what it needs on the way."""

from __future__ import annotations

import re
import uuid
from pathlib import Path

import pytest

from tests.integration.cloud import LocalAzure
from tests.integration.faults import faults, rule
from tests.integration.plays import Player
from tests.integration.test_disk_upload_interrupted import Running, wait_for
from tests.integration.test_disk_upload_memory import MOST, Measuring
from tests.integration.uploads import DISKS, MIB, raw_disk
from tests.unit._transfer.downloads import noted

SLOW = rule("slow", {"service": "blob", "method": "GET"}, "trickle", bytes_per_second=3 * MIB)


class Cloud:
    """A disk "web" and a gallery version of it, and what is in Azure besides."""

    def __init__(self, azure: LocalAzure, play: Player, group: str, raw: Path) -> None:
        self.azure = azure
        self.play = play
        self.group = group
        self.raw = raw
        upload = {"path": str(raw), "resource_group": group, "disk_name": "web", "os_type": "Linux"}
        play.module("disk_upload", upload).succeeded()
        disk = {"id": azure.id(group, DISKS, "web")}
        self.gallery = f"g{uuid.uuid4().hex[:8]}"
        gallery = azure.id(group, "Microsoft.Compute/galleries", self.gallery)
        azure.put(gallery, {"location": "eastus", "properties": {}})
        identifier = {"publisher": "p", "offer": "o", "sku": "s"}
        definition = {
            "osType": "Linux",
            "osState": "Specialized",
            "hyperVGeneration": "V1",
            "identifier": identifier,
        }
        azure.put(f"{gallery}/images/web", {"location": "eastus", "properties": definition})
        profile = {"publishingProfile": {"targetRegions": [{"name": "eastus"}]}}
        stored = {"storageProfile": {"osDiskImage": {"source": disk}}}
        version = {"location": "eastus", "properties": {**profile, **stored}}
        azure.put(f"{gallery}/images/web/versions/1.0.0", version)

    def disk_options(self, path: Path) -> dict[str, object]:
        return {"path": str(path), "resource_group": self.group, "disk_name": "web", "connections": 2}

    def version_options(self, path: Path) -> dict[str, object]:
        options: dict[str, object] = {"path": str(path), "resource_group": self.group, "connections": 2}
        return {**options, "gallery_name": self.gallery, "gallery_image": "web"}

    def disks(self) -> dict[str, str]:
        """State by name."""
        listed = self.azure.get(self.azure.id(self.group, DISKS, "").rstrip("/"))["value"]
        return {item["name"]: item["properties"]["diskState"] for item in listed}


@pytest.fixture(scope="module")
def cloud(azure: LocalAzure, play: Player, group: str, tmp_path_factory: pytest.TempPathFactory) -> Cloud:
    raw = raw_disk(tmp_path_factory.mktemp("large") / "large.raw", size=60 * MIB, filled=50 * MIB)
    return Cloud(azure, play, group, raw)


def test_an_interrupted_download_gives_its_access_back(cloud: Cloud, tmp_path: Path) -> None:
    path = tmp_path / "interrupted.raw"
    with faults(cloud.azure, SLOW):
        running = Running(cloud.play, cloud.version_options(path), "disk_download")
        try:
            wait_for(lambda: noted(path) > 0, 120)
        finally:
            running.interrupt()
        # The module goes on cleaning up after the playbook has gone.
        wait_for(lambda: cloud.disks() == {"web": "Unattached"}, 60)
    assert not path.exists()


def test_a_terminated_module_gives_its_access_back_and_says_what_it_keeps(
    cloud: Cloud, tmp_path: Path
) -> None:
    path = tmp_path / "terminated.raw"
    with faults(cloud.azure, SLOW):
        running = Running(cloud.play, cloud.disk_options(path), "disk_download")
        try:
            wait_for(lambda: "received" in running.output() and noted(path) > 0, 120)
            running.terminate_module()
        finally:
            running.ended()
    assert "The download was interrupted; the next run goes on with what has arrived." in running.output()
    assert re.search(
        r"terminated.raw: received \d+ MB, \d+ % of 5\d MB of data, [0-9.]+ MB/s", running.output()
    )
    assert cloud.disks() == {"web": "Unattached"}
    again = cloud.play.module("disk_download", cloud.disk_options(path)).succeeded().last
    assert again["bytes_resumed"] > 0 and path.read_bytes() == cloud.raw.read_bytes()


def test_a_killed_download_is_gone_on_with(cloud: Cloud, tmp_path: Path) -> None:
    path, version = tmp_path / "killed.qcow2", tmp_path / "killed.raw"
    with faults(cloud.azure, SLOW):
        both = [
            Running(cloud.play, cloud.disk_options(path), "disk_download"),
            Running(cloud.play, cloud.version_options(version), "disk_download"),
        ]
        try:
            wait_for(lambda: noted(path) > 0 and noted(version) > 0, 120)
        finally:
            for running in both:
                running.kill()
    left = cloud.disks()
    assert left.pop("web") == "ActiveSAS" and list(left.values()) == ["ActiveSAS"]
    other = cloud.play.module("disk_download", cloud.disk_options(tmp_path / "other.raw"))
    other.failed_with("being read by somebody else")
    again = cloud.play.module("disk_download", cloud.disk_options(path)).succeeded().last
    assert again["bytes_resumed"] > 0 and again["matches_upload"]
    again = cloud.play.module("disk_download", cloud.version_options(version)).succeeded().last
    assert again["bytes_resumed"] > 0 and version.read_bytes() == cloud.raw.read_bytes()
    assert cloud.disks() == {"web": "Unattached"}


def test_access_that_runs_out_is_granted_anew(cloud: Cloud, tmp_path: Path) -> None:
    path = tmp_path / "expired.raw"
    expired = rule("expired", {"service": "blob", "method": "GET", "nth": 8}, "expire_sas")
    with faults(cloud.azure, expired) as hits:
        cloud.play.module("disk_download", cloud.disk_options(path)).succeeded()
    assert hits["expired"] == 1
    assert path.read_bytes() == cloud.raw.read_bytes()


def test_what_is_damaged_or_cut_on_its_way_is_fetched_again(cloud: Cloud, tmp_path: Path) -> None:
    path = tmp_path / "damaged.raw"
    only_content = {"service": "blob", "method": "GET"}
    wrong = [
        rule("corrupt", {**only_content, "nth": [5, 9]}, "corrupt", what="answer"),
        rule("cut", {**only_content, "nth": [6]}, "truncate"),
        rule("busy", {**only_content, "nth": [7, 11]}, "throttle", retry_after=1),
        rule("dropped", {**only_content, "nth": [8, 12]}, "drop", when="during"),
    ]
    with faults(cloud.azure, *wrong) as hits:
        cloud.play.module("disk_download", cloud.disk_options(path)).succeeded()
    assert min(hits.by_rule.values()) >= 1
    assert path.read_bytes() == cloud.raw.read_bytes()
    assert cloud.disks() == {"web": "Unattached"}


def test_a_failed_download_gives_its_access_back(cloud: Cloud, tmp_path: Path) -> None:
    path = tmp_path / "failed.raw"
    refused = rule("refused", {"service": "blob", "method": "GET", "after": 0}, "error", status=403)
    with faults(cloud.azure, refused):
        run = cloud.play.module("disk_download", cloud.version_options(path))
    run.failed_with("HTTP 403")
    assert cloud.disks() == {"web": "Unattached"}
    assert not list(tmp_path.iterdir())


def test_a_dense_disk_needs_little_memory(cloud: Cloud, tmp_path: Path) -> None:
    """With Azure's SDK in the process, and as many connections as there are by default."""
    options = cloud.disk_options(tmp_path / "dense.qcow2")
    del options["connections"]
    peak, result = Measuring(cloud.play, tmp_path).peak("disk_download", **options)
    assert result["bytes_received"] > 50 * MIB
    assert peak <= MOST, f"{peak:.0f} MiB"
