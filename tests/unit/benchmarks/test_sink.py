# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The sink of the benchmarks counts what it throws away, and its paced link keeps to its rate."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.benchmarks.limits import md5_rate
from tests.benchmarks.targets import LINK_BYTES, LINK_LATENCY, Counts, SinkTarget, sink

pytestmark = pytest.mark.skipif(
    not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="the sink is written in C: no compiler here"
)
_MIB = 1 << 20


@pytest.fixture(scope="module", name="build")
def _build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sink")


@pytest.fixture(name="null")
def _null(build: Path) -> Iterator[SinkTarget]:
    with sink(build, paced=False) as started:
        yield started


def _create(where: SinkTarget, size: int) -> str:
    url = where.blob_url("disk.vhd")
    headers = {"x-ms-blob-type": "PageBlob", "x-ms-blob-content-length": str(size)}
    assert requests.put(url, headers=headers, timeout=10).status_code == 201
    return url


def _put(url: str, offset: int, body: bytes) -> int:
    headers = {"x-ms-range": f"bytes={offset}-{offset + len(body) - 1}", "x-ms-page-write": "update"}
    return requests.put(url + "&comp=page", data=body, headers=headers, timeout=10).status_code


def test_it_counts_puts_and_bytes_and_tells_the_written_ranges(null: SinkTarget) -> None:
    url = _create(null, 4 * _MIB)
    assert [_put(url, 0, bytes(512)), _put(url, _MIB, bytes(_MIB))] == [201, 201]
    assert null.counts() == Counts(2, 512 + _MIB)
    listed = requests.get(url + "&comp=pagelist", timeout=10).text
    assert f"<Start>{_MIB}</Start><End>{2 * _MIB - 1}</End>" in listed


def test_after_forgetting_there_is_no_blob_and_no_count(null: SinkTarget) -> None:
    url = _create(null, _MIB)
    _put(url, 0, bytes(512))
    null.forget("disk.vhd")
    assert null.counts() == Counts(0, 0)
    assert requests.head(url, timeout=10).status_code == 404


def test_a_blob_that_is_there_is_not_created_again_where_only_a_new_one_is_wanted(null: SinkTarget) -> None:
    url = _create(null, _MIB)
    headers = {"x-ms-blob-type": "PageBlob", "x-ms-blob-content-length": str(_MIB), "If-None-Match": "*"}
    assert requests.put(url, headers=headers, timeout=10).status_code == 409


def test_the_paced_link_is_no_faster_than_it_says(build: Path) -> None:
    with sink(build, paced=True) as where:
        url = _create(where, 64 * _MIB)
        body = bytes(12 * _MIB)
        started = time.monotonic()
        assert _put(url, 0, body) == 201
        seconds = time.monotonic() - started
        assert len(body) / LINK_BYTES + LINK_LATENCY / 1e6 <= seconds * 1.1


def test_md5_has_a_rate() -> None:
    assert 10e6 < md5_rate() < 100e9
