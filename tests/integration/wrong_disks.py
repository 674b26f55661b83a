# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Disk files that must not be uploaded as they are: damaged, encrypted, unfinished, or of the wrong kind."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from ansible_collections.goldenimage.azure.plugins.module_utils._disk.vhd_footer import build_fixed_footer

from tests.integration.uploads import MIB, converted, raw_disk
from tests.unit._disk.samples import qemu_img

SIZE = 24 * MIB
SECTOR = 512
_EXACT = "force_size=on"


class Wrong(NamedTuple):
    """A file, and words that the refusal has to have."""

    path: Path
    words: tuple[str, ...]


class Converted(NamedTuple):
    """A file that others upload as it is, and what has to arrive in its stead, without the footer."""

    path: Path
    content: bytes


class WrongDisks:
    """Makes them below `folder`; all come from one raw disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.raw = raw_disk(folder / "disk.raw", size=SIZE)
        self._fixed = self.raw.read_bytes() + build_fixed_footer(SIZE, bytes(range(16)))

    def refused(self) -> dict[str, Wrong]:
        """By a name of what is wrong."""
        made = {}
        for group in (self._vhds, self._qcow2s, self._chains, self._vmdks, self._others):
            made.update(group())
        return made

    def converted(self) -> dict[str, Converted]:
        """What Azure would take for something else, or refuse, were it sent as it is."""
        raw = self.raw.read_bytes()
        odd = raw_disk(self._path("odd.raw"), size=SIZE - 5 * SECTOR)
        fixed, dynamic = (f"subformat={kind},{_EXACT}" for kind in ("fixed", "dynamic"))
        return {
            "dynamic vhd": Converted(self._as("dynamic.vhd", "-O", "vpc", "-o", dynamic), raw),
            "fixed vhd that is not whole MiB": Converted(
                converted(odd, self._path("odd.vhd"), "-O", "vpc", "-o", fixed),
                odd.read_bytes().ljust(SIZE, b"\0"),
            ),
            "vhd without a footer": Converted(self._bytes("bare.vhd", raw), raw),
            "qcow2 called vhd": Converted(self._as("renamed.vhd", "-O", "qcow2"), raw),
            "fixed vhd called raw": Converted(self._bytes("renamed.raw", self._fixed), raw),
        }

    def _path(self, name: str) -> Path:
        return self._folder / name

    def _bytes(self, name: str, content: bytes) -> Path:
        self._path(name).write_bytes(content)
        return self._path(name)

    def _as(self, name: str, *options: str) -> Path:
        return converted(self.raw, self._path(name), *options)

    def _patched(self, name: str, offset: int, data: bytes, *options: str) -> Path:
        path = self._as(name, *options)
        with path.open("r+b") as file:
            file.seek(offset)
            file.write(data)
        return path

    def _cut(self, name: str, change: Callable[[int], int], *options: str) -> Path:
        path = self._as(name, *options)
        os.truncate(path, change(path.stat().st_size))
        return path

    def _vhds(self) -> dict[str, Wrong]:
        footer = bytearray(self._fixed[-SECTOR:])
        footer[70] ^= 1
        dynamic = ("-O", "vpc", "-o", f"subformat=dynamic,{_EXACT}")
        return {
            "file that is not whole sectors": Wrong(
                self._bytes("cut.vhd", self._fixed[:-100]), ("whole sectors", "truncated")
            ),
            "wrong checksum of the footer": Wrong(
                self._bytes("checksum.vhd", self._fixed[:-SECTOR] + bytes(footer)), ("checksum", "damaged")
            ),
            "footer of another size": Wrong(
                self._bytes("size.vhd", self._fixed[: 16 * MIB] + self._fixed[-SECTOR:]),
                (str(SIZE), str(16 * MIB)),
            ),
            "vhd cut off": Wrong(self._bytes("half.vhd", self._fixed[: 8 * MIB]), ("partition", "truncated")),
            "dynamic vhd cut off": Wrong(
                self._cut("dynamic-cut.vhd", lambda size: size - MIB, *dynamic), ("truncated",)
            ),
        }

    def _qcow2s(self) -> dict[str, Wrong]:
        plain = ("-O", "qcow2")
        locked = self._path("aes.qcow2")
        secret = ("--object", "secret,id=s,data=word")
        # Not LUKS: to make its key qemu-img measures the processor, and gives up where that is busy.
        keys = "encrypt.format=aes,encrypt.key-secret=s"
        qemu_img("create", "-q", "-f", "qcow2", *secret, "-o", keys, locked, str(SIZE))
        outside = self._path("outside.qcow2")
        data = f"data_file={self._path('outside.data')}"
        qemu_img("create", "-q", "-f", "qcow2", "-o", data, outside, str(SIZE))
        features = {1: "dirty", 2: "corrupt", 1 << 9: "not known"}
        made = {
            f"qcow2 that is {word}": Wrong(
                self._patched(f"bits-{bits}.qcow2", 72, struct.pack(">Q", bits), *plain), (word, "qemu-img")
            )
            for bits, word in features.items()
        }
        zstd = ("-O", "qcow2", "-c", "-o", "compression_type=zstd")
        subclusters = ("-O", "qcow2", "-o", "extended_l2=on")
        return {
            **made,
            "encrypted qcow2": Wrong(locked, ("encrypted", "key")),
            "qcow2 with its data elsewhere": Wrong(outside, ("another file",)),
            "qcow2 cut off": Wrong(self._cut("cut.qcow2", lambda size: size // 2, *plain), ("truncated",)),
            "qcow2 packed with zstd": Wrong(self._as("zstd.qcow2", *zstd), ("zstd", "qemu-img convert")),
            "qcow2 with subclusters": Wrong(self._as("subclusters.qcow2", *subclusters), ("subclusters",)),
        }

    def _child(self, name: str, parent: str, driver: str = "qcow2") -> Path:
        child = self._path(name)
        qemu_img("create", "-q", "-u", "-f", driver, "-b", parent, "-F", driver, child, str(SIZE))
        return child

    def _chains(self) -> dict[str, Wrong]:
        self._child("tail.qcow2", "head.qcow2")
        base = self._as("base.vmdk", "-O", "vmdk")
        child = self._path("changed.vmdk")
        qemu_img("create", "-q", "-f", "vmdk", "-b", base.name, "-F", "vmdk", child)
        write = ("-c", "write -P 1 5M 64k")
        subprocess.run(["qemu-io", "-f", "vmdk", *write, base], check=True, capture_output=True)
        return {
            "chain that is a loop": Wrong(self._child("head.qcow2", "tail.qcow2"), ("loop",)),
            "qcow2 without its parent": Wrong(
                self._child("orphan.qcow2", "nowhere.qcow2"), ("nowhere.qcow2", "no such file")
            ),
            "parent over the network": Wrong(
                self._child("remote.qcow2", "nbd://127.0.0.1/disk"), ("is not a file",)
            ),
            "vmdk whose parent has changed": Wrong(child, ("content ids differ",)),
        }

    def _vmdks(self) -> dict[str, Wrong]:
        stream = ("-O", "vmdk", "-o", "subformat=streamOptimized")
        text = '# Disk DescriptorFile\nversion=1\nCID=12345678\nparentCID=ffffffff\ncreateType="x"\n'
        device = text + 'RW 49152 VMFSRDM "disk-rdm.vmdk"\n'
        locked = text + 'encryption.keySafe = "vmware:key/list"\nRW 49152 FLAT "disk.raw" 0\n'
        return {
            "stream vmdk cut off": Wrong(
                self._cut("cut.vmdk", lambda size: size - 70_000, *stream), ("truncated",)
            ),
            "vmdk in text mode": Wrong(
                self._patched("text.vmdk", 73, b"\n\n\r\n", "-O", "vmdk"), ("text mode",)
            ),
            "vmdk of a device": Wrong(self._bytes("device.vmdk", device.encode()), ("VMFSRDM", "vmkfstools")),
            "encrypted vmdk": Wrong(self._bytes("locked.vmdk", locked.encode()), ("encrypted",)),
        }

    def _others(self) -> dict[str, Wrong]:
        packed = self._path("disk.raw.gz")
        subprocess.run(["gzip", "-1", "--keep", self.raw], check=True)
        vhdx = self._cut("cut.vhdx", lambda size: size - 3 * MIB, "-O", "vhdx")
        renamed = shutil.copy(self._as("disk.vdi", "-O", "vdi"), self._path("vdi.vhd"))
        return {
            "vhdx cut off": Wrong(vhdx, ("truncated",)),
            "packed disk": Wrong(packed, ("gzip", "gunzip")),
            "vdi called vhd": Wrong(Path(renamed), ("VDI", "qemu-img convert -f vdi")),
            "bytes without any disk": Wrong(
                self._bytes("noise.raw", os.urandom(MIB)), ("no partition table", "allow_unpartitioned")
            ),
            "empty file": Wrong(self._bytes("empty.vhd", b""), ("0 bytes",)),
        }
