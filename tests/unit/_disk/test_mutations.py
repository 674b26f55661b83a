# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Damaged disks are read rightly or refused by name, quickly and in little memory.

`make fuzz` tries ten thousand of them.
"""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.open import open_disk
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import DiskError

from tests.unit._disk.samples import KIB, MIB, qemu_img, write_sparse

MUTANTS = int(os.environ.get("DISK_MUTANTS", "150"))
SECONDS_EACH = 5
MEMORY = 512 * MIB
KINDS = {
    "qcow2": ["-O", "qcow2"],
    "qcow2-packed": ["-O", "qcow2", "-c"],
    "vhd-fixed": ["-O", "vpc", "-o", "subformat=fixed,force_size=on"],
    "vhd-dynamic": ["-O", "vpc", "-o", "subformat=dynamic,force_size=on"],
    "vhdx": ["-O", "vhdx", "-o", "block_size=1M"],
    "vmdk": ["-O", "vmdk"],
    "vmdk-stream": ["-O", "vmdk", "-o", "subformat=streamOptimized"],
    "vmdk-split": ["-O", "vmdk", "-o", "subformat=twoGbMaxExtentSparse"],
}
INTERESTING = (b"\0", b"\xff", b"\x01", b"\x7f", b"\x80")


def mutate(path: Path, chance: random.Random) -> None:
    """Damage a file as transfers, crashes and malice do, mostly where its structures are."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        for _unused in range(chance.choice((1, 1, 1, 2, 5, 20))):
            window = chance.choice((80, 1024, 4 * KIB, 64 * KIB, 300 * KIB, 4 * MIB, size))
            offset = chance.randrange(min(window, size))
            if chance.random() < 0.25:
                offset = max(0, size - 1 - offset)
            length = chance.choice((1, 1, 2, 4, 8, 512))
            file.seek(offset)
            if chance.random() < 0.5:
                file.write(chance.choice(INTERESTING) * length)
            else:
                file.write(chance.randbytes(length))
        if chance.random() < 0.15:
            file.truncate(chance.randrange(1, size))


def read_or_refuse(path: Path) -> bool:
    """Read up to 16 MiB of what the disk says it has; False when it was refused."""
    try:
        with open_disk(str(path)) as reader:
            left = 16 * MIB
            for start, length in reader.extents():
                piece = min(length, MIB, left)
                reader.read(start, piece)
                left -= piece
                if left <= 0:
                    break
    except DiskError as error:
        assert str(path.parent) in str(error), f"does not name the file: {error}"
        return False
    return True


def main(folder: Path, name: str, mutants: int) -> None:
    """Damage the disk in `folder` again and again; runs in a process of its own, whose memory is bounded."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    pristine = sorted(folder.iterdir())
    work = folder.parent / "work"
    read = 0
    for seed in range(mutants):
        chance = random.Random(f"{name} {seed}")
        work.mkdir()
        for file in pristine:
            shutil.copyfile(file, work / file.name)
        mutate(work / chance.choice(pristine).name, chance)
        signal.alarm(SECONDS_EACH)
        try:
            read += read_or_refuse(work / "disk.vmdk")
        except BaseException:
            sys.stderr.write(f"{name}, seed {seed}\n")
            raise
        signal.alarm(0)
        shutil.rmtree(work)
    sys.stdout.write(f"{read}\n")


@pytest.mark.parametrize("name", KINDS)
def test_damaged_disks_are_read_or_refused(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "pristine"
    folder.mkdir()
    pieces = [(MIB * step, b"data that packs well " * 500) for step in range(0, 6, 2)]
    raw = write_sparse(tmp_path / "raw", 6 * MIB, [(0, bytes(510) + b"\x55\xaa"), *pieces[1:]])
    with raw.open("r+b") as file:
        file.seek(446)
        file.write(bytes.fromhex("80000000830000000100000000100000"))
    qemu_img("convert", "-f", "raw", *KINDS[name], raw, folder / "disk.vmdk")
    command = [sys.executable, "-c", "import sys; from tests.unit._disk import test_mutations as t; "]
    command[2] += "from pathlib import Path; t.main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))"
    done = subprocess.run(
        [*command, folder, name, str(MUTANTS)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    # Both happen, or the damage is of one kind only.
    assert 0 < int(done.stdout) < MUTANTS
