# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The local Azure answers as Azure did in the recordings inside the source archives of azure-mgmt-compute."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.fidelity.replay import Result, replay
from tests.fidelity.sdist_recordings import VERSIONS, cassettes, read_cassette


@pytest.mark.foreign_client
@pytest.mark.parametrize("version", VERSIONS)
def test_every_exchange_of_the_archives_recordings_is_answered_as_azure_answered(
    version: str, held: Callable[[str, list[Result]], None]
) -> None:
    for name, content in cassettes(version).items():
        results = list(replay(read_cassette(content)))
        if any(result.reason is None for result in results):
            held(f"{version} {name}", results)
