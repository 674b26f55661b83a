# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""One local Azure for all tests of Azure Resource Manager, fast and without guests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.local_azure.settings import Pace
from tests.unit.local_azure.arm_server import Arm, ServerThread, serve


@pytest.fixture(scope="session")
def arm_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerThread]:
    thread = serve(tmp_path_factory.mktemp("local-azure"), Pace(speed=500))
    try:
        yield thread
    finally:
        thread.stop()


@pytest.fixture(scope="session")
def arm(arm_server: ServerThread) -> Arm:
    return Arm(arm_server)
