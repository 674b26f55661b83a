# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The local Azure answers what Azure answered, exchange by exchange, in recordings of Azure."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.contract.recordings import ENVIRONMENT, recordings_root
from tests.fidelity.replay import Result
from tests.fidelity.report import results_of

_ROOT = recordings_root()
_FILES = sorted(_ROOT.glob("*.jsonl")) if _ROOT else []


@pytest.mark.skipif(not _FILES, reason=f"no recordings: ../shared/recorded is absent, {ENVIRONMENT} not set")
@pytest.mark.parametrize("file", _FILES, ids=lambda file: file.stem)
def test_every_exchange_of_a_recording_is_answered_as_azure_answered(
    file: Path, held: Callable[[str, list[Result]], None]
) -> None:
    held(file.name, list(results_of(file)))
