# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Recordings of the real Azure: one exchange a line, in the order in which they were made."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

#: Not one recording but single exchanges out of many.
ERRORS = "errors.jsonl"
ARM_HOSTS = frozenset({"management.azure.com", ""})
ASYNC, LOCATION, RETRY_AFTER = "azure-asyncoperation", "location", "retry-after"
_READ_ONLY = frozenset({"id", "name", "type", "etag"})
# When something was made or done, by the clock of the service.
_WORKED_AT = re.compile(r'"(?:timeCreated|startTime|timestamp)": "(\d{4}-\d\d-\d\d)T')
_AHEAD = timedelta(days=90)
_DEPLOYMENT = re.compile(r"/providers/Microsoft\.Resources/deployments/([^/?]+)", re.IGNORECASE)


@dataclass(frozen=True)
class Recorded:
    """One exchange. `path` has placeholders such as {sub} and {rg1}; `body` is None where there was none.

    Names of `headers` are in lower case. `number` is the recording's own.
    """

    number: int
    method: str
    host: str
    path: str
    query: Mapping[str, str]
    request: Any
    status: int
    headers: Mapping[str, str]
    body: Any
    request_headers: Mapping[str, str] = field(default_factory=dict)
    command: str = ""

    @property
    def succeeded(self) -> bool:
        return 200 <= self.status < 300

    @property
    def api_version(self) -> str:
        return self.query.get("api-version", "")

    @property
    def provider(self) -> str:
        """`Microsoft.Compute/disks` for a disk and all below it; empty outside of providers."""
        parts = self.path.partition("/providers/")[2].split("/")
        return "/".join(parts[:2]) if len(parts) > 1 else parts[0]

    def operation_urls(self) -> list[str]:
        """The status URLs the answer gave, Azure-AsyncOperation first."""
        return [self.headers[name] for name in (ASYNC, LOCATION) if self.headers.get(name)]


def read(path: Path) -> list[Recorded]:
    """The exchanges of a file. Requests that never got an answer are left out."""
    with path.open(encoding="utf-8") as lines:
        return prepared([_recorded(record) for line in lines if (record := json.loads(line)).get("status")])


def prepared(exchanges: Sequence[Recorded]) -> list[Recorded]:
    """The exchanges as they were before the recorders changed them, as far as that can be known."""
    known = list(with_versions_of_the_time(list(with_true_versions(exchanges))))
    return list(with_requests(with_own_tags(list(with_true_names(known)))))


def _recorded(record: Mapping[str, Any]) -> Recorded:
    query = {name: _text(value) for name, value in (record.get("query") or {}).items()}
    if record.get("api_version"):
        query = {"api-version": record["api_version"], **query}
    return Recorded(
        number=record["n"],
        method=record["method"],
        host=record["host"],
        path=record["path"],
        query=query,
        request=record.get("req_body"),
        status=record["status"],
        headers={name.lower(): text for name, text in record["headers"].items()},
        body=record.get("body"),
        request_headers=record.get("req_headers") or {},
        command=record.get("cli") or "",
    )


def _text(value: Any) -> str:
    return ",".join(value) if isinstance(value, list) else str(value)


def operation_key(url: str) -> tuple[str, bool]:
    """What tells one status URL from another: the operation's id, and whether it is the one of the result."""
    parts = urlsplit(url)
    return parts.path.rstrip("/").rpartition("/")[2].lower(), "monitor" in dict(parse_qsl(parts.query))


def with_true_versions(exchanges: Sequence[Recorded]) -> Iterator[Recorded]:
    """Puts back the API versions that one recorder's files had rewritten in requests, but not in headers.

    Known by their status URLs, which speak of an older version than the request.
    """
    asked: dict[tuple[str, str], str] = {}
    for exchange in exchanges:
        for url in exchange.operation_urls():
            query = dict(parse_qsl(urlsplit(url).query))
            version = query.get("api-version")
            if version and version < exchange.api_version:
                asked[_versioned(exchange)] = version
    for exchange in exchanges:
        true = asked.get(_versioned(exchange))
        yield exchange if true is None else replace(exchange, query={**exchange.query, "api-version": true})


def with_versions_of_the_time(exchanges: Sequence[Recorded]) -> Iterator[Recorded]:
    """Takes back versions much younger than the recording, which were put into all of it afterwards.

    Which version it was is not known; the day of the recording stands for the newest one of the time.
    """
    times = _WORKED_AT.findall(json.dumps([e.body for e in exchanges]))
    for exchange in exchanges:
        version = exchange.api_version
        if not times or not _much_later(version, max(times)):
            yield exchange
            continue
        told = {n: text.replace(version, max(times)) for n, text in exchange.headers.items()}
        asked = json.loads(json.dumps(exchange.request).replace(version, max(times)))
        query = {**exchange.query, "api-version": max(times)}
        yield replace(exchange, query=query, headers=told, request=asked)


def _much_later(version: str, day: str) -> bool:
    """Whether a version appeared long after a day. A service may answer weeks before its version's date."""
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", version):
        return False
    return date.fromisoformat(version) - date.fromisoformat(day) > _AHEAD


def _versioned(exchange: Recorded) -> tuple[str, str]:
    """A provider and the version asked of it. Disks have other versions than the rest of Compute."""
    return exchange.provider.partition("/")[0], exchange.api_version


def with_true_names(exchanges: Iterable[Recorded]) -> Iterator[Recorded]:
    """Gives deployments back the names that another recorder replaced by one and the same.

    Each deployment is a new one; its real name stands in the status URL of the answer.
    """
    true = ""
    for exchange in exchanges:
        shown = _DEPLOYMENT.search(exchange.path)
        told = _DEPLOYMENT.search(exchange.headers.get(ASYNC, ""))
        if shown and told:
            true = told[1]
        if shown and true and shown[1] != true:
            path = exchange.path[: shown.start(1)] + true + exchange.path[shown.end(1) :]
            yield replace(exchange, path=path)
        else:
            yield exchange


def with_own_tags(exchanges: Sequence[Recorded]) -> Iterator[Recorded]:
    """Leaves out the tags that a policy of the recording's subscription puts on everything.

    No request speaks of them, and no group had them when it was first seen.
    """
    sent: set[str] = set()
    groups: set[str] = set()
    for exchange in exchanges:
        sent |= _tag_names(exchange.request)
        if not exchange.provider and exchange.path not in groups:
            groups.add(exchange.path)
            sent |= _tag_names(exchange.body)
    for exchange in exchanges:
        yield replace(exchange, body=_without_tags(exchange.body, sent))


def _tag_names(value: Any) -> set[str]:
    """The names of all tags anywhere in the value."""
    if isinstance(value, list):
        return {name for item in value for name in _tag_names(item)}
    if not isinstance(value, Mapping):
        return set()
    tags = value.get("tags")
    own = set(tags) if isinstance(tags, Mapping) else set()
    return own.union(*(_tag_names(item) for item in value.values()))


def _without_tags(value: Any, sent: set[str]) -> Any:
    if isinstance(value, list):
        return [_without_tags(item, sent) for item in value]
    if not isinstance(value, Mapping):
        return value
    kept = {name: _without_tags(item, sent) for name, item in value.items()}
    if isinstance(kept.get("tags"), Mapping):
        kept["tags"] = {name: text for name, text in kept["tags"].items() if name in sent}
    return kept


def with_requests(exchanges: Iterable[Recorded]) -> Iterator[Recorded]:
    """Gives writes that were recorded without their body one that asks for what the answer shows."""
    for exchange in exchanges:
        shown = exchange.body if exchange.method == "PUT" and exchange.request is None else None
        if exchange.host in ARM_HOSTS and exchange.succeeded and isinstance(shown, Mapping) and "id" in shown:
            yield replace(exchange, request=requested(shown))
        else:
            yield exchange


def requested(shown: Mapping[str, Any]) -> dict[str, Any]:
    """A request for a resource as it is shown: without what only the service can say."""
    request = {name: value for name, value in shown.items() if name not in _READ_ONLY}
    properties = shown.get("properties")
    if isinstance(properties, Mapping):
        request["properties"] = {n: v for n, v in properties.items() if n != "provisioningState"}
    return request
