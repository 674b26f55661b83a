# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Reads recordings of the real Azure, where there are any beside the checkout.

They are written as {"method", "path", "api_version", "query", "req_body", "status", "headers", "body"},
with placeholders such as {sub} for what was private.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlencode

from tests.contract.exchange import Exchange, exchange_from

# Some recorders left out the host that all their requests went to.
ARM_HOSTS = frozenset({"management.azure.com", ""})
# Signed queries of operation URLs are redacted in requests; the time stamp in answers is not.
_TICKS = re.compile(r"([?&]t=)\d+")
ENVIRONMENT = "AZURE_RECORDINGS"


def recordings_root(environ: Mapping[str, str] | None = None) -> Path | None:
    """The folder of recordings: from AZURE_RECORDINGS, else ../shared/recorded; None if absent."""
    named = (os.environ if environ is None else environ).get(ENVIRONMENT)
    root = Path(named) if named else Path(__file__).resolve().parents[2].parent / "shared" / "recorded"
    return root if root.is_dir() else None


def read_recording(path: Path) -> Iterator[Exchange]:
    """Yield the exchanges of one recording that went to Resource Manager."""
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            record = json.loads(line)
            if not record.get("status") or record["host"] not in ARM_HOSTS:
                continue
            query = dict(record.get("query") or {})
            if record.get("api_version"):
                query["api-version"] = record["api_version"]
            url = f"https://management.azure.com{record['path']}?{urlencode(query, doseq=True)}"
            request = {"method": record["method"], "url": url, "headers": {}, "body": record.get("req_body")}
            response = {
                "statusCode": record["status"],
                "headers": {
                    name: _TICKS.sub(r"\1REDACTED", text) for name, text in record["headers"].items()
                },
                "body": record.get("body"),
            }
            yield exchange_from({"liveRequest": request, "liveResponse": response}, number)


def read_errors(path: Path) -> Iterator[Exchange]:
    """Yield the errors that Resource Manager answered, from a collection of errors of all services."""
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            record = json.loads(line)
            if record["host"] not in ARM_HOSTS:
                continue
            url = f"https://management.azure.com{record['template']}?api-version={record['api']}"
            request = {"method": record["method"], "url": url, "headers": {}, "body": None}
            response = {
                "statusCode": record["status"],
                "headers": record["headers"],
                "body": record["body"],
            }
            yield exchange_from({"liveRequest": request, "liveResponse": response}, number)
