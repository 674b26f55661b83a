# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Disks that hold only what differs from another one."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.open import open_disk
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import DiskError, DiskReader

from tests.unit._disk.differencing import differencing_vhd
from tests.unit._disk.samples import KIB, MIB, gpt_disk, qemu_img

DIFFERENCES = ("write -P 7 1M 100k", "write -P 9 20M 64k", "write -z 10M 512k", "discard 30M 2M")


def whole(reader: DiskReader) -> bytes:
    return reader.read(0, reader.virtual_size)


def covered(reader: DiskReader) -> bytes:
    """The disk put together from its extents alone."""
    disk = bytearray(reader.virtual_size)
    for offset, length in reader.extents():
        reader.read_into(offset, memoryview(disk)[offset : offset + length])
    return bytes(disk)


def judged(path: Path, driver: str) -> bytes:
    """What qemu-img makes of the disk."""
    raw = path.with_suffix(".judge")
    qemu_img("convert", "-f", driver, "-O", "raw", path, raw)
    return raw.read_bytes()


def child_of(parent: Path, driver: str, name: str = "child") -> Path:
    child = parent.with_name(f"{name}.{driver}")
    qemu_img("create", "-f", driver, "-b", parent.name, "-F", driver, child)
    return child


def write(path: Path, driver: str, *commands: str) -> None:
    words = [word for command in commands for word in ("-c", command)]
    subprocess.run(["qemu-io", "-f", driver, *words, path], check=True, capture_output=True)


@pytest.mark.parametrize("driver", ["qcow2", "vmdk"])
def test_chain_of_three_is_read_as_qemu_img_reads_it(tmp_path: Path, driver: str) -> None:
    base = tmp_path / f"base.{driver}"
    qemu_img("convert", "-f", "raw", "-O", driver, gpt_disk(tmp_path / "raw"), base)
    child = child_of(base, driver)
    write(child, driver, *DIFFERENCES)
    grandchild = child_of(child, driver, "grandchild")
    write(grandchild, driver, "write -P 3 1040k 128k")
    with open_disk(str(grandchild)) as reader:
        expected = judged(grandchild, driver)
        assert whole(reader) == expected
        assert covered(reader) == expected
        assert [Path(file.path).name for file in reader.files()] == [
            grandchild.name,
            child.name,
            base.name,
        ]


def test_a_longer_child_reads_zeros_beyond_its_parent(tmp_path: Path) -> None:
    base = tmp_path / "base.qcow2"
    qemu_img("convert", "-f", "raw", "-O", "qcow2", gpt_disk(tmp_path / "raw"), base)
    child = child_of(base, "qcow2")
    qemu_img("resize", child, "100M")
    with open_disk(str(child)) as reader:
        assert reader.virtual_size == 100 * MIB
        assert whole(reader) == judged(child, "qcow2")


def test_a_raw_parent_is_raw_whatever_its_content_looks_like(tmp_path: Path) -> None:
    raw = gpt_disk(tmp_path / "raw.img")
    with raw.open("r+b") as file:
        file.write(b"QFI\xfb" + bytes(100))
    child = tmp_path / "child.qcow2"
    qemu_img("create", "-f", "qcow2", "-b", raw.name, "-F", "raw", child)
    with open_disk(str(child)) as reader:
        assert whole(reader) == raw.read_bytes()


def test_a_chain_that_bites_its_tail_is_refused(tmp_path: Path) -> None:
    one, two = tmp_path / "one.qcow2", tmp_path / "two.qcow2"
    qemu_img("create", "-f", "qcow2", one, "8M")
    qemu_img("create", "-f", "qcow2", "-b", one.name, "-F", "qcow2", two)
    qemu_img("rebase", "-u", "-b", two.name, "-F", "qcow2", one)
    with pytest.raises(DiskError, match=r"(?s)one\.qcow2.*loop"):
        open_disk(str(one))


def secret_in(tmp_path: Path) -> Path:
    """A disk of the host that no guest may see."""
    return gpt_disk(tmp_path / "secret.raw")


def guest_disk(tmp_path: Path, name: str) -> Path:
    """A guest's own disk, to the beginning of which it has written a qcow2 header that names the secret."""
    header = tmp_path / "header"
    qemu_img("create", "-f", "qcow2", "-b", secret_in(tmp_path), "-F", "raw", header)
    disk = gpt_disk(tmp_path / name)
    with disk.open("r+b") as file:
        file.write(header.read_bytes())
    return disk


@pytest.mark.parametrize("name", ["web.raw", "web.img", "web", "web.vhd", "web-flat.vmdk"])
def test_a_guest_cannot_have_files_of_the_host_read(tmp_path: Path, name: str) -> None:
    with pytest.raises(DiskError, match="a guest can write such content to a raw disk"):
        open_disk(str(guest_disk(tmp_path, name)), allow_unpartitioned=True)


def test_a_guest_cannot_have_files_of_the_host_read_as_extents(tmp_path: Path) -> None:
    secret = secret_in(tmp_path)
    disk = tmp_path / "web.raw"
    extent = f'RW {secret.stat().st_size // 512} FLAT "{secret}" 0'
    disk.write_text(
        f"# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=ffffffff\n{extent}\n", encoding="ascii"
    )
    with pytest.raises(DiskError, match=r"ends in \.vmdk"):
        open_disk(str(disk), allow_unpartitioned=True)
    named = disk.rename(tmp_path / "web.vmdk")
    with open_disk(str(named)) as reader:
        assert whole(reader) == secret.read_bytes()


def test_a_link_says_that_a_snapshot_of_another_name_is_a_qcow2_disk(tmp_path: Path) -> None:
    base = tmp_path / "base.img"
    qemu_img("convert", "-f", "raw", "-O", "qcow2", gpt_disk(tmp_path / "raw"), base)
    middle = child_of(base, "qcow2").rename(tmp_path / "web.snapshot")
    top = tmp_path / "web.now"
    qemu_img("create", "-f", "qcow2", "-b", middle.name, "-F", "qcow2", top)
    with pytest.raises(DiskError, match=r"web\.now: .*\.qcow2 \(a symbolic link"):
        open_disk(str(top))
    link = tmp_path / "web.qcow2"
    link.symlink_to(top)
    with open_disk(str(link)) as reader:
        # A disk says itself of which format its parent is.
        assert whole(reader) == (tmp_path / "raw").read_bytes()


def test_a_missing_parent_is_named(tmp_path: Path) -> None:
    base = tmp_path / "base.qcow2"
    qemu_img("create", "-f", "qcow2", base, "8M")
    child = child_of(base, "qcow2")
    base.unlink()
    with pytest.raises(DiskError, match=r"base\.qcow2: there is no such file"):
        open_disk(str(child))


@pytest.mark.parametrize("name", ["nbd://127.0.0.1/disk", 'json:{"driver":"qcow2"}'])
def test_a_parent_that_is_no_file_is_refused(tmp_path: Path, name: str) -> None:
    child = tmp_path / "child.qcow2"
    qemu_img("create", "-f", "qcow2", "-u", "-b", name, "-F", "raw", child, "8M")
    with pytest.raises(DiskError, match="is not a file"):
        open_disk(str(child))


def test_a_parent_of_another_format_than_the_child_says_is_refused(tmp_path: Path) -> None:
    base = tmp_path / "base"
    qemu_img("convert", "-f", "raw", "-O", "vmdk", gpt_disk(tmp_path / "raw"), base)
    child = tmp_path / "child.qcow2"
    qemu_img("create", "-f", "qcow2", "-u", "-b", base.name, "-F", "qcow2", child, "64M")
    with pytest.raises(DiskError, match="should be a qcow2 disk, but is a vmdk disk"):
        open_disk(str(child))


def test_a_vmdk_whose_parent_has_changed_is_refused(tmp_path: Path) -> None:
    base = tmp_path / "base.vmdk"
    qemu_img("convert", "-f", "raw", "-O", "vmdk", gpt_disk(tmp_path / "raw"), base)
    child = child_of(base, "vmdk")
    write(base, "vmdk", "write -P 1 5M 64k")
    with pytest.raises(DiskError, match="content ids differ"):
        open_disk(str(child))


# Differencing VHDs.


@pytest.fixture
def dynamic_vhd(tmp_path: Path) -> Path:
    made = tmp_path / "parent.vhd"
    options = ["-o", "subformat=dynamic,force_size=on"]
    qemu_img("convert", "-f", "raw", "-O", "vpc", *options, gpt_disk(tmp_path / "raw"), made)
    return made


def test_a_differencing_vhd_is_its_parent_with_the_changed_sectors(tmp_path: Path, dynamic_vhd: Path) -> None:
    changed = {sector: os.urandom(512) for sector in (0, 7, 8, 9, 2048, 20480, 20481, 131071)}
    child = differencing_vhd(dynamic_vhd, tmp_path / "child.vhd", changed)
    expected = bytearray((tmp_path / "raw").read_bytes())
    for sector, content in changed.items():
        expected[sector * 512 : sector * 512 + 512] = content
    with open_disk(str(child)) as reader:
        assert whole(reader) == expected
        assert covered(reader) == expected
        assert reader.read(8 * 512 - 100, 700) == expected[8 * 512 - 100 : 8 * 512 + 600]


def test_a_differencing_vhd_of_another_parent_is_refused(tmp_path: Path, dynamic_vhd: Path) -> None:
    child = differencing_vhd(dynamic_vhd, tmp_path / "child.vhd", {0: bytes(512)})
    dynamic_vhd.unlink()
    options = ["-o", "subformat=dynamic,force_size=on"]
    qemu_img("convert", "-f", "raw", "-O", "vpc", *options, tmp_path / "raw", dynamic_vhd)
    with pytest.raises(DiskError, match="ids differ"):
        open_disk(str(child))


def test_a_differencing_vhd_without_its_parent_names_it(tmp_path: Path, dynamic_vhd: Path) -> None:
    child = differencing_vhd(dynamic_vhd, tmp_path / "child.vhd", {0: bytes(512)})
    dynamic_vhd.unlink()
    with pytest.raises(DiskError, match=r"parent\.vhd: there is no such file"):
        open_disk(str(child))


def test_a_dynamic_vhd_with_a_wrong_header_checksum_is_refused(dynamic_vhd: Path) -> None:
    with dynamic_vhd.open("r+b") as file:
        file.seek(512 + 40)
        file.write(b"\x01")
    with pytest.raises(DiskError, match="checksum"):
        open_disk(str(dynamic_vhd))


def test_a_file_that_is_written_to_is_noticed_anywhere_in_the_chain(tmp_path: Path) -> None:
    base = tmp_path / "base.qcow2"
    qemu_img("convert", "-f", "raw", "-O", "qcow2", gpt_disk(tmp_path / "raw"), base)
    with open_disk(str(child_of(base, "qcow2"))) as reader:
        assert reader.changed_files() == []
        os.utime(base, ns=(1, 1))
        assert reader.changed_files() == [str(base)]


def test_reads_that_touch_one_sector_of_each_block_are_right(tmp_path: Path, dynamic_vhd: Path) -> None:
    with open_disk(str(dynamic_vhd)) as reader:
        raw = (tmp_path / "raw").read_bytes()
        for offset in range(0, reader.virtual_size - 512, 2 * MIB + 4 * KIB - 512):
            assert reader.read(offset, 512) == raw[offset : offset + 512]
