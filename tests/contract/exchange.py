# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""One HTTP exchange with Azure Resource Manager, and what a check found wrong with it."""

from __future__ import annotations

import enum
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

REQUEST, RESPONSE = "request", "response"
# Everything Resource Manager serves begins with one of these; token, metadata and blob requests do not.
ARM_ROOTS = frozenset({"subscriptions", "providers", "tenants", "resources"})

_CONTINUATION = frozenset({"$skiptoken", "$skip"})


class Severity(enum.Enum):
    """What a finding means for the verdict."""

    VIOLATION = "violation"
    # Only a newer API version has it, and the SDK of that version knows it.
    NEWER = "newer than the published file"
    # Neither the published file nor the SDK has it, but Azure was recorded to answer it.
    OBSERVED = "undeclared but recorded from Azure"
    # A released client of others writes it so, and Azure serves that client.
    CLIENT = "undeclared but sent by released clients"
    # The request was wrong and the service said so with an error: what a test of bad input looks like.
    REFUSED = "refused request"


class Finding(NamedTuple):
    """One difference from the contract; `where` is a JSON pointer, a query parameter or a header."""

    kind: str
    side: str
    where: str
    message: str
    judge: str
    severity: Severity = Severity.VIOLATION
    pointer: tuple[str | int, ...] = ()

    def __str__(self) -> str:
        place = f" {self.where}" if self.where else ""
        return f"{self.side}{place}: {self.message} [{self.kind}, {self.judge}]"


class Exchange(NamedTuple):
    """One request and its answer. `status` is None where the connection ended without an answer."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    request_body: Any
    status: int | None
    headers: Mapping[str, str]
    body: Any
    number: int = 0
    #: The answer is a fault's, not the service's own: it proves nothing about the service.
    injected: bool = False

    @property
    def api_version(self) -> str:
        return self.parameter("api-version") or ""

    @property
    def segments(self) -> tuple[str, ...]:
        return tuple(unquote(part) for part in self.path.strip("/").split("/") if part)

    @property
    def is_arm(self) -> bool:
        segments = self.segments
        return bool(segments) and segments[0].lower() in ARM_ROOTS

    @property
    def provider(self) -> str:
        """The resource provider that answers, in lower case; "" above any provider."""
        segments = [segment.lower() for segment in self.segments]
        places = [index for index, segment in enumerate(segments[:-1]) if segment == "providers"]
        return segments[places[-1] + 1] if places else ""

    @property
    def failed(self) -> bool:
        return self.status is not None and self.status >= 400

    def parameter(self, name: str) -> str | None:
        return next((value for key, value in self.query if key.lower() == name.lower()), None)

    def __str__(self) -> str:
        return f"{self.method} {self.path}?api-version={self.api_version} -> {self.status}"


def exchange_from(record: Mapping[str, Any], number: int = 0) -> Exchange:
    """Read {"liveRequest": {method, url, headers, body}, "liveResponse": {statusCode, headers, body}}.

    Bodies may be JSON values or JSON text; an empty one is None. Header names are lowered.
    Raises ValueError when the record is not of that shape.
    """
    try:
        request = record["liveRequest"]
        url = urlsplit(request["url"])
        response = record.get("liveResponse") or {}
        status = response.get("statusCode")
        return Exchange(
            method=request["method"].upper(),
            path=url.path,
            query=tuple(parse_qsl(url.query, keep_blank_values=True)),
            request_body=_body(request.get("body")),
            status=int(status) if status else None,
            headers={key.lower(): str(value) for key, value in (response.get("headers") or {}).items()},
            body=_body(response.get("body")),
            number=number,
            injected=bool((record.get("fault") or {}).get("injected")),
        )
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"exchange {number} has not the shape of an exchange: {error!r}") from error


def read_exchanges(path: Path, offset: int = 0) -> Iterator[Exchange]:
    """Yield the exchanges of a JSON lines file from a byte offset on, numbered by line.

    A last line without its end was cut off with the server and is left out. ValueError names any other
    line that is no exchange.
    """
    with path.open("rb") as stream:
        first = stream.read(offset).count(b"\n") + 1
        for number, line in enumerate(stream, start=first):
            if not line.strip() or not line.endswith(b"\n"):
                continue
            try:
                yield exchange_from(json.loads(line), number)
            except ValueError as error:
                raise ValueError(f"{path}, line {number}: {error}") from error


def query_findings(
    declared: Mapping[str, bool], exchange: Exchange, judge: str, *, is_list: bool
) -> list[Finding]:
    """Compare a query with the parameters an operation has: lower-case name, and whether it is required.

    A list may be continued with what the service put into its nextLink, which few files declare.
    """
    present = {name.lower() for name, _unused in exchange.query}
    unknown = sorted(present - declared.keys() - (_CONTINUATION if is_list else frozenset()))
    missing = sorted(name for name, required in declared.items() if required and name not in present)
    return [
        Finding(kind, REQUEST, f"?{name}", message, judge)
        for names, kind, message in (
            (unknown, "unknown-query", "unknown query parameter"),
            (missing, "missing-query", "query parameter missing"),
        )
        for name in names
    ]


def _body(value: Any) -> Any:
    if value is None or value in ("", b""):
        return None
    if isinstance(value, str):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value
