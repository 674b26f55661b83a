# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""disk_upload of one disk in every format: the blob is what qemu-img makes of the file, and a footer."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.vhd_footer import FIXED, parse_footer

from tests.integration.cloud import LocalAzure
from tests.integration.disk_formats import Formats, Sample
from tests.integration.plays import Player
from tests.integration.test_disk_upload_blob import Account
from tests.integration.uploads import MIB, converted, disk_content, raw_disk
from tests.unit._disk.samples import qemu_img

SIZE = 40 * MIB
ODD = 7 * 512  # bytes that the disk lacks to whole MiB
NAMES = [
    "raw",
    "vhd fixed",
    "vhd dynamic",
    "vhdx dynamic",
    "vhdx fixed",
    "vhdx small blocks",
    "qcow2",
    "qcow2 zlib",
    "qcow2 version 2",
    "qcow2 version 2 zlib",
    "qcow2 large clusters",
    "vmdk sparse",
    "vmdk flat",
    "vmdk stream",
    "qcow2 chain",
    "vmdk chain",
    "qcow2 on raw",
    "vhd differencing",
    "vhdx differencing",
    "vmdk split flat",
    "vmdk split sparse",
    "vmdk stream of VMware",
    "vmdk of ESXi",
]
ODD_NAMES = {
    "raw, odd size": None,
    "vhd fixed, odd size": ("-O", "vpc", "-o", "subformat=fixed,force_size=on"),
    "vhd dynamic, odd size": ("-O", "vpc", "-o", "subformat=dynamic,force_size=on"),
    "qcow2 zlib, odd size": ("-O", "qcow2", "-c"),
    "vmdk stream, odd size": ("-O", "vmdk", "-o", "subformat=streamOptimized"),
}
#: One of the samples goes into a managed disk.
OF_THE_DISK = "qcow2 chain"


class Uploads(NamedTuple):
    """What came of every upload, by the sample's name; `raw` is the disk, padded to whole MiB."""

    raw: bytes
    samples: dict[str, Sample]
    results: dict[str, dict[str, Any]]
    disk: dict[str, Any]


def blob_of(name: str) -> str:
    return name.replace(" ", "-").replace(",", "") + ".vhd"


@pytest.fixture(scope="module")
def account(azure: LocalAzure, group: str) -> Account:
    return Account(azure, group)


@pytest.fixture(scope="module")
def uploads(play: Player, group: str, account: Account, tmp_path_factory: pytest.TempPathFactory) -> Uploads:
    """All samples in one playbook run, each into a blob of its own."""
    folder = tmp_path_factory.mktemp("formats")
    odd = raw_disk(folder / "odd.raw", size=SIZE - ODD)
    raw = folder / "disk.raw"
    raw.write_bytes(odd.read_bytes())
    os.truncate(raw, SIZE)
    samples = {"raw": Sample(raw, "raw", "raw"), **dict(Formats(raw, folder).each())}
    for name, options in ODD_NAMES.items():
        path = odd if options is None else converted(odd, folder / name.replace(" ", "-"), *options)
        driver = "raw" if options is None else options[1]
        samples[name] = Sample(path, driver, name.partition(" ")[0].rstrip(","))
    items = [
        {
            "name": name,
            "path": str(sample.path),
            "url": account.sas_url(blob_of(name), read=True, create=True, write=True, delete=True),
        }
        for name, sample in samples.items()
    ]
    into_blob = {
        "name": "blobs",
        "goldenimage.azure.disk_upload": {"path": "{{ item.path }}", "sas_url": "{{ item.url }}"},
        "loop": items,
        "loop_control": {"label": "{{ item.name }}"},
        "register": "uploaded",
    }
    disk = {"path": str(samples[OF_THE_DISK].path), "resource_group": group, "disk_name": "formats"}
    into_disk = {"name": "disk", "goldenimage.azure.disk_upload": {**disk, "os_type": "Linux"}}
    run = play([into_blob, into_disk]).succeeded()
    results = {item["item"]["name"]: item for item in run.tasks["blobs"]["results"]}
    return Uploads(raw.read_bytes(), samples, results, run.tasks["disk"].result)


def test_every_format_is_among_the_samples(uploads: Uploads) -> None:
    assert set(uploads.samples) == {*NAMES, *ODD_NAMES}
    assert {sample.format for sample in uploads.samples.values()} == {"raw", "vhd", "vhdx", "qcow2", "vmdk"}


@pytest.mark.parametrize("name", [*NAMES, *ODD_NAMES])
def test_the_blob_is_the_disk_as_qemu_img_reads_it_and_a_footer(
    uploads: Uploads, account: Account, tmp_path: Path, name: str
) -> None:
    sample, result = uploads.samples[name], uploads.results[name]
    vhd = tmp_path / "blob.vhd"
    vhd.write_bytes(account.content(blob_of(name)))
    content, footer = vhd.read_bytes()[:-512], parse_footer(vhd.read_bytes()[-512:])
    expected = uploads.raw
    if sample.driver is not None:
        judge = tmp_path / "judge.raw"
        qemu_img("convert", "-f", sample.driver, "-O", "raw", sample.path, judge)
        assert judge.stat().st_size == SIZE - (ODD if name in ODD_NAMES else 0)
        expected = judge.read_bytes().ljust(SIZE, b"\0")
    assert len(content) == SIZE == result["virtual_size"]
    assert content == expected
    assert (footer.disk_type, footer.current_size, footer.original_size) == (FIXED, SIZE, SIZE)
    facts = json.loads(qemu_img("info", "-f", "vpc", "--output=json", vhd))
    assert facts["virtual-size"] == SIZE
    assert result["format"] == sample.format
    assert result["bytes_sent"] == result["bytes_planned"] < 4 * MIB


def test_all_formats_of_one_content_have_one_digest(uploads: Uploads) -> None:
    digests = {result["content_sha256"] for result in uploads.results.values()}
    assert digests == {uploads.disk["content_sha256"]}


def test_a_managed_disk_has_the_same_content(uploads: Uploads, azure: LocalAzure, group: str) -> None:
    assert disk_content(azure, group, "formats") == uploads.raw
    assert uploads.disk["format"] == "qcow2"
    assert uploads.disk["disk"]["disk_size_bytes"] == SIZE
