# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""What counts as a copy of a blob, and what does not."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import AzureError
from ansible_collections.goldenimage.azure.plugins.module_utils._disk.vhd_footer import build_fixed_footer
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.copy_verification import verify_copy
from ansible_collections.goldenimage.azure.plugins.module_utils._transfer.failures import reported
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.connection import (
    parse_blob_url,
    tls_context,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._upload.page_blob import PageBlob

from tests.unit._upload.page_blob_server import Blob, PageBlobServer

MIB = 1 << 20
SIZE = 10 * MIB
SOURCE, COPY = "/account/vhds/source.vhd", "/account/vhds/copy.vhd"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[PageBlobServer]:
    made = PageBlobServer(tmp_path, page_size=2)
    yield made
    made.stop()


def write(blob: Blob, start: int, end: int, data: bytes | None = None) -> None:
    blob.data[start:end] = os.urandom(end - start) if data is None else data
    blob.ranges.append((start, end))


def pair(server: PageBlobServer) -> tuple[Blob, Blob]:
    """A disk with some data and a true copy of it."""
    source, copy = server.add(SIZE + 512, SOURCE), server.add(SIZE + 512, COPY)
    for start in (0, 2 * MIB, 5 * MIB, 7 * MIB):
        write(source, start, start + 4096)
    write(source, SIZE, SIZE + 512, build_fixed_footer(SIZE, b"i" * 16))
    copy.data[:] = source.data
    copy.ranges = list(source.ranges)
    return source, copy


def verified(server: PageBlobServer) -> None:
    context = tls_context({"REQUESTS_CA_BUNDLE": str(server.ca)})
    target = PageBlob(parse_blob_url(server.url(COPY)), context)
    try:
        with reported():
            verify_copy(parse_blob_url(server.url(SOURCE)), target, SIZE + 512, context)
    finally:
        target.close()


def test_a_true_copy_is_one_also_without_the_zeros_that_the_source_has_written(
    server: PageBlobServer,
) -> None:
    source, _copy = pair(server)
    write(source, 8 * MIB, 8 * MIB + 65536, bytes(65536))
    source.ranges.sort()
    verified(server)


def lost_data(source: Blob, copy: Blob) -> None:
    del source
    copy.ranges.remove((5 * MIB, 5 * MIB + 4096))


def strange_data(source: Blob, copy: Blob) -> None:
    del source
    copy.ranges.append((6 * MIB, 6 * MIB + 512))


def cut_off(source: Blob, copy: Blob) -> None:
    del source
    del copy.data[-512:]


def no_footer(source: Blob, copy: Blob) -> None:
    del source
    copy.data[-512:] = bytes(512)


def footer_of_another_size(source: Blob, copy: Blob) -> None:
    del source
    copy.data[-512:] = build_fixed_footer(SIZE - MIB, b"i" * 16)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lost_data, f"data from byte {5 * MIB} on is missing"),
        (strange_data, "not in the source"),
        (cut_off, f"it has {SIZE} bytes, not {SIZE + 512}"),
        (no_footer, "holds no VHD"),
        (footer_of_another_size, f"for {SIZE - MIB} bytes"),
    ],
)
def test_a_copy_that_differs_is_refused(
    server: PageBlobServer, damage: Callable[[Blob, Blob], None], words: str
) -> None:
    damage(*pair(server))
    with pytest.raises(AzureError, match=words) as caught:
        verified(server)
    assert "TOPSECRET" not in str(caught.value)
