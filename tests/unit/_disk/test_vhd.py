# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

from __future__ import annotations

import json
import os
import struct
from pathlib import Path

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.open import open_disk
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import DiskError
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.vhd_footer import (
    FOOTER_SIZE,
    FooterError,
    build_fixed_footer,
    checksum,
    geometry_of,
    parse_footer,
)
from hypothesis import given
from hypothesis import strategies as st

from tests.unit._disk.samples import MIB, gpt_disk, qemu_img

UNIQUE = bytes(range(16))


def fixed_vhd(tmp_path: Path, size: int = 24 * MIB) -> Path:
    path = gpt_disk(tmp_path / "disk.vhd", size=size)
    with path.open("ab") as file:
        file.write(build_fixed_footer(size, UNIQUE))
    return path


def test_qemu_img_accepts_our_footer(tmp_path: Path) -> None:
    path = fixed_vhd(tmp_path)
    facts = json.loads(qemu_img("info", "-f", "vpc", "--output=json", path))
    assert (facts["format"], facts["virtual-size"]) == ("vpc", 24 * MIB)
    with open_disk(str(path)) as reader:
        assert reader.virtual_size == 24 * MIB
        judge = tmp_path / "judge"
        qemu_img("convert", "-f", "vpc", "-O", "raw", path, judge)
        assert reader.read(0, reader.virtual_size) == judge.read_bytes()


@pytest.mark.parametrize("size", [3 * MIB, 20 * MIB, 127 * MIB, 2 * MIB * 1024, 30 << 30, 200 << 30])
def test_geometry_and_checksum_agree_with_qemu_img(tmp_path: Path, size: int) -> None:
    path = tmp_path / "empty.vhd"
    qemu_img("create", "-f", "vpc", "-o", "subformat=fixed,force_size=on", path, str(size))
    with path.open("rb") as file:
        file.seek(-FOOTER_SIZE, os.SEEK_END)
        theirs = file.read()
    footer = parse_footer(theirs)
    assert footer.current_size == size
    assert footer.geometry == geometry_of(size) or footer.geometry == (65535, 16, 255)
    assert footer.disk_type == 2


@given(
    size=st.integers(1, 1 << 45).map(lambda sectors: sectors * 512),
    unique=st.binary(min_size=16, max_size=16),
)
def test_a_built_footer_reads_back(size: int, unique: bytes) -> None:
    footer = parse_footer(build_fixed_footer(size, unique))
    assert (footer.current_size, footer.original_size, footer.disk_type) == (size, size, 2)
    assert footer.unique_id == unique
    cylinders, heads, sectors = footer.geometry
    assert cylinders <= 65535 and heads <= 16 and sectors <= 255


@given(position=st.integers(0, FOOTER_SIZE - 1), value=st.integers(1, 255))
def test_any_changed_byte_is_noticed(position: int, value: int) -> None:
    data = bytearray(build_fixed_footer(64 * MIB, UNIQUE))
    data[position] ^= value
    with pytest.raises(FooterError):
        parse_footer(bytes(data))


def test_the_same_content_gives_the_same_footer() -> None:
    assert build_fixed_footer(MIB, UNIQUE) == build_fixed_footer(MIB, UNIQUE)
    assert build_fixed_footer(MIB, UNIQUE) != build_fixed_footer(MIB, bytes(16))


def refooted(path: Path, offset: int, data: bytes) -> Path:
    """Change the footer and give it a right checksum again."""
    with path.open("r+b") as file:
        file.seek(-FOOTER_SIZE, os.SEEK_END)
        footer = bytearray(file.read())
        footer[offset : offset + len(data)] = data
        footer[64:68] = struct.pack(">I", checksum(bytes(footer)))
        file.seek(-FOOTER_SIZE, os.SEEK_END)
        file.write(footer)
    return path


def test_a_wrong_checksum_is_refused(tmp_path: Path) -> None:
    path = fixed_vhd(tmp_path)
    with path.open("r+b") as file:
        file.seek(-400, os.SEEK_END)
        file.write(b"\x01")
    with pytest.raises(DiskError, match="checksum"):
        open_disk(str(path))


def test_a_footer_that_contradicts_the_file_size_is_refused(tmp_path: Path) -> None:
    path = refooted(fixed_vhd(tmp_path), 48, struct.pack(">Q", 32 * MIB))
    with pytest.raises(DiskError, match=f"{32 * MIB} bytes, but {24 * MIB}"):
        open_disk(str(path))


def test_an_unknown_disk_type_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DiskError, match="disk type 6"):
        open_disk(str(refooted(fixed_vhd(tmp_path), 60, struct.pack(">I", 6))))


@pytest.mark.parametrize("kind", [3, 4])
def test_a_fixed_disk_that_calls_itself_dynamic_is_refused(tmp_path: Path, kind: int) -> None:
    with pytest.raises(DiskError, match="the copy of the footer at its beginning"):
        open_disk(str(refooted(fixed_vhd(tmp_path), 60, struct.pack(">I", kind))))


def test_a_truncated_dynamic_vhd_is_named(tmp_path: Path) -> None:
    path = tmp_path / "disk.vhd"
    qemu_img("convert", "-f", "raw", "-O", "vpc", gpt_disk(tmp_path / "raw"), path)
    os.truncate(path, path.stat().st_size - 1024)
    with pytest.raises(DiskError, match="truncated"):
        open_disk(str(path))
