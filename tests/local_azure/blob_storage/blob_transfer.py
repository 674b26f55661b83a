# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Content of page blobs to sparse files and back, touching only what is written or changed."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.local_azure.blob_storage.blob_ranges import (
    Range,
    clipped,
    coalesced,
    next_marker,
    parse_page_list,
    pieces,
)
from tests.local_azure.blob_storage.blob_vhd import COOKIE, FOOTER_SIZE
from tests.local_azure.blob_storage.blob_wire import BlobAddress, Wire

MIB = 1024 * 1024
# Azurite computes an MD5 over every answer of up to 4 MiB, at the cost of reading it twice.
READ_SIZE = 16 * MIB
# The most that the real service takes in one Put Page.
WRITE_SIZE = 4 * MIB
# What is compared, and written when different.
UNIT = 64 * 1024
THREADS = 4


def written_ranges(wire: Wire, address: BlobAddress) -> list[Range]:
    """The blob's written ranges, merged; the service lists them in pages."""
    ranges: list[Range] = []
    marker: str | None = ""
    while marker is not None:
        query = {"comp": "pagelist", **({"marker": marker} if marker else {})}
        answer = wire.request("GET", address.path, query=query)
        ranges += parse_page_list(answer.body)
        marker = next_marker(answer.body)
    return list(coalesced(sorted(ranges)))


def payload_size(wire: Wire, address: BlobAddress) -> int:
    """Bytes of the disk inside the blob: without the VHD footer, or the room for one."""
    size = int(wire.request("HEAD", address.path).headers["content-length"])
    if size < FOOTER_SIZE:
        return size
    tail = bytearray(FOOTER_SIZE)
    wire.read_range(address.path, size - FOOTER_SIZE, memoryview(tail))
    has_footer = tail.startswith(COOKIE) or size % MIB == FOOTER_SIZE
    return size - FOOTER_SIZE if has_footer else size


def _in_parallel(work: Callable[[Range], None], items: Iterable[Range]) -> None:
    with ThreadPoolExecutor(THREADS) as pool:
        for _unused in pool.map(work, items):
            pass


def export_raw(wire: Wire, address: BlobAddress, path: Path) -> None:
    """Write the blob's disk to a sparse raw file; the file appears complete or not at all."""
    size = payload_size(wire, address)
    ranges = coalesced(clipped(written_ranges(wire, address), size), gap=UNIT)
    part = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.part")
    buffers = threading.local()
    descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.truncate(descriptor, size)

        def fetch(piece: Range) -> None:
            offset, length = piece
            if not hasattr(buffers, "content"):
                buffers.content = memoryview(bytearray(READ_SIZE))
            content = buffers.content[:length]
            wire.read_range(address.path, offset, content)
            _write_all(descriptor, content, offset)

        _in_parallel(fetch, pieces(ranges, READ_SIZE))
        part.replace(path)
    finally:
        os.close(descriptor)
        part.unlink(missing_ok=True)


def _write_all(descriptor: int, content: memoryview, offset: int) -> None:
    done = 0
    while done < len(content):
        done += os.pwrite(descriptor, content[done:], offset + done)


def data_ranges(descriptor: int, size: int) -> Iterator[Range]:
    """The parts of a sparse file that may hold something other than zeros."""
    offset = 0
    while offset < size:
        try:
            start = os.lseek(descriptor, offset, os.SEEK_DATA)
        except OSError:  # ENXIO: nothing but a hole up to the end
            return
        end = os.lseek(descriptor, start, os.SEEK_HOLE)
        yield start, end - start
        offset = end


def differing_units(new: int, old: int, size: int) -> Iterator[tuple[Range, bytes]]:
    """Ranges of one unit where the files differ, each with the new file's content."""
    candidates = sorted([*data_ranges(new, size), *data_ranges(old, size)])
    whole_units = (
        (offset // UNIT * UNIT, -(-(offset + length) // UNIT) * UNIT - offset // UNIT * UNIT)
        for offset, length in candidates
    )
    for offset, length in pieces(clipped(coalesced(whole_units), size), UNIT):
        content = os.pread(new, length, offset)
        if content != os.pread(old, length, offset):
            yield (offset, length), content


def import_raw(wire: Wire, path: Path, address: BlobAddress, base: Path) -> int:
    """Bring the blob from the content of ``base`` to that of ``path``; returns the bytes sent.

    Both are raw files; ``base`` holds what the blob holds now. Units that became zero are cleared.
    ValueError, before anything is written, when the disk inside the blob is not as long as the file.
    """
    size = path.stat().st_size
    room = payload_size(wire, address)
    if size != room or base.stat().st_size != room:
        raise ValueError(f"{path} has {size} bytes, but the disk in {address.path} has {room}")
    with path.open("rb") as new, base.open("rb") as old:
        writes: list[Range] = []
        clears: list[Range] = []
        for unit, content in differing_units(new.fileno(), old.fileno(), size):
            (writes if any(content) else clears).append(unit)

        def put(piece: Range) -> None:
            offset, length = piece
            write_pages(wire, address, offset, memoryview(os.pread(new.fileno(), length, offset)))

        _in_parallel(put, pieces(coalesced(writes), WRITE_SIZE))
    _in_parallel(lambda piece: clear_pages(wire, address, *piece), coalesced(clears))
    return sum(length for _unused, length in writes)


def write_pages(wire: Wire, address: BlobAddress, offset: int, content: memoryview | bytes) -> None:
    """One Put Page; offset and length are multiples of 512."""
    headers = {"x-ms-page-write": "update", "x-ms-range": f"bytes={offset}-{offset + len(content) - 1}"}
    wire.request("PUT", address.path, query={"comp": "page"}, headers=headers, body=content)


def clear_pages(wire: Wire, address: BlobAddress, offset: int, length: int) -> None:
    """One Clear Pages; offset and length are multiples of 512."""
    headers = {"x-ms-page-write": "clear", "x-ms-range": f"bytes={offset}-{offset + length - 1}"}
    wire.request("PUT", address.path, query={"comp": "page"}, headers=headers)
