# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Every exchange with Azure Resource Manager as one JSON line, without secrets."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.local_azure.clock import now
from tests.local_azure.faults.fate import exchange_mark

_SECRET_KEYS = frozenset(
    k.lower()
    for k in (
        "accessSAS",
        "securityDataAccessSAS",
        "securityMetadataAccessSAS",
        "adminPassword",
        "customData",
        "userData",
        "password",
        "privateKey",
        "secret",
        "clientSecret",
        "protectedSettings",
        "Authorization",
    )
)
_SIGNATURE = re.compile(r"([?&]sig=)[^&\"]+")
_REDACTED = "REDACTED"


def without_secrets(value: Any, *, keys: bool = False) -> Any:
    """`keys`: the answer of listKeys, where every `value` is a secret."""
    if isinstance(value, Mapping):
        return {
            k: _redacted(v)
            if k.lower() in _SECRET_KEYS or (keys and k == "value" and isinstance(v, str))
            else without_secrets(v, keys=keys)
            for k, v in value.items()
        }
    if isinstance(value, list):
        return [without_secrets(v, keys=keys) for v in value]
    if isinstance(value, str):
        return _SIGNATURE.sub(r"\1" + _REDACTED, value)
    return value


def _redacted(value: Any) -> Any:
    """The same type again, so that the line still fits the API's description."""
    if isinstance(value, Mapping):
        return {k: _redacted(v) for k, v in value.items()}
    return _REDACTED if isinstance(value, str) else value


class ExchangeLog:
    def __init__(self, path: Path) -> None:
        self._stream = path.open("a", encoding="utf-8")
        path.chmod(0o600)

    def write(
        self,
        method: str,
        url: str,
        *,
        request_headers: Mapping[str, str],
        request_body: Any,
        status: int,
        response_headers: Mapping[str, str],
        response_body: Any,
    ) -> None:
        keys = "/listkeys" in url.lower() or "/regeneratekey" in url.lower()
        exchange: dict[str, Any] = {
            "answered": now().isoformat(timespec="microseconds"),
            "liveRequest": {
                "method": method,
                "url": without_secrets(url),
                "headers": without_secrets(dict(request_headers)),
                "body": without_secrets(request_body),
            },
            "liveResponse": {
                "statusCode": status,
                "headers": without_secrets(dict(response_headers)),
                "body": without_secrets(response_body, keys=keys),
            },
        }
        mark = exchange_mark.get()
        if mark is not None:
            exchange["fault"] = mark
        # One write per line: whoever reads along never sees half of one.
        self._stream.write(json.dumps(exchange) + "\n")
        self._stream.flush()

    def close(self) -> None:
        self._stream.close()
