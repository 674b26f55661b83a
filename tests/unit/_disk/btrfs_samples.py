# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""File systems of btrfs for tests: made by mkfs.btrfs from a tree, written by the kernel, and two stored ones
that the kernel wrote, for hosts where nothing can be mounted.

As root `python -m tests.unit._disk.btrfs_samples` makes the stored ones again, from the trees that are
described here.
"""

from __future__ import annotations

import lzma
import subprocess
import sys
from contextlib import AbstractContextManager
from pathlib import Path

from tests.unit._disk.file_trees import MIB, make_sparse
from tests.unit._disk.loop_mounts import mounted

DATA = Path(__file__).with_name("data")
UUID = "6f2c9d0e-52f7-4c8e-9d4e-0f1d5a9b7c31"
NUMBERS = "".join(f"{number}\n" for number in range(26_000)).encode()
SHORT = NUMBERS[:1500]
PACKINGS = ("zlib", "lzo", "zstd")
SECRET = b"s3cr3t-content"
_SMALL = ["--mixed", "--nodesize", "4096", "--uuid", UUID]

SUSE_FSTAB = f"""\
UUID={UUID} / btrfs defaults 0 0
UUID={UUID} /.snapshots btrfs subvol=/@/.snapshots 0 0
UUID={UUID} /var btrfs subvol=/@/var 0 0
UUID={UUID} /home btrfs subvol=/@/home 0 0
"""
FEDORA_FSTAB = f"""\
UUID={UUID} / btrfs subvol=root,compress=zstd:1 0 0
UUID={UUID} /home btrfs subvol=home,compress=zstd:1 0 0
UUID={UUID} /srv btrfs subvol=gone,nofail 0 0
"""


def make_btrfs(
    image: Path, tree: Path | None = None, options: list[str] | None = None, size: int = 128
) -> Path:
    make_sparse(image, size)
    given = ["--rootdir", str(tree)] if tree else []
    command = ["mkfs.btrfs", "-q", "-L", "judged", *(options or []), *given, str(image)]
    subprocess.run(command, check=True, capture_output=True)
    return image


def mounted_btrfs(image: Path, options: str = "subvolid=5") -> AbstractContextManager[Path]:
    """The top level, or what the options name, under the kernel's care; skipped where that cannot be."""
    return mounted(image, "btrfs", options)


def btrfs(*arguments: str | Path) -> str:
    command = ["btrfs", *[str(argument) for argument in arguments]]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def write_packed(top: Path, point: Path) -> None:
    """Files in every compression, long and short enough to be kept in the tree."""
    for packing in PACKINGS:
        subprocess.run(["mount", "-o", f"remount,compress-force={packing}", str(point)], check=True)
        (top / f"{packing}-long").write_bytes(NUMBERS)
        (top / f"{packing}-short").write_bytes(SHORT)
        with (top / f"{packing}-sparse").open("wb") as file:
            file.seek(MIB)
            file.write(NUMBERS[:5000])
        subprocess.run(["sync", "-f", str(point)], check=True)


def _write_root(top: Path, fstab: str) -> None:
    (top / "etc").mkdir()
    (top / "etc/os-release").write_text('ID=opensuse-leap\nID_LIKE="suse opensuse"\n')
    (top / "etc/machine-id").touch()
    (top / "etc/fstab").write_text(fstab)


def fill_suse(point: Path) -> None:
    """As the installer of openSUSE does it, and a snapshot by snapper."""
    btrfs("subvolume", "create", point / "@")
    for name in ("home", "var", ".snapshots"):
        btrfs("subvolume", "create", point / "@" / name)
    (point / "@/.snapshots/1").mkdir()
    root = point / "@/.snapshots/1/snapshot"
    btrfs("subvolume", "create", root)
    _write_root(root, SUSE_FSTAB)
    for name in ("home", "var", ".snapshots"):
        (root / name).mkdir()
    (point / "@/var/log/journal/0123").mkdir(parents=True)
    (point / "@/var/log/journal/0123/system.journal").write_bytes(SHORT)
    (point / "@/home/notes").mkdir()
    write_packed(root, point)
    (root / "etc/machine-id").write_text("0123456789abcdef0123456789abcdef\n")
    (point / "@/.snapshots/2").mkdir()
    btrfs("subvolume", "snapshot", "-r", root, point / "@/.snapshots/2/snapshot")
    (point / "@/.snapshots/2/info.xml").write_text("<snapshot/>\n")
    (root / "etc/machine-id").write_text("")
    btrfs("subvolume", "set-default", root)


def fill_fedora(point: Path) -> None:
    """As the installer of Fedora does it: the root has a name and is not mounted by default."""
    for name in ("root", "home", "scratch"):
        btrfs("subvolume", "create", point / name)
    _write_root(point / "root", FEDORA_FSTAB)
    (point / "root/home").mkdir()
    btrfs("subvolume", "create", point / "root/nested")
    (point / "root/nested/file").write_bytes(SHORT)
    (point / "home/alice").mkdir()
    (point / "home/alice/.bash_history").write_bytes(SECRET)
    (point / "scratch/file").write_bytes(SHORT)
    btrfs("subvolume", "snapshot", point / "root", point / "root-before")


FILLERS = {"suse": fill_suse, "fedora": fill_fedora}


def make_layout(image: Path, name: str) -> Path:
    """The layout of a distribution, written by the kernel; skipped where that cannot be."""
    make_btrfs(image, None, _SMALL, 20)
    with mounted_btrfs(image) as point:
        FILLERS[name](point)
    return image


def stored_layout(image: Path, name: str) -> Path:
    """The same, as it was stored."""
    image.write_bytes(lzma.decompress((DATA / f"btrfs-{name}.img.xz").read_bytes()))
    return image


def main() -> None:
    DATA.mkdir(exist_ok=True)
    for name in FILLERS:
        image = make_layout(DATA / f"btrfs-{name}.img", name)
        packed = lzma.compress(image.read_bytes(), preset=9 | lzma.PRESET_EXTREME)
        image.with_suffix(".img.xz").write_bytes(packed)
        image.unlink()
        sys.stdout.write(f"{name}: {len(packed)} bytes\n")


if __name__ == "__main__":
    main()
