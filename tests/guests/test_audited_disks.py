# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""The audit of real Debian systems in disk files: plain, on LVM, on XFS and btrfs, in every format."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.open import open_disk
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.audit import Finding, audit, audit_boot
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.disk_root import open_disk_root
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.guest import Guest
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.live_root import LiveRoot
from ansible_collections.goldenimage.azure.plugins.module_utils._guest.traces import audited

from tests.guests.lab.disk_layout import bootable_layout
from tests.guests.lab.programs import run_program
from tests.unit._disk.loop_mounts import mounted
from tests.unit._disk.lvm_samples import EXTENT, MIB, Logical, Part, fill, make_group, pieces

SIZE_MIB = 2048
LZ4_MAGIC = b"\x02\x21\x4c\x18"


def findings(disk: Path) -> tuple[list[Finding], list[Finding]]:
    """The traces, and what speaks against booting on Azure."""
    with open_disk(str(disk)) as reader:
        guest = Guest(open_disk_root(reader))
        return audit(guest, audited([], [])), audit_boot(guest)


@pytest.fixture(scope="module", params=["bookworm", pytest.param("trixie", marks=pytest.mark.thorough)])
def disk(request: pytest.FixtureRequest, build_debian_disk: Callable[..., Path]) -> Path:
    return build_debian_disk(str(request.param), size_mib=SIZE_MIB)


def root_partition(disk: Path, target: Path) -> Path:
    """The file system of the root partition alone."""
    root = bootable_layout(SIZE_MIB).root
    place = [f"skip={root.offset // MIB}", f"count={root.length // MIB}"]
    run_program(["dd", f"if={disk}", f"of={target}", "bs=1M", "conv=sparse", "status=none", *place])
    return target


def test_debian_boots_on_azure_by_all_we_know(disk: Path) -> None:
    assert {item.id for item in findings(disk)[1]} == {"azure-clock"}


def test_lack_of_a_driver_in_a_real_initramfs_is_found(disk: Path, tmp_path: Path) -> None:
    copy, packed = tmp_path / "disk.raw", tmp_path / "initrd"
    run_program(["cp", "--sparse=always", str(disk), str(copy)])
    names = run_program(["debugfs", "-R", "ls -p /boot", where(copy)])
    initrd = next(part for part in names.split("/") if part.startswith("initrd.img-"))
    run_program(["debugfs", "-R", f"dump /boot/{initrd} {packed}", where(copy)])
    if not packed.read_bytes().startswith(LZ4_MAGIC):
        pytest.skip("this suite puts another archive in front, and lz4 unpacks none")
    unpacked = run_program_of_bytes(["lz4", "-dc"], packed.read_bytes())
    assert b"/hv_storvsc.ko" in unpacked
    packed.write_bytes(
        run_program_of_bytes(["lz4", "-lc"], unpacked.replace(b"/hv_storvsc.ko", b"/xx_storvsc.ko"))
    )
    for command in (f"rm /boot/{initrd}", f"write {packed} /boot/{initrd}"):
        run_program(["debugfs", "-w", "-R", command, where(copy)])
    found = [item for item in findings(copy)[1] if item.severity == "error"]
    assert [(item.id, item.path, item.detail) for item in found] == [
        ("azure-drivers", f"/boot/{initrd}", "lacks driver hv_storvsc")
    ]


def where(disk: Path) -> str:
    """The root file system in a disk, in the language of debugfs."""
    return f"{disk}?offset={bootable_layout(SIZE_MIB).root.offset}"


def run_program_of_bytes(command: list[str], data: bytes) -> bytes:
    return subprocess.run(command, input=data, capture_output=True, check=True).stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="loop devices need root")
def test_root_on_a_logical_volume_is_audited_like_a_partition(disk: Path, tmp_path: Path) -> None:
    on_volume = tmp_path / "volume.raw"
    with on_volume.open("wb") as file:
        file.truncate((SIZE_MIB + 64) * MIB)
    script = f"label: gpt\nstart=1MiB, size={SIZE_MIB + 62}MiB, type=E6D6D379-F507-44C2-A23C-238F2A3DF928\n"
    run_program(["sfdisk", "--quiet", str(on_volume)], stdin=script)
    parts = [Part(on_volume, MIB, (SIZE_MIB + 62) * MIB)]
    content = root_partition(disk, tmp_path / "root.img")
    extents = -(-content.stat().st_size // EXTENT)
    make_group(tmp_path, parts, [Logical("root", extents)])
    fill(pieces(tmp_path, parts)["root"], content)
    assert findings(on_volume) == findings(disk)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
@pytest.mark.parametrize(("kind", "options"), [("xfs", "rw"), ("btrfs", "rw,compress=zstd:1")])
def test_root_on_another_file_system_is_audited_like_the_mounted_tree(
    kind: str, options: str, disk: Path, tmp_path: Path
) -> None:
    image = tmp_path / "other.img"
    with image.open("wb") as file:
        file.truncate(SIZE_MIB * MIB)
    run_program([f"mkfs.{kind}", "-q", str(image)])
    with ExitStack() as stack:
        source = stack.enter_context(
            mounted(root_partition(disk, tmp_path / "root.img"), "ext4", "ro,noload")
        )
        target = stack.enter_context(mounted(image, kind, options))
        run_program(["cp", "-a", f"{source}/.", str(target)])
        # A tree knows nothing of the ids of disks, so that only they may differ.
        (target / "etc/fstab").unlink()
        shutil.rmtree(target / "boot/grub")
        guest = Guest(LiveRoot(str(target)))
        expected = audit(guest, audited([], [])), audit_boot(guest)
    found = findings_without_partitions(image)
    assert found == expected
    assert expected[0], "a tree that was just built has some"


def findings_without_partitions(image: Path) -> tuple[list[Finding], list[Finding]]:
    with open_disk(str(image), allow_unpartitioned=True) as reader:
        guest = Guest(open_disk_root(reader))
        return audit(guest, audited([], [])), audit_boot(guest)


@pytest.mark.parametrize("form", ["qcow2", "vpc", "vhdx", "vmdk"])
def test_format_of_the_disk_makes_no_difference(form: str, disk: Path, tmp_path: Path) -> None:
    if "bookworm" not in disk.parent.name:
        pytest.skip("one suite is enough")
    other = tmp_path / f"disk.{form}"
    run_program(["qemu-img", "convert", "-O", form, str(disk), str(other)])
    assert findings(other) == findings(disk)
