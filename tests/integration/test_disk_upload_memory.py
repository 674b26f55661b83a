# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""How much memory the process of the module disk_upload takes, as Ansible starts it, whatever the disk."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.integration.cloud import LocalAzure
from tests.integration.page_sink import page_sink
from tests.integration.plays import Player
from tests.integration.test_disk_upload_blob import Account
from tests.integration.uploads import MIB, converted, raw_disk
from tests.unit._disk.samples import qemu_img, write_sparse

MOST = 128  # MiB
TIB = 1 << 40
LARGEST_BLOB = 8 * TIB - MIB  # the footer needs room, and sizes are whole MiB
#: Stands between Ansible and Python, and notes what the module's process had in memory at most, in KiB.
WRAPPER = """#!{python}
import os, resource, subprocess, sys
status = subprocess.call([{python!r}, *sys.argv[1:]])
with open(os.environ["PEAK_FILE"], "a") as file:
    file.write(f"{{resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss}}\\n")
sys.exit(status)
"""


class Measured(NamedTuple):
    """`peak`: MiB; `result`: the module's; `ranges`: how many the service has."""

    peak: float
    result: dict[str, Any]
    ranges: int


class Measuring:
    """Runs the module and measures it."""

    def __init__(self, play: Player, folder: Path) -> None:
        self._play = play
        self._peak_file = folder / "peak"
        self._python = folder / "measured-python"
        self._python.write_text(WRAPPER.format(python=sys.executable), encoding="utf-8")
        self._python.chmod(0o755)

    def peak(self, module: str = "disk_upload", /, **options: Any) -> tuple[float, dict[str, Any]]:
        task = {
            "name": "move",
            f"goldenimage.azure.{module}": options,
            "vars": {"ansible_python_interpreter": str(self._python)},
        }
        self._peak_file.unlink(missing_ok=True)
        run = self._play([task], env={"PEAK_FILE": str(self._peak_file)}).succeeded()
        peaks = self._peak_file.read_text(encoding="ascii").split()
        return max(map(int, peaks)) / 1024, run.last.result

    def into_sink(self, path: Path, **options: Any) -> Measured:
        """With as many connections as there may be."""
        with page_sink() as sink:
            peak, result = self.peak(path=str(path), sas_url=sink.url, connections=12, **options)
        return Measured(peak, result, len(sink.ranges))


@pytest.fixture(scope="module")
def measuring(play: Player, tmp_path_factory: pytest.TempPathFactory) -> Measuring:
    return Measuring(play, tmp_path_factory.mktemp("measured"))


def scattered(path: Path, driver: str, size: int, places: int, *options: str) -> Path:
    """A sparse disk of `driver` with 4 KiB of data at so many places, evenly over its whole size."""
    qemu_img("create", "-q", "-f", driver, *options, path, str(size))
    step = size // places // MIB * MIB
    commands = "".join(f"write -q -P 7 {number * step} 4k\n" for number in range(places))
    subprocess.run(
        ["qemu-io", "-f", driver, path], input=commands, check=True, capture_output=True, text=True
    )
    return path


HUGE: dict[str, tuple[str, int, int, tuple[str, ...]]] = {
    "qcow2": ("qcow2", 4 * TIB, 600, ()),
    "qcow2 of the largest clusters": ("qcow2", LARGEST_BLOB, 160, ("-o", "cluster_size=2M")),
    "vhdx": ("vhdx", 4 * TIB, 60, ()),
    "vmdk": ("vmdk", 2 * TIB - MIB, 600, ()),
    "dynamic vhd": ("vpc", 2040 << 30, 400, ("-o", "force_size=on")),
}


@pytest.mark.parametrize("name", HUGE)
def test_a_huge_disk_of_an_image_format_needs_little(measuring: Measuring, tmp_path: Path, name: str) -> None:
    driver, size, places, options = HUGE[name]
    measured = measuring.into_sink(scattered(tmp_path / "disk", driver, size, places, *options))
    assert measured.ranges == places + 1
    assert measured.peak <= MOST, f"{measured.peak:.0f} MiB"


def test_the_largest_blob_needs_little_and_so_does_going_on_with_it(
    measuring: Measuring, play: Player, tmp_path: Path
) -> None:
    disk = write_sparse(
        tmp_path / "disk.raw", LARGEST_BLOB, [(number * TIB, os.urandom(40 * MIB)) for number in range(8)]
    )
    with page_sink() as sink:
        options = {"path": str(disk), "sas_url": sink.url, "allow_unpartitioned": True, "connections": 12}
        sink.refuses_after = 40
        play.module("disk_upload", options).failed_with("AuthenticationFailed", "was kept")
        sink.refuses_after = None
        peak, result = measuring.peak(**options)
    assert result["bytes_resumed"] >= 40 * 4 * MIB
    assert len(sink.ranges) == 8 * 10 + 1
    assert peak <= MOST, f"{peak:.0f} MiB"


def test_many_ranges_need_little(measuring: Measuring, tmp_path: Path) -> None:
    block = b"\1" * 4096
    places = 100_000
    disk = write_sparse(
        tmp_path / "disk.raw", places << 17, [(number << 17, block) for number in range(places)]
    )
    measured = measuring.into_sink(disk, allow_unpartitioned=True)
    assert measured.ranges == places + 1
    assert measured.peak <= MOST, f"{measured.peak:.0f} MiB"


# With Azure's SDK in the process, and as many connections as there are by default.


@pytest.fixture(scope="module")
def dense(tmp_path_factory: pytest.TempPathFactory) -> Path:
    raw = raw_disk(tmp_path_factory.mktemp("dense") / "dense.raw", size=132 * MIB, filled=120 * MIB)
    return converted(raw, raw.with_suffix(".qcow2"), "-O", "qcow2", "-c")


def test_a_dense_managed_disk_needs_little(measuring: Measuring, group: str, dense: Path) -> None:
    disk = {"resource_group": group, "disk_name": "dense", "os_type": "Linux"}
    peak, result = measuring.peak(path=str(dense), verify="full", **disk)
    assert result["bytes_sent"] > 120 * MIB
    assert peak <= MOST, f"{peak:.0f} MiB"


def test_a_dense_blob_of_an_account_needs_little(
    measuring: Measuring, azure: LocalAzure, group: str, dense: Path
) -> None:
    blob = {"storage_account": Account(azure, group).name, "container": "vhds", "blob": "dense.vhd"}
    peak, result = measuring.peak(path=str(dense), resource_group=group, **blob)
    assert result["bytes_sent"] > 120 * MIB
    assert peak <= MOST, f"{peak:.0f} MiB"


def test_what_sends_a_disk_on_another_host_needs_little(
    measuring: Measuring, group: str, dense: Path
) -> None:
    disk = {"resource_group": group, "disk_name": "elsewhere", "sign_in_on": "controller"}
    peak, result = measuring.peak(path=str(dense), connections=12, verify="full", **disk)
    assert result["bytes_sent"] > 120 * MIB
    assert peak <= MOST, f"{peak:.0f} MiB"
