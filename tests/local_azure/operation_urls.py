# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The status URLs of operations: each provider has its own collections, and its own query in them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import uuid
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlencode

from tests.local_azure.clock import now, ticks

# In the order in which Azure writes them; the signature covers all others.
_ORDER = ("p", "monitor", "api-version", "t", "c", "s", "h")


class Form(NamedTuple):
    """`partitioned`: the query says where the operation is kept; `monitor`: it tells result from status.

    `results` is the collection of Location where that is not Azure-AsyncOperation's.
    """

    partitioned: bool = False
    monitor: bool = False
    signed: bool = True
    results: str | None = None


_COMPUTE = Form(partitioned=True, monitor=True)
_FORMS: Mapping[tuple[str, str], Form] = {
    ("microsoft.compute", "operations"): _COMPUTE,
    ("microsoft.compute", "diskoperations"): _COMPUTE,
    ("microsoft.compute", "capsoperations"): Form(monitor=True),
    ("microsoft.network", "operations"): Form(results="operationResults"),
    ("microsoft.storage", "asyncoperations"): Form(monitor=True),
    # Resource Manager itself.
    ("", "operationresults"): Form(signed=False, results="operationresults"),
    ("microsoft.resources", "operationstatuses"): Form(signed=False),
}


def form_of(collection: str) -> Form:
    """How status URLs below the collection look."""
    lowered = collection.lower()
    namespace = lowered.partition("/providers/")[2].partition("/")[0]
    return _FORMS.get((namespace, lowered.rpartition("/")[2]), _COMPUTE)


def results_collection(collection: str) -> str:
    """Where Location points to."""
    results = form_of(collection).results
    return collection if results is None else f"{collection.rpartition('/')[0]}/{results}"


class StatusUrls:
    """Writes the URLs and checks that their query comes back whole."""

    def __init__(self, server: str, key: bytes) -> None:
        self._server = server
        self._key = key
        # Azure's URLs carry a certificate of this size, and clients must cope with it.
        self._filler = base64.urlsafe_b64encode(hashlib.shake_256(key).digest(1500)).decode().rstrip("=")

    def write(self, collection: str, operation_id: str, api_version: str, *, result: bool) -> str:
        """The URL of an operation's status, or of its `result`."""
        form = form_of(collection)
        query = {"api-version": api_version}
        if form.partitioned:
            query["p"] = str(uuid.uuid5(uuid.NAMESPACE_URL, collection))
        if form.monitor and result:
            query["monitor"] = "true"
        if form.signed:
            query |= {"t": str(ticks(now())), "c": self._filler, "h": secrets.token_urlsafe(32)}
            query["s"] = self._signature(operation_id, query)
        ordered = {name: query[name] for name in _ORDER if name in query}
        path = results_collection(collection) if result else collection
        return f"{self._server}{path}/{operation_id}?{urlencode(ordered)}"

    def check(self, collection: str, operation_id: str, query: Mapping[str, str]) -> bool:
        """Whether the query is one that `write` wrote for the operation."""
        if not form_of(collection).signed:
            return True
        return hmac.compare_digest(query.get("s", "").encode(), self._signature(operation_id, query).encode())

    def _signature(self, operation_id: str, query: Mapping[str, str]) -> str:
        parts = [operation_id.lower(), *(query.get(name, "") for name in _ORDER if name != "s")]
        digest = hmac.new(self._key, "\n".join(parts).encode(), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def asks_for_result(collection: str, path: str, query: Mapping[str, str]) -> bool:
    """Whether a request for a status URL wants the operation's result."""
    form = form_of(collection)
    if form.monitor:
        return query.get("monitor") == "true"
    return path.rpartition("/")[0].rpartition("/")[2].lower() == (form.results or "").lower()


def job_id(kind: str, group: str, location: str) -> str:
    """The name Resource Manager gives to work of its own: what is done to which group, where."""
    name = group.upper().replace("-", ":2D").replace("_", ":5F")
    job = {"jobId": f"{kind}-{name}-{location.upper()}", "jobLocation": location}
    return base64.urlsafe_b64encode(json.dumps(job, separators=(",", ":")).encode()).decode().rstrip("=")
