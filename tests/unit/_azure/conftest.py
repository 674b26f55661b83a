# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""A scripted Azure on loopback, and sessions that talk to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import (
    AzureSession,
    open_session,
)

from tests.unit._azure.scripted_azure import (
    CLIENT,
    SECRET,
    SUBSCRIPTION,
    TENANT,
    ScriptedAzure,
    make_certificate,
)

OpenSession = Callable[..., AzureSession]


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def azure(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedAzure]:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with ScriptedAzure(certificate) as running:
        yield running


@pytest.fixture
def connect(azure: ScriptedAzure, tmp_path: Path) -> Iterator[OpenSession]:
    """Open a session as a service principal; keyword arguments replace options, None removes one."""
    opened: list[AzureSession] = []

    def open_with(**options: Any) -> AzureSession:
        usual = {
            "subscription_id": SUBSCRIPTION,
            "client_id": CLIENT,
            "secret": SECRET,
            "tenant": TENANT,
            "cloud_environment": azure.url,
        }
        session = open_session({**usual, **options}, {"HOME": str(tmp_path), "PATH": ""})
        opened.append(session)
        return session

    yield open_with
    for session in opened:
        session.close()
