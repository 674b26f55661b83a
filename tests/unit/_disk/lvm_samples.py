# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Disks with logical volumes, made by lvm2 itself; device mapper is not needed."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

MIB = 1 << 20
EXTENT = 4 * MIB
GROUP = "guest-vg"


class Part(NamedTuple):
    """A physical volume to be: where it lies in a file, in bytes."""

    file: Path
    offset: int
    length: int


class Logical(NamedTuple):
    """A logical volume to be made; `more` are options of lvcreate."""

    name: str
    extents: int
    more: tuple[str, ...] = ()


@contextmanager
def loops(parts: Sequence[Part]) -> Iterator[list[str]]:
    """Loop devices of parts of files; skips where there are none."""
    devices: list[str] = []
    try:
        for part in parts:
            command = ["losetup", "--find", "--show", f"--offset={part.offset}", f"--sizelimit={part.length}"]
            done = subprocess.run([*command, str(part.file)], check=False, capture_output=True, text=True)
            if done.returncode:
                pytest.skip(f"no loop devices here: {done.stderr.strip()}")
            devices.append(done.stdout.strip())
        yield devices
    finally:
        for device in devices:
            subprocess.run(["losetup", "--detach", device], check=True)


class Lvm:
    """lvm2 that sees some loop devices and nothing else of this host."""

    def __init__(self, work: Path, devices: Sequence[str]) -> None:
        accepted = "".join(f'"a|^{device}$|",' for device in devices)
        self.config = (
            f'devices {{ filter=[{accepted}"r|.*|"] use_devicesfile=0 }}'
            f'global {{ locking_dir="{work}/lock" event_activation=0 use_lvmpolld=0 }}'
            "activation { udev_sync=0 udev_rules=0 } backup { backup=0 archive=0 }"
        )
        (work / "etc").mkdir(exist_ok=True)
        self.environ = {**os.environ, "LVM_SYSTEM_DIR": str(work / "etc"), "LVM_SUPPRESS_FD_WARNINGS": "1"}

    def __call__(self, command: str, *arguments: str) -> str:
        words = ["lvm", command, "--config", self.config, "--driverloaded", "n", *arguments]
        done = subprocess.run(words, check=False, capture_output=True, text=True, env=self.environ)
        assert not done.returncode, f"{' '.join(words)}: {done.stderr}"
        return done.stdout


def make_group(
    work: Path, parts: Sequence[Part], volumes: Sequence[Logical], script: Sequence[str] = ()
) -> None:
    """A volume group on these parts; `script` are further lvm commands, split at blanks."""
    with loops(parts) as devices:
        lvm = Lvm(work, devices)
        lvm("pvcreate", *devices)
        lvm("vgcreate", GROUP, *devices)
        for volume in volumes:
            size = ["-an", "-Zn", "-Wn", "-y", "-l", str(volume.extents)]
            lvm("lvcreate", *size, "-n", volume.name, *volume.more, GROUP)
        for line in script:
            lvm(*line.split())


def pieces(work: Path, parts: Sequence[Part]) -> dict[str, list[tuple[int, Path, int, int]]]:
    """For each linear volume (start, file, offset in the file, length) in bytes, as `lvs` reports them."""
    with loops(parts) as devices:
        lvm = Lvm(work, devices)
        where = dict(zip(devices, parts, strict=True))
        fields = "lv_name,seg_start_pe,seg_size_pe,devices"
        segments = json.loads(lvm("lvs", "--segments", "-o", fields, "--reportformat", "json"))
        starts = json.loads(lvm("pvs", "-o", "pv_name,pe_start", "--units", "b", "--reportformat", "json"))
    first = {row["pv_name"]: int(row["pe_start"][:-1]) for row in starts["report"][0]["pv"]}
    found: dict[str, list[tuple[int, Path, int, int]]] = {}
    for row in segments["report"][0]["seg"]:
        device, _bracket, extent = row["devices"].rstrip(")").partition("(")
        part = where[device]
        offset = part.offset + first[device] + int(extent) * EXTENT
        start, size = int(row["seg_start_pe"]) * EXTENT, int(row["seg_size_pe"]) * EXTENT
        found.setdefault(row["lv_name"], []).append((start, part.file, offset, size))
    return found


def fill(places: Sequence[tuple[int, Path, int, int]], content: Path) -> None:
    """Write a file into a volume, piece by piece; holes stay holes."""
    for start, file, offset, size in places:
        command = ["dd", f"if={content}", f"of={file}", "bs=1M", "conv=notrunc,sparse", "status=none"]
        count = [f"skip={start // MIB}", f"seek={offset // MIB}", f"count={size // MIB}"]
        subprocess.run([*command, *count], check=True)
