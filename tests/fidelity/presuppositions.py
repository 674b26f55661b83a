# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Makes what a recorded request leans on and the recording never makes: VHDs in blobs, and single resources.

Whatever an earlier request or answer of the recording names is there by its own doing.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.fidelity.names import Names
from tests.fidelity.recording import ARM_HOSTS, Recorded, requested
from tests.local_azure.azure import new_account_key
from tests.local_azure.blob_storage.blob_wire import parse_blob_url
from tests.local_azure.blob_storage.blobs import BlobStore
from tests.unit.local_azure.arm_server import Arm, Json

_GIB = 1024**3
_FOOTER_SIZE = 512
_PATIENCE = 60.0
_RESOURCE = re.compile(
    r"/resourcegroups/[^/]+/providers/Microsoft\.(?:Compute|Network|Storage)/", re.IGNORECASE
)
_DISK = re.compile(
    r"/subscriptions/\{sub\}/resourcegroups/[^/]+/providers/Microsoft\.Compute/(?:disks|snapshots)/[^/]+",
    re.IGNORECASE,
)
_BLOB = re.compile(r"https://[a-z0-9]+\.blob\.[a-z.]+(?::\d+)?/[^?]+", re.IGNORECASE)
# Members of requests that name a blob which is read; "uri" is one inside of "source" and "image".
_READ_BLOBS = frozenset({"blobUri", "sourceUri"})


class Presuppositions:
    """`before` is to be called for each exchange in turn."""

    def __init__(self, exchanges: Sequence[Recorded], arm: Arm, blobs: BlobStore, names: Names) -> None:
        self._exchanges = exchanges
        self._arm = arm
        self._blobs = blobs
        self._names = names
        self._mentioned: list[str] = []

    def before(self, position: int) -> None:
        """Makes what the exchange at `position` takes for granted."""
        exchange = self._exchanges[position]
        if exchange.succeeded and exchange.host in ARM_HOSTS:
            for url in blobs_read(exchange.request):
                if not self._is_known(url) and not self._is_missed(url):
                    self._make_blob(url, exchange)
            if exchange.method != "GET":
                for disk in disks_read(exchange.request, exchange.path):
                    if not self._is_known(disk):
                        self._make_disk(disk, exchange)
            elif is_resource(exchange) and not self._is_known(exchange.path):
                self._make(exchange.path, exchange.api_version, requested(exchange.body))
        self._mentioned.append(_text(exchange))

    def _is_known(self, name: str) -> bool:
        return any(name.lower() in text for text in self._mentioned)

    def _is_missed(self, url: str) -> bool:
        """Whether Azure says in the recording that there is no such blob."""
        return any(
            "blobnotfound" in text and url.lower().partition("/")[2] in text
            for text in (json.dumps(exchange.body).lower() for exchange in self._exchanges)
        )

    def _make_blob(self, url: str, exchange: Recorded) -> None:
        """A VHD without content, as large as the answers say that what is made of it is."""
        address = parse_blob_url(self._names.ours(url))
        known = self._is_known(f"/storageaccounts/{address.account}")
        if not known and not self._make_account(address.account, exchange):
            self._blobs.ensure_account(address.account, new_account_key())
        self._blobs.create_page_blob(address, self._gib(exchange) * _GIB + _FOOTER_SIZE)
        self._blobs.write_vhd_footer(address)

    def _make_account(self, name: str, exchange: Recorded) -> bool:
        """An account where the exchange's resource is to be; False if it does not say where."""
        group, separator, _rest = exchange.path.partition("/providers/Microsoft.Compute/")
        location = (exchange.request or {}).get("location")
        if not separator or not location:
            return False
        body = {"location": location, "sku": {"name": "Standard_LRS"}, "kind": "StorageV2"}
        self._make(f"{group}/providers/Microsoft.Storage/storageAccounts/{name}", "2023-01-01", body)
        return True

    def _gib(self, exchange: Recorded) -> int:
        path = exchange.path.lower()
        later = (json.dumps(e.body) for e in self._exchanges if e.path.lower() == path and e.body)
        sizes = (size for text in later for size in re.findall(r'"(?:diskSizeGB|sizeInGB)": (\d+)', text))
        return int(next(sizes, 1))

    def _make_disk(self, disk: str, exchange: Recorded) -> None:
        location = exchange.request.get("location") or "westus"
        properties = {"creationData": {"createOption": "Empty"}, "diskSizeGB": 1}
        self._make(disk, "2023-04-02", {"location": location, "properties": properties})

    def _make(self, path: str, version: str, body: Json) -> None:
        """What cannot be made will be missed by the exchange itself, which then says so."""
        content = self._names.request(body)
        if "creationData" in content.get("properties", {}):
            content["properties"]["creationData"] = {"createOption": "Empty"}
        answer = self._arm.send("PUT", self._names.ours(path), content, version=version)
        url = answer.headers.get("Azure-AsyncOperation") or answer.headers.get("Location")
        deadline = time.monotonic() + _PATIENCE
        while url and time.monotonic() < deadline:
            answer = self._arm.send("GET", url)
            body = answer.json() if answer.content.strip() else {}
            if answer.status_code != 202 and body.get("status") != "InProgress":
                return
            time.sleep(0.005)


def is_resource(exchange: Recorded) -> bool:
    """Whether the request is for one resource of those that the local Azure has."""
    below = exchange.path.partition("/providers/")[2].strip("/").split("/")
    return (
        bool(_RESOURCE.search(exchange.path)) and len(below) % 2 == 1 and isinstance(exchange.body, Mapping)
    )


def blobs_read(value: Any, within: str = "") -> Iterator[str]:
    """The blobs that a request has its resource made of."""
    if isinstance(value, list):
        for item in value:
            yield from blobs_read(item, within)
    elif isinstance(value, Mapping):
        for name, item in value.items():
            named = name in _READ_BLOBS or (name == "uri" and within in ("source", "image"))
            if named and isinstance(item, str) and _BLOB.match(item):
                yield item
            else:
                yield from blobs_read(item, name)


def disks_read(request: Any, path: str) -> Iterator[str]:
    """The disks and snapshots that a request names, its own resource excepted."""
    found = {match[0] for match in _DISK.finditer(json.dumps(request))}
    named = {text.rstrip('"\\').partition('"')[0] for text in found}
    return (disk for disk in sorted(named) if disk.lower() not in path.lower())


def _text(exchange: Recorded) -> str:
    """All that the exchange makes known. A missing resource is not known by having been asked for."""
    path = exchange.path if exchange.succeeded and exchange.method != "GET" else ""
    answer = exchange.body if exchange.succeeded else None
    return f"{path} {json.dumps(exchange.request)} {json.dumps(answer)}".lower()
