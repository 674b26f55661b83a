# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""Logical volumes that lvm2 made are found where lvm2 says, and what is not read is named."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.lvm import (
    LogicalVolume,
    logical_volumes,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.lvm_metadata import (
    GrammarError,
    PhysicalVolume,
    parse_metadata,
    read_physical_volume,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.mapped import MappedReader, Piece
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.raw import RawReader
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.reader import DiskError, SourceFile

from tests.unit._disk.lvm_samples import EXTENT, GROUP, MIB, Logical, Part, make_group, pieces


def open_raw(path: Path) -> RawReader:
    file = SourceFile(str(path))
    return RawReader(file, file.size)


def volumes_in(parts: list[Part]) -> dict[str, LogicalVolume]:
    reader = open_raw(parts[0].file)
    physical = [read_physical_volume(reader, part.offset, part.length) for part in parts]
    found = logical_volumes(reader, [volume for volume in physical if volume is not None])
    assert {volume.group for volume in found} <= {GROUP}
    return {volume.name: volume for volume in found}


@pytest.fixture
def parts(tmp_path: Path) -> list[Part]:
    disk = tmp_path / "disk.raw"
    with disk.open("wb") as file:
        file.truncate(260 * MIB)
    return [Part(disk, MIB, 120 * MIB), Part(disk, 130 * MIB, 120 * MIB)]


def mark(places: list[tuple[int, Path, int, int]]) -> dict[int, bytes]:
    """Write random bytes at the beginning and end of each piece; by their place in the volume."""
    chance = random.Random(1)
    marks = {}
    for start, file, offset, size in places:
        with file.open("r+b") as disk:
            for within in (0, size - 64):
                marks[start + within] = chance.randbytes(64)
                disk.seek(offset + within)
                disk.write(marks[start + within])
    return marks


def test_volumes_in_several_segments_on_two_partitions_are_read(parts: list[Part], tmp_path: Path) -> None:
    volumes = [Logical("root", 10), Logical("var-log", 5), Logical("data", 20)]
    grow = [f"lvextend -l +6 {GROUP}/root", f"lvextend -l +8 {GROUP}/var-log"]
    make_group(tmp_path, parts, volumes, grow)
    expected = pieces(tmp_path, parts)
    assert len(expected["root"]) > 1
    assert {
        offset > 130 * MIB for places in expected.values() for _start, _file, offset, _size in places
    } == {
        True,
        False,
    }
    marks = {name: mark(places) for name, places in expected.items()}
    found = volumes_in(parts)
    assert set(found) == set(expected)
    for name, places in expected.items():
        reader = found[name].reader
        assert reader is not None
        assert reader.virtual_size == sum(size for _start, _file, _offset, size in places)
        for offset, data in marks[name].items():
            assert reader.read(offset, len(data)) == data


def test_stripes_take_turns(parts: list[Part], tmp_path: Path) -> None:
    make_group(tmp_path, parts, [Logical("fast", 8, ("-i", "2", "-I", "64k"))])
    reader = volumes_in(parts)["fast"].reader
    assert reader is not None
    with parts[0].file.open("r+b") as disk:
        for column, base in enumerate((MIB + MIB, 130 * MIB + MIB)):
            for row in range(4):
                disk.seek(base + row * 65536)
                disk.write(b"%d.%d" % (row, column))
    assert [reader.read(index * 65536, 3) for index in range(8)] == [
        b"%d.%d" % (row, column) for row in range(4) for column in range(2)
    ]


def test_volumes_that_are_not_read_are_named_with_the_reason(parts: list[Part], tmp_path: Path) -> None:
    make_group(tmp_path, parts, [Logical("plain", 2), Logical("other", 4, ("--type", "zero"))])
    found = volumes_in(parts)
    assert found["plain"].reader is not None
    assert found["other"].reader is None
    assert found["other"].problem == "is of type zero, which is not read"


def test_volume_on_a_disk_that_is_not_here_is_named(parts: list[Part], tmp_path: Path) -> None:
    make_group(tmp_path, parts, [Logical("here", 2), Logical("spread", 30, ("-i", "2"))])
    found = volumes_in(parts[:1])
    assert found["spread"].reader is None
    assert "not here" in found["spread"].problem
    assert found["here"].reader is not None


def test_newest_metadata_counts_although_the_area_is_a_ring(parts: list[Part], tmp_path: Path) -> None:
    # Each command writes the whole text again, further on in an area of less than 1 MiB.
    script = [f"lvrename {GROUP} name{index} name{index + 1}" for index in range(12)]
    tags = [f"lvchange --addtag {'x' * 1000}{index} {GROUP}/name0" for index in range(30)]
    make_group(tmp_path, parts[:1], [Logical("name0", 1)], [*tags, *script])
    assert list(volumes_in(parts[:1])) == ["name12"]


def test_damaged_metadata_is_refused_by_name(parts: list[Part], tmp_path: Path) -> None:
    make_group(tmp_path, parts[:1], [Logical("root", 2)])
    with parts[0].file.open("r+b") as disk:
        disk.seek(MIB)
        head = disk.read(MIB)
        disk.seek(MIB + head.rindex(b"seqno"))
        disk.write(b"SEQNO")
    with pytest.raises(DiskError, match=r"disk\.raw: the LVM physical volume at byte 1048576 .* checksum"):
        volumes_in(parts[:1])


def test_other_content_is_no_physical_volume(parts: list[Part]) -> None:
    assert read_physical_volume(open_raw(parts[0].file), 0, MIB) is None


@pytest.mark.parametrize("text", ["a {", "a = [1", "a", "a = 1 }", "= 1", "a {" * 20 + "}" * 20])
def test_text_that_is_no_metadata_is_refused(text: str) -> None:
    with pytest.raises(GrammarError):
        parse_metadata(text)


def test_grammar_has_sections_lists_numbers_and_texts() -> None:
    text = '# note\ng { a = 1 # one\n b = ["x \\"y\\" # z", 2]\n c { d = "" } e = [] }'
    assert parse_metadata(text) == {"g": {"a": 1, "b": ['x "y" # z', 2], "c": {"d": ""}, "e": []}}


def test_mapped_pieces_are_read_across_their_borders_and_gaps_refused(tmp_path: Path) -> None:
    path = tmp_path / "disk.raw"
    path.write_bytes(bytes(range(256)) * 4)
    disk = open_raw(path)
    reader = MappedReader(disk, [Piece(100, 50, disk, 0), Piece(0, 100, disk, 300)])
    assert reader.virtual_size == 150
    assert reader.read(90, 20) == bytes(range(134, 144)) + bytes(range(10))
    with pytest.raises(DiskError):
        reader.read(140, 20)
    with pytest.raises(DiskError, match="lacks bytes 50 to 60"):
        MappedReader(disk, [Piece(0, 50, disk, 0), Piece(60, 10, disk, 0)])


def test_extent_size_is_what_the_samples_assume(parts: list[Part], tmp_path: Path) -> None:
    make_group(tmp_path, parts[:1], [Logical("root", 2)])
    reader = volumes_in(parts[:1])["root"].reader
    assert reader is not None and reader.virtual_size == 2 * EXTENT


METADATA = """guest-vg {
id = "a"
seqno = 3
status = ["RESIZEABLE"]
extent_size = 8192
physical_volumes {
pv0 {
id = "AzSNQe-lyue-0V7V-s2Lu-b8IA-J4IS-pffvBa"
pe_start = 2048
pe_count = 20
}
}
logical_volumes {
root {
status = ["READ", "WRITE", "VISIBLE"]
segment_count = 2
segment1 {
start_extent = 0
extent_count = 4
type = "striped"
stripe_count = 2
stripe_size = 128
stripes = [
"pv0", 0,
"pv0", 8
]
}
segment2 {
start_extent = 4
extent_count = 2
type = "striped"
stripe_count = 1
stripes = [
"pv0", 4
]
}
}
}
}
"""


def test_metadata_that_lies_is_refused_or_named_quickly(parts: list[Part]) -> None:
    reader = open_raw(parts[0].file)
    chance = random.Random(5)
    lines = METADATA.splitlines()
    values = ("0", "-1", "1", str(1 << 40), str(1 << 70), '"x"', "[]", "[1, 2]", "x", "{", "}", "")
    outcomes = {"read": 0, "named": 0, "refused": 0}
    for _unused in range(600):
        changed = list(lines)
        for _again in range(chance.choice((1, 1, 2, 4))):
            index = chance.randrange(1, len(changed))
            name = changed[index].partition("=")[0].strip()
            changed[index] = chance.choice((f"{name} = {chance.choice(values)}", chance.choice(lines), ""))
        physical = PhysicalVolume("AzSNQelyue0V7Vs2Lub8IAJ4ISpffvBa", MIB, 120 * MIB, "\n".join(changed))
        begun = time.monotonic()
        try:
            for volume in logical_volumes(reader, [physical]):
                if volume.reader is None:
                    outcomes["named"] += 1
                else:
                    outcomes["read"] += 1
                    volume.reader.read(0, min(4096, volume.reader.virtual_size))
        except DiskError as error:
            assert str(parts[0].file) in str(error)
            outcomes["refused"] += 1
        assert time.monotonic() - begun < 5
    assert all(outcomes.values()), outcomes
