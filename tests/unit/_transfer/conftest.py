# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors

"""A blob service with a VHD for the tests of downloads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit._transfer.downloads import add_vhd
from tests.unit._upload.page_blob_server import Blob, PageBlobServer


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PageBlobServer]:
    made = PageBlobServer(tmp_path, page_size=1)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(made.ca))
    yield made
    made.stop()


@pytest.fixture
def blob(server: PageBlobServer) -> Blob:
    return add_vhd(server)
