# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""A local Azure for each of the strangers' clients; what they say is judged at the end of the session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.session_traffic import watch_exchanges
from tests.integration.cloud import LocalAzure


@pytest.fixture(scope="module")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAzure]:
    state_dir = tmp_path_factory.mktemp("cloud")
    cloud = LocalAzure(state_dir)
    watch_exchanges(state_dir / "exchanges.jsonl")
    try:
        cloud.start()
        yield cloud
    finally:
        cloud.stop()
