# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Fixtures of the integration tests: a local Azure of their own, and ansible-playbook runs against it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import (
    AzureSession,
    open_session,
)

from tests.integration.cloud import LocalAzure
from tests.integration.plays import Player
from tests.integration.pretended_guests import Guests
from tests.integration.quotas import lift_quotas_of_cores
from tests.integration.watched_cloud import QUICK, watched_cloud


@pytest.fixture(scope="session")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAzure]:
    """A local Azure without guests that lives as long as the test session."""
    with watched_cloud(tmp_path_factory.mktemp("local-azure"), *QUICK) as cloud:
        lift_quotas_of_cores(cloud)
        yield cloud


@pytest.fixture(scope="session")
def play(azure: LocalAzure, tmp_path_factory: pytest.TempPathFactory) -> Player:
    """Runs playbooks, task lists or single modules against the session's local Azure."""
    return Player(tmp_path_factory.mktemp("plays"), azure.env)


@pytest.fixture(scope="session")
def session(azure: LocalAzure) -> Iterator[AzureSession]:
    """The collection's own session, for what does not need a playbook: a table of refusals, for instance."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REQUESTS_CA_BUNDLE", azure.env["REQUESTS_CA_BUNDLE"])
        with open_session({}, azure.env) as opened:
            yield opened


@pytest.fixture(scope="module")
def group(azure: LocalAzure) -> str:
    """A resource group in eastus for the tests of one file."""
    return azure.group(f"rg-{uuid.uuid4().hex[:8]}")


@pytest.fixture
def guests(tmp_path: Path) -> Guests:
    """A role that generalizes nothing, and notes of one test where it ran."""
    return Guests(tmp_path)
