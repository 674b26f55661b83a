# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""A few runs of `make drill`: one is killed, one captures a twin and loses an answer, in one Azure fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.drill.one_run import Run
from tests.integration.cloud import LocalAzure


@pytest.mark.parametrize("seed", [1, 4, 6])
def test_a_capture_in_trouble_ends_right(
    azure: LocalAzure, group: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", azure.env["REQUESTS_CA_BUNDLE"])
    verdict = Run(azure, group, seed, tmp_path)()
    assert verdict.problems == [], verdict.trouble
