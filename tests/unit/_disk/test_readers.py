# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

from __future__ import annotations

import os
import struct
import tempfile
from pathlib import Path

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.open import open_disk
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import DiskError, DiskReader
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit._disk.samples import KIB, MIB, gpt_disk, qemu_img, write_sparse
from tests.unit._disk.vmware_disks import with_tables_last

PIECES = st.lists(
    st.tuples(
        st.integers(min_value=0, max_value=8 * MIB // 512 - 1).map(lambda sector: sector * 512),
        st.sampled_from([512, 4096, 65536, 300 * KIB]),
        st.sampled_from([b"\x01", b"\0", b"text that packs well", None]),
    ),
    max_size=12,
)


def content(pieces: list[tuple[int, int, bytes | None]], size: int) -> list[tuple[int, bytes]]:
    made = []
    for offset, length, fill in pieces:
        data = os.urandom(length) if fill is None else (fill * length)[:length]
        made.append((offset, data[: max(0, size - offset)]))
    return made


def whole(reader: DiskReader) -> bytes:
    return reader.read(0, reader.virtual_size)


def through_extents(reader: DiskReader) -> bytes:
    """The disk put together from its extents alone."""
    disk = bytearray(reader.virtual_size)
    end = 0
    for offset, length in reader.extents():
        assert offset >= end, "extents overlap or are out of order"
        assert length > 0
        reader.read_into(offset, memoryview(disk)[offset : offset + length])
        end = offset + length
    return bytes(disk)


@settings(max_examples=6, deadline=None)
@given(pieces=PIECES, sectors=st.integers(min_value=1, max_value=8 * MIB // 512), data=st.data())
@pytest.mark.parametrize(
    "options",
    [
        ["-O", "qcow2"],
        ["-O", "qcow2", "-c"],
        ["-O", "qcow2", "-o", "compat=0.10"],
        ["-O", "qcow2", "-o", "cluster_size=4k"],
        ["-O", "qcow2", "-c", "-o", "cluster_size=2M"],
        ["-O", "qcow2", "-o", "preallocation=metadata"],
        ["-O", "vpc", "-o", "subformat=fixed,force_size=on"],
        ["-O", "vpc", "-o", "subformat=dynamic,force_size=on"],
        ["-O", "vhdx"],
        ["-O", "vhdx", "-o", "subformat=fixed"],
        ["-O", "vhdx", "-o", "block_size=1M"],
        ["-O", "vmdk"],
        ["-O", "vmdk", "-o", "zeroed_grain=on"],
        ["-O", "vmdk", "-o", "subformat=streamOptimized"],
        ["-O", "vmdk", "-o", "subformat=monolithicFlat"],
        ["-O", "vmdk", "-o", "subformat=twoGbMaxExtentSparse"],
        ["-O", "vmdk", "-o", "subformat=twoGbMaxExtentFlat"],
    ],
    ids=lambda options: "-".join(options[1:]).replace("=", "_"),
)
def test_content_is_what_qemu_img_reads(
    options: list[str], pieces: list[tuple[int, int, bytes | None]], sectors: int, data: st.DataObject
) -> None:
    size = sectors * 512
    with tempfile.TemporaryDirectory() as folder:
        raw = write_sparse(
            Path(folder, "raw"), size, [p for p in content(pieces, size) if p[0] < size and p[1]]
        )
        made, judge = Path(folder, f"made.{options[1]}"), Path(folder, "judge")
        qemu_img("convert", "-f", "raw", *options, raw, made)
        qemu_img("convert", "-f", options[1], "-O", "raw", made, judge)
        with open_disk(str(made)) as reader:
            assert reader.virtual_size == size
            expected = judge.read_bytes()
            assert whole(reader) == expected
            assert through_extents(reader) == expected
            start = data.draw(st.integers(0, size - 1))
            length = data.draw(st.integers(0, size - start))
            assert reader.read(start, length) == expected[start : start + length]


def test_raw_holes_are_not_extents(tmp_path: Path) -> None:
    path = write_sparse(tmp_path / "disk", 64 * MIB, [(16 * MIB, b"x" * 4096), (48 * MIB, b"y" * 512)])
    with open_disk(str(path), allow_unpartitioned=True) as reader:
        assert sum(length for _offset, length in reader.extents()) <= 128 * KIB
        assert through_extents(reader) == path.read_bytes()


def test_zero_clusters_hide_the_data_below_them(tmp_path: Path) -> None:
    raw = write_sparse(tmp_path / "raw", 4 * MIB, [(0, b"a" * (4 * MIB))])
    image = tmp_path / "image.qcow2"
    qemu_img("convert", "-f", "raw", "-O", "qcow2", raw, image)
    os.system(f"qemu-io -f qcow2 -c 'write -z 1M 1M' {image} > /dev/null")  # noqa: S605
    with open_disk(str(image)) as reader:
        assert reader.read(MIB, MIB) == bytes(MIB)
        assert reader.read(0, MIB) == b"a" * MIB
        assert list(reader.extents()) == [(0, MIB), (2 * MIB, 2 * MIB)]


def test_the_active_state_is_read_when_there_are_snapshots(tmp_path: Path) -> None:
    raw = write_sparse(tmp_path / "raw", 4 * MIB, [(0, b"old" * 1000)])
    image = tmp_path / "image.qcow2"
    qemu_img("convert", "-f", "raw", "-O", "qcow2", raw, image)
    qemu_img("snapshot", "-c", "before", image)
    os.system(f"qemu-io -f qcow2 -c 'write -P 0x6e 0 4k' {image} > /dev/null")  # noqa: S605
    with open_disk(str(image)) as reader:
        assert reader.read(0, 4096) == b"n" * 4096


def test_reading_outside_of_the_disk_is_refused(tmp_path: Path) -> None:
    with open_disk(str(gpt_disk(tmp_path / "disk"))) as reader:
        with pytest.raises(DiskError, match="outside of the disk"):
            reader.read(64 * MIB - 512, 1024)
        with pytest.raises(DiskError, match="outside of the disk"):
            reader.read(-1, 1)


def patched(path: Path, offset: int, data: bytes) -> Path:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)
    return path


def refused(path: Path, *words: str) -> None:
    """The file is refused with its own path and these words in the message."""
    with pytest.raises(DiskError) as caught:
        open_disk(str(path))
    for word in (str(path), *words):
        assert word in str(caught.value)


@pytest.fixture
def qcow2(tmp_path: Path) -> Path:
    image = tmp_path / "image.qcow2"
    qemu_img("convert", "-f", "raw", "-O", "qcow2", gpt_disk(tmp_path / "raw"), image)
    return image


@pytest.mark.parametrize("method", [1, 2], ids=["aes", "luks"])
def test_an_encrypted_qcow2_is_refused(qcow2: Path, method: int) -> None:
    refused(patched(qcow2, 32, struct.pack(">I", method)), "encrypted")


def test_a_qcow2_with_an_external_data_file_is_refused(tmp_path: Path) -> None:
    image = tmp_path / "image.qcow2"
    qemu_img("create", "-f", "qcow2", "-o", f"data_file={tmp_path / 'data'}", image, "8M")
    refused(image, "another file", "qemu-img convert")


def test_a_zstd_compressed_qcow2_is_refused(tmp_path: Path) -> None:
    raw = gpt_disk(tmp_path / "raw")
    image = tmp_path / "image.qcow2"
    qemu_img("convert", "-f", "raw", "-O", "qcow2", "-c", "-o", "compression_type=zstd", raw, image)
    refused(image, "zstd", "qemu-img convert")


def test_a_qcow2_with_subclusters_is_refused(tmp_path: Path) -> None:
    image = tmp_path / "image.qcow2"
    qemu_img("create", "-f", "qcow2", "-o", "extended_l2=on", image, "8M")
    refused(image, "subclusters")


@pytest.mark.parametrize(("bits", "word"), [(1, "dirty"), (2, "corrupt"), (1 << 9, "0x200"), (3, "corrupt")])
def test_a_qcow2_with_an_incompatible_feature_is_refused(qcow2: Path, bits: int, word: str) -> None:
    refused(patched(qcow2, 72, struct.pack(">Q", bits)), word, "qemu-img")


@pytest.mark.parametrize(
    ("offset", "data", "word"),
    [
        (4, struct.pack(">I", 1), "version 1"),
        (20, struct.pack(">I", 30), "cluster bits"),
        (24, struct.pack(">Q", 0), "0 bytes"),
        (36, struct.pack(">I", 0), "0 L1 entries"),
        (40, struct.pack(">Q", 1 << 50), "truncated"),
        (40, struct.pack(">Q", 1000), "not aligned"),
    ],
)
def test_a_damaged_qcow2_header_is_refused(qcow2: Path, offset: int, data: bytes, word: str) -> None:
    refused(patched(qcow2, offset, data), word)


def test_a_truncated_qcow2_is_refused(qcow2: Path) -> None:
    size = qcow2.stat().st_size
    for left in (size - 64 * KIB, size // 2, 64 * KIB, 1000, 80, 20):
        os.truncate(qcow2, left)
        refused(qcow2, "")


def test_a_damaged_compressed_cluster_is_reported(tmp_path: Path) -> None:
    raw = write_sparse(tmp_path / "raw", MIB, [(0, b"abcdefgh" * 8192)])
    image = tmp_path / "image"
    qemu_img("convert", "-f", "raw", "-O", "qcow2", "-c", raw, image)
    data = image.read_bytes()
    place = 40
    for mask in (-1, (1 << 56) - 512, (1 << 54) - 1):  # the L1 table, its first L2 table, the first cluster
        place = int.from_bytes(data[place : place + 8], "big") & mask
    patched(image, place, b"\xff" * 32)
    with open_disk(str(image)) as reader, pytest.raises(DiskError, match="cannot be unpacked"):
        reader.read(0, 512)


def test_a_stream_vmdk_that_lacks_its_end_is_refused(tmp_path: Path) -> None:
    raw = write_sparse(tmp_path / "raw", 4 * MIB, [(4 * MIB - 64 * KIB, os.urandom(64 * KIB))])
    image = tmp_path / "image.vmdk"
    qemu_img("convert", "-f", "raw", "-O", "vmdk", "-o", "subformat=streamOptimized", raw, image)
    footed = with_tables_last(image, tmp_path / "footed.vmdk")
    os.truncate(image, len(image.read_bytes().rstrip(b"\0")) - KIB)
    refused(image, "truncated")
    os.truncate(footed, footed.stat().st_size - KIB)
    refused(footed, "ends with a footer")


@pytest.mark.parametrize(
    ("driver", "options", "word"),
    [
        ("vdi", [], "VDI"),
        ("qed", [], "QED"),
        ("parallels", [], "Parallels"),
    ],
)
def test_other_formats_are_named_with_the_command_that_converts_them(
    tmp_path: Path, driver: str, options: list[str], word: str
) -> None:
    made = tmp_path / "disk.img"
    qemu_img("convert", "-f", "raw", "-O", driver, *options, gpt_disk(tmp_path / "raw"), made)
    refused(made, word, f"qemu-img convert -f {driver} ", str(made))


@pytest.mark.parametrize(
    ("head", "word"),
    [
        (b"\x1f\x8b\x08", "gunzip"),
        (b"\xfd7zXZ\0", "xz -d"),
        (b"\x28\xb5\x2f\xfd", "zstd -d"),
        (b"PK\x03\x04", "ZIP"),
        (b"%PDF-1.7", "PDF"),
        (b"\x7fELF", "ELF"),
        (b"just some text\n" * 100, "text file"),
        (b"# Disk DescriptorFile\nversion=1\n", "VMDK"),
        (b"\0" * 257 + b"ustar", "OVA"),
    ],
)
def test_files_that_are_no_disk_are_named(tmp_path: Path, head: bytes, word: str) -> None:
    body = head if head[:1].isalpha() else head + os.urandom(2048 - len(head))
    path = tmp_path / "disk.vhd"
    path.write_bytes(body)
    refused(path, word)


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "empty"
    path.touch()
    refused(path, "0 bytes")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    refused(tmp_path / "missing", "no such file")


def test_a_directory_is_refused(tmp_path: Path) -> None:
    refused(tmp_path, "directory")


def test_a_pipe_is_refused_without_waiting_for_a_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    refused(tmp_path / "pipe", "neither a regular file nor a block device")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_refused(tmp_path: Path) -> None:
    path = gpt_disk(tmp_path / "disk")
    path.chmod(0)
    refused(path, "may not be read")


def test_a_file_of_broken_sectors_is_refused(tmp_path: Path) -> None:
    path = gpt_disk(tmp_path / "disk")
    os.truncate(path, 64 * MIB - 100)
    refused(path, "whole sectors")


def test_an_unpartitioned_disk_is_refused_unless_allowed(tmp_path: Path) -> None:
    path = write_sparse(tmp_path / "disk", 32 * MIB, [(MIB, b"x" * 100)])
    refused(path, "allow_unpartitioned")
    with open_disk(str(path), allow_unpartitioned=True) as reader:
        assert reader.virtual_size == 32 * MIB


@pytest.mark.parametrize("kind", ["ext4", "vfat", "swap"])
def test_a_file_system_without_partitions_is_a_disk(tmp_path: Path, kind: str) -> None:
    path = write_sparse(tmp_path / "disk", 32 * MIB, [])
    command = {"ext4": "mkfs.ext4 -q", "vfat": "mkfs.vfat", "swap": "mkswap -q"}[kind]
    if os.system(f"PATH=$PATH:/sbin; command -v {command.split()[0]} > /dev/null"):  # noqa: S605
        pytest.skip(f"{command.split()[0]} is not installed")
    os.system(f"PATH=$PATH:/sbin {command} {path} > /dev/null")  # noqa: S605
    with open_disk(str(path)) as reader:
        assert reader.format == "raw"


def test_the_content_decides_and_not_the_name(tmp_path: Path, qcow2: Path) -> None:
    renamed = qcow2.rename(tmp_path / "disk.vhd")
    with open_disk(str(renamed)) as reader:
        assert reader.format == "qcow2"
    raw = gpt_disk(tmp_path / "disk.qcow2")
    with open_disk(str(raw)) as reader:
        assert reader.format == "raw"


def test_a_truncated_raw_disk_is_refused(tmp_path: Path) -> None:
    path = gpt_disk(tmp_path / "disk", script="size=40MiB, type=linux\n")
    os.truncate(path, 32 * MIB)
    refused(path, "partition 1", "truncated")


def test_many_files_can_be_refused_without_leaking_descriptors(tmp_path: Path) -> None:
    path = write_sparse(tmp_path / "disk", MIB, [])
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _unused in range(20):
        refused(path, "allow_unpartitioned")
    assert len(list(Path("/proc/self/fd").iterdir())) == before
