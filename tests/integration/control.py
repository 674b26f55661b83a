# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Tells the local Azure of a test session itself something, and asks it: its control endpoints."""

from __future__ import annotations

import json
import ssl
import urllib.request
from typing import Any

from tests.integration.cloud import LocalAzure


def control(azure: LocalAzure, endpoint: str, body: Any = None, *, method: str = "POST") -> dict[str, Any]:
    """What the endpoint answers; anything but success raises urllib.error.HTTPError."""
    request = urllib.request.Request(  # noqa: S310 - https, loopback
        f"{azure.url}/local-azure/{endpoint}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"x-local-azure-control-key": azure.env["LOCAL_AZURE_CONTROL_KEY"]},
    )
    context = ssl.create_default_context(cafile=azure.env["SSL_CERT_FILE"])
    with urllib.request.urlopen(request, context=context, timeout=30) as answer:  # noqa: S310
        told: dict[str, Any] = json.loads(answer.read() or b"{}")
    return told
