# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""One disk in every format that is read, alone and as the last of a chain."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from tests.integration.uploads import MIB, converted
from tests.unit._disk.differencing import data_write_id, differencing_vhd, differencing_vhdx
from tests.unit._disk.samples import qemu_img
from tests.unit._disk.vmware_disks import esx_sparse, with_tables_last

SECTOR = 512
#: Where a parent differs from the disk that its child makes of it: (offset, length). All in the first 8 MiB.
CHANGES = ((0, 4096), (5 * MIB, 64 << 10), (7 * MIB + SECTOR, 3 * SECTOR))
_EXACT = "force_size=on"
_CONVERTED: dict[str, tuple[str, ...]] = {
    "vhd fixed": ("-O", "vpc", "-o", f"subformat=fixed,{_EXACT}"),
    "vhd dynamic": ("-O", "vpc", "-o", f"subformat=dynamic,{_EXACT}"),
    "vhdx dynamic": ("-O", "vhdx"),
    "vhdx fixed": ("-O", "vhdx", "-o", "subformat=fixed"),
    "vhdx small blocks": ("-O", "vhdx", "-o", "block_size=1M"),
    "qcow2": ("-O", "qcow2"),
    "qcow2 zlib": ("-O", "qcow2", "-c"),
    "qcow2 version 2": ("-O", "qcow2", "-o", "compat=0.10"),
    "qcow2 version 2 zlib": ("-O", "qcow2", "-c", "-o", "compat=0.10"),
    "qcow2 large clusters": ("-O", "qcow2", "-o", "cluster_size=2M"),
    "vmdk sparse": ("-O", "vmdk"),
    "vmdk flat": ("-O", "vmdk", "-o", "subformat=monolithicFlat"),
    "vmdk stream": ("-O", "vmdk", "-o", "subformat=streamOptimized"),
}


class Sample(NamedTuple):
    """A disk file. `driver`: what qemu-img calls its format; None where it cannot read it."""

    path: Path
    driver: str | None
    format: str


class Formats:
    """Makes a raw disk's content into files of all formats.

    :param raw: the disk, of 16 MiB or more
    :param folder: where the files go
    """

    def __init__(self, raw: Path, folder: Path) -> None:
        self._raw = raw
        self._folder = folder
        self._size = raw.stat().st_size
        self._older = self._folder / "older.raw"

    def each(self, only: Collection[str] | None = None) -> Iterator[tuple[str, Sample]]:
        """(name, file) of every format but raw, made as it is asked for; `only`: names of those to make."""
        for name, options in _CONVERTED.items():
            if only is None or name in only:
                yield name, self._sample(converted(self._raw, self._file(name), *options), options[1])
        self._make_older()
        chains: dict[str, Callable[[str], Sample]] = {
            "qcow2 chain": self._qemu_chain,
            "vmdk chain": self._qemu_chain,
            "qcow2 on raw": self._on_raw,
            "vhd differencing": self._vhd_chain,
            "vhdx differencing": self._vhdx_chain,
            "vmdk split flat": self._split_flat,
            "vmdk split sparse": self._split_sparse,
            "vmdk stream of VMware": self._vmware_stream,
            "vmdk of ESXi": self._esxi,
        }
        for name, make in chains.items():
            if only is None or name in only:
                yield name, make(name)

    def _file(self, name: str) -> Path:
        """A file of that name; without an ending it gets that of the format, the name's first word."""
        ending = "" if "." in name else f".{name.partition(' ')[0]}"
        return self._folder / f"{name.replace(' ', '_')}{ending}"

    @staticmethod
    def _sample(path: Path, driver: str | None, own: str | None = None) -> Sample:
        known = driver or own or ""
        return Sample(path, driver, {"vpc": "vhd"}.get(known, known))

    def _content(self, offset: int, length: int) -> bytes:
        with self._raw.open("rb") as file:
            file.seek(offset)
            return file.read(length)

    def _make_older(self) -> None:
        """The disk with something else at all places of CHANGES."""
        subprocess.run(["cp", "--sparse=always", self._raw, self._older], check=True)
        with self._older.open("r+b") as file:
            for offset, length in CHANGES:
                file.seek(offset)
                file.write((b"older" * length)[:length])

    def _changed_sectors(self) -> dict[int, bytes]:
        starts = [start for offset, length in CHANGES for start in range(offset, offset + length, SECTOR)]
        return {start // SECTOR: self._content(start, SECTOR) for start in starts}

    def _restore(self, path: Path, driver: str, changes: tuple[tuple[int, int], ...]) -> None:
        for offset, length in changes:
            piece = self._folder / "piece"
            piece.write_bytes(self._content(offset, length))
            command = f"write -s {piece} {offset} {length}"
            subprocess.run(["qemu-io", "-f", driver, "-c", command, path], check=True, capture_output=True)

    def _qemu_chain(self, name: str) -> Sample:
        """The older disk, a child that restores one place, a grandchild that restores the others."""
        driver = name.partition(" ")[0]
        parent = converted(self._older, self._file(f"{name} 0"), "-O", driver)
        for number, changes in enumerate((CHANGES[:1], CHANGES[1:]), 1):
            child = self._file(f"{name} {number}")
            qemu_img("create", "-f", driver, "-b", parent.name, "-F", driver, child)
            self._restore(child, driver, changes)
            parent = child
        return self._sample(parent, driver)

    def _on_raw(self, name: str) -> Sample:
        child = self._file(name)
        qemu_img("create", "-f", "qcow2", "-b", self._older.name, "-F", "raw", child)
        self._restore(child, "qcow2", CHANGES)
        return self._sample(child, "qcow2")

    def _vhd_chain(self, name: str) -> Sample:
        parent = converted(self._older, self._file(f"{name} 0"), *_CONVERTED["vhd dynamic"])
        sectors = sorted(self._changed_sectors().items())
        for number, changes in enumerate((sectors[::2], sectors[1::2]), 1):
            parent = differencing_vhd(parent, self._file(f"{name} {number}"), dict(changes))
        return self._sample(parent, None, "vhd")

    def _vhdx_chain(self, name: str) -> Sample:
        parent = converted(self._older, self._file(f"{name} 0"), "-O", "vhdx")
        child = self._file(name)
        differencing_vhdx(parent, child, data_write_id(parent), self._changed_sectors(), self._size)
        return self._sample(child, None, "vhdx")

    def _halves(self) -> tuple[int, int]:
        first = self._size // 2 // MIB * MIB
        return first, self._size - first

    def _split_flat(self, name: str) -> Sample:
        """Two parts of one flat file: what a machine's disk of many files comes down to."""
        first, second = (size // SECTOR for size in self._halves())
        flat = self._file(f"{name}.raw")
        flat.symlink_to(self._raw)
        extents = f'RW {first} FLAT "{flat.name}" 0\nRW {second} FLAT "{flat.name}" {first}\n'
        return self._described(name, extents)

    def _split_sparse(self, name: str) -> Sample:
        extents, start = "", 0
        for number, size in enumerate(self._halves()):
            half = self._file(f"{name} {number}.raw")
            with half.open("wb") as file:
                file.truncate(size)
            skip = ["skip=" + str(start // MIB), "count=" + str(-(-size // MIB))]
            subprocess.run(
                ["dd", f"if={self._raw}", f"of={half}", "bs=1M", "conv=sparse,notrunc", "status=none", *skip],
                check=True,
            )
            made = self._file(f"{name} {number}.vmdk")
            converted(half, made, "-O", "vmdk", "-o", "subformat=twoGbMaxExtentSparse")
            half.unlink()
            extents += f'RW {size // SECTOR} SPARSE "{made.stem}-s001.vmdk"\n'
            start += size
        return self._described(name, extents)

    def _vmware_stream(self, name: str) -> Sample:
        stream = converted(self._raw, self._file(f"{name} 0"), *_CONVERTED["vmdk stream"])
        return self._sample(with_tables_last(stream, self._file(name)), "vmdk")

    def _esxi(self, name: str) -> Sample:
        return self._sample(esx_sparse(self._raw, self._file(name).with_suffix(".vmdk")), "vmdk")

    def _described(self, name: str, extents: str) -> Sample:
        path = self._file(name).with_suffix(".vmdk")
        text = "# Disk DescriptorFile\nversion=1\nCID=12345678\nparentCID=ffffffff\n"
        path.write_text(f'{text}createType="twoGbMaxExtentFlat"\n{extents}', encoding="ascii")
        return self._sample(path, "vmdk")
