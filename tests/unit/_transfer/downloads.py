# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""A VHD in a blob service of the test's own, and downloads of it."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

from ansible_collections.goldenimage.azure.plugins.module_utils._disk.vhd_footer import build_fixed_footer
from ansible_collections.goldenimage.azure.plugins.module_utils._module import Outcome
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer import download_journal
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.download_job import DownloadJob

from tests.integration.plays import COLLECTIONS
from tests.unit._upload.page_blob_server import Answer, Blob, PageBlobServer, Seen

MIB = 1 << 20
SIZE = 64 * MIB
RANGES = [(0, 512), (4 * MIB - 4096, 13 * MIB), (20 * MIB, 44 * MIB), (SIZE - 512, SIZE)]
TOTAL = sum(end - start for start, end in RANGES)
FOOTER = f"bytes={SIZE}-{SIZE + 511}"


def add_vhd(server: PageBlobServer) -> Blob:
    """A VHD with three gaps, one range of zeros in it."""
    made = server.add(SIZE + 512)
    rng = random.Random(11)
    for start, end in RANGES:
        made.data[start:end] = rng.randbytes(end - start)
    made.data[22 * MIB : 23 * MIB] = bytes(MIB)
    made.data[SIZE:] = build_fixed_footer(SIZE, bytes(16))
    made.ranges = [*RANGES, (SIZE, SIZE + 512)]
    return made


def module_options(path: Path, **given: Any) -> dict[str, Any]:
    """All options of the module, those that are not given with their defaults."""
    names = (
        "resource_group disk_name snapshot_name image_name gallery_name gallery_image lun container blob"
        " temporary_resource_group storage_account format bandwidth_limit progress_file sas_url"
    )
    return {
        **dict.fromkeys(names.split()),
        "gallery_image_version": "latest",
        "auth_mode": "key",
        "path": str(path),
        "connections": 4,
        "force": False,
        "wait_timeout": 10,
        **given,
    }


def options(server: PageBlobServer, path: Path, **given: Any) -> dict[str, Any]:
    return module_options(path, sas_url=server.url(), **given)


def download(server: PageBlobServer, path: Path, **given: Any) -> Outcome:
    return DownloadJob(options(server, path, **given), check_mode=False).run(None)


def reads(server: PageBlobServer) -> list[str]:
    """The ranges of content that were asked for."""
    asked = [seen.headers["x-ms-range"] for seen in server.requests if "x-ms-range" in seen.headers]
    return [place for place in asked if place != FOOTER]


def fails_after(reads_that_work: int, code: str = "AuthenticationFailed") -> Any:
    """All reads but the first ones are refused."""
    count = 0

    def fault(_number: int, seen: Seen) -> Answer | None:
        nonlocal count
        if "x-ms-range" not in seen.headers:
            return None
        count += 1
        return Answer(403, code=code) if count > reads_that_work else None

    return fault


def noted(path: Path) -> int:
    """How many pieces the journal of an unfinished download names."""
    try:
        records = Path(f"{path}.part.journal").read_bytes()[download_journal._HEADER :]
    except FileNotFoundError:
        return 0
    return sum(any(records[start : start + 16]) for start in range(0, len(records), 16))


def as_raw(path: Path, disk_format: str) -> bytes:
    """What qemu-img reads from a file."""
    target = path.with_name(f"{path.name}.judged")
    kind = {"vhd": "vpc"}.get(disk_format, disk_format)
    subprocess.run(["qemu-img", "convert", "-f", kind, "-O", "raw", path, target], check=True)
    return target.read_bytes()


_RUNNER = """
import json, sys
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import AzureError
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.download_job import DownloadJob
try:
    done = DownloadJob(json.loads(sys.argv[1]), check_mode=False).run(None)
except AzureError as error:
    sys.exit(str(error))
print(json.dumps(done.result))
"""


def running(given: dict[str, Any]) -> subprocess.Popen[str]:
    """A download in a process of its own, which prints its result or fails with the error's text."""
    return subprocess.Popen(
        [sys.executable, "-c", _RUNNER, json.dumps(given)],
        env={**os.environ, "PYTHONPATH": str(COLLECTIONS)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def result_of(process: subprocess.Popen[str]) -> dict[str, Any]:
    output, problem = process.communicate(timeout=60)
    assert process.returncode == 0, problem
    result: dict[str, Any] = json.loads(output)
    return result
