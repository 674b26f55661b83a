# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""azure.azcollection, unmodified, cannot tell the local Azure from Azure."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fidelity.azcollection import Azcollection
from tests.integration.cloud import LocalAzure

pytestmark = [pytest.mark.foreign_client, pytest.mark.timeout(1800)]

PLAYBOOK = Path(__file__).parent / "playbooks" / "azcollection.yml"


def test_disks_snapshots_images_and_galleries_are_made_found_unchanged_and_removed(
    azure: LocalAzure, tmp_path: Path
) -> None:
    output = Azcollection(azure.env, tmp_path).play(PLAYBOOK)
    assert "failed=0" in output
    assert azure.secret not in output
    assert azure.get(azure.id("rg-azcollection")) is None
