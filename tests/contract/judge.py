# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Puts a stream of exchanges before every contract there is, and follows long-running operations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from tests.contract import arm_rules
from tests.contract.body_schema import value_at
from tests.contract.exchange import REQUEST, RESPONSE, Exchange, Finding, Severity
from tests.contract.observed import documented, observed, sent_by_clients
from tests.contract.openapi import OpenApiContract
from tests.contract.openapi_files import Operation
from tests.contract.sdk_models import SdkContract
from tests.contract.sdk_operations import PROVIDER, SdkOperation

OPERATION_POLL = "operation poll"
# Providers whose published files are not at hand; the rules of Resource Manager judge them alone.
GENERAL_RULES_ONLY = frozenset(
    {"microsoft.marketplaceordering", "microsoft.authorization", "microsoft.managedidentity"}
)


Query = frozenset[tuple[str, str]]


class Verdict(NamedTuple):
    """`operation` is None when no contract knows the request; `is_judged` tells whether one should have."""

    exchange: Exchange
    operation: str | None
    findings: tuple[Finding, ...]
    is_judged: bool = True

    @property
    def is_unmatched(self) -> bool:
        return self.is_judged and self.operation is None

    @property
    def violations(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.severity is Severity.VIOLATION)


class Report(NamedTuple):
    """Verdicts over whole files of traffic. `other` counts what Resource Manager itself did not answer."""

    verdicts: tuple[Verdict, ...]
    other: int
    openapi_checked: bool
    sdk_version: str

    @property
    def violating(self) -> tuple[Verdict, ...]:
        return tuple(verdict for verdict in self.verdicts if verdict.violations)

    @property
    def unmatched(self) -> tuple[Verdict, ...]:
        return tuple(verdict for verdict in self.verdicts if verdict.is_unmatched)

    @property
    def passed(self) -> bool:
        return not self.violating and not self.unmatched

    def counted(self, severity: Severity) -> int:
        return sum(finding.severity is severity for verdict in self.verdicts for finding in verdict.findings)

    def summary(self) -> str:
        """The one line that ends a test session."""
        violations = self.counted(Severity.VIOLATION)
        openapi = "checked" if self.openapi_checked else "absent"
        notes = [f"openapi: {openapi}", f"sdk models {self.sdk_version}"]
        unjudged = sum(not verdict.is_judged for verdict in self.verdicts)
        for count, what in (
            (unjudged, "by general rules only"),
            (self.counted(Severity.NEWER), Severity.NEWER.value),
            (self.counted(Severity.OBSERVED), Severity.OBSERVED.value),
            (self.counted(Severity.CLIENT), Severity.CLIENT.value),
            (self.counted(Severity.REFUSED), Severity.REFUSED.value),
            (self.other, "not Resource Manager"),
        ):
            if count:
                notes.append(f"{count} {what}")
        return (
            f"contract: {len(self.verdicts)} exchanges, {violations} violations, "
            f"{len(self.unmatched)} unmatched ({'; '.join(notes)})"
        )

    def details(self, limit: int = 20) -> list[str]:
        """Counts by operation, then the first `limit` differences, each with the exchange it was seen in."""
        counts = Counter(verdict.operation or "unmatched" for verdict in (*self.violating, *self.unmatched))
        lines = [f"  {count:5} exchanges of {operation}" for operation, count in counts.most_common()]
        shown: Counter[tuple[str | None, Finding]] = Counter()
        first: dict[tuple[str | None, Finding], Exchange] = {}
        for verdict in self.violating:
            for finding in verdict.violations:
                shown[verdict.operation, finding] += 1
                first.setdefault((verdict.operation, finding), verdict.exchange)
        for (operation, finding), count in list(shown.items())[:limit]:
            exchange = first[operation, finding]
            lines.append(f"  line {exchange.number}: {exchange} ({operation}, {count} times)")
            lines.append(f"      {finding}")
        if len(shown) > limit:
            lines.append(f"  ... and {len(shown) - limit} more kinds of difference")
        lines += [
            f"  line {verdict.exchange.number}: {verdict.exchange}: no contract knows this request"
            for verdict in self.unmatched[:limit]
        ]
        return lines


class _Origin(NamedTuple):
    """The request that started a long-running operation, and the queries that its URLs were given with."""

    queries: set[Query]
    is_status: bool
    openapi: Operation | None
    sdk: SdkOperation | None
    is_newer: bool


class Judge:
    """Judges exchanges in the order in which they happened. `openapi_root` None means: no published files."""

    def __init__(self, openapi_root: Path | None) -> None:
        self._openapi = _published(openapi_root) if openapi_root else None
        self._sdk = _modelled()
        self._started: dict[tuple[str, bool], _Origin] = {}

    def report(self, exchanges: Iterable[Exchange]) -> Report:
        verdicts, other = [], 0
        for exchange in exchanges:
            if exchange.is_arm and not exchange.injected:
                verdicts.append(self.judge(exchange))
            else:
                other += 1
        return Report(tuple(verdicts), other, self._openapi is not None, self._sdk.version)

    def judge(self, exchange: Exchange) -> Verdict:
        findings = arm_rules.check(exchange)
        if exchange.method == "GET" and arm_rules.is_operation_path(exchange.segments):
            findings += self._check_poll(exchange)
            return Verdict(exchange, OPERATION_POLL, tuple(findings))
        published = self._openapi.find(exchange) if self._openapi else None
        modelled = self._sdk.find(exchange) if self._sdk.concerns(exchange) else None
        self._remember(exchange, published, modelled)
        if self._sdk.concerns(exchange) and modelled is None:
            known = documented(exchange.method, exchange.path)
            return Verdict(exchange, None, tuple(findings), is_judged=not known)
        if self._openapi and published:
            found = self._openapi.check(published, exchange)
            newer = self._openapi.is_newer(published, exchange)
            findings += [self._weighed(finding, exchange, modelled) for finding in found] if newer else found
        if modelled:
            findings += self._sdk.check(modelled, exchange)
        name = published.name if published else modelled.name if modelled else None
        findings = [_known(finding, exchange, name) for finding in findings]
        return Verdict(exchange, name, _refused(exchange, findings), self._is_judged(exchange, name))

    def _is_judged(self, exchange: Exchange, name: str | None) -> bool:
        if name is not None or self._sdk.concerns(exchange):
            return True
        return self._openapi is not None and exchange.provider not in GENERAL_RULES_ONLY

    def _weighed(self, finding: Finding, exchange: Exchange, modelled: SdkOperation | None) -> Finding:
        """A file older than the request may lack what the SDK of the request's version knows."""
        if modelled is None:
            return finding
        body: Any = exchange.request_body if finding.side == REQUEST else exchange.body
        return self._weighed_by(finding, modelled, body)

    def _weighed_by(self, finding: Finding, modelled: SdkOperation, body: Any) -> Finding:
        known = self._sdk.knows(modelled, finding.side, finding.pointer, finding.kind, body)
        return finding._replace(severity=Severity.NEWER) if known else finding

    def _remember(
        self, exchange: Exchange, published: Operation | None, modelled: SdkOperation | None
    ) -> None:
        for header, path, query in _operation_urls(exchange):
            newer = bool(self._openapi and published and self._openapi.is_newer(published, exchange))
            origin = _Origin({query}, header == "azure-asyncoperation", published, modelled, newer)
            self._started[path, _is_monitor(query)] = origin

    def _check_poll(self, exchange: Exchange) -> list[Finding]:
        """A poll sends back the whole query it was given and is answered by status or by result."""
        query = frozenset(exchange.query)
        origin = self._started.get((exchange.path.lower(), _is_monitor(query)))
        findings: list[Finding] = []
        if origin:
            if query not in origin.queries:
                message = "an operation is polled with another query than its URL had"
                findings.append(Finding("poll-query", REQUEST, "", message, arm_rules.JUDGE))
            # Every answer may sign the URL anew.
            for _unused, path, renewed in _operation_urls(exchange):
                self._started.get((path, _is_monitor(renewed)), origin).queries.add(renewed)
        if exchange.failed or exchange.status is None:
            return findings
        if origin.is_status if origin else not _is_monitor(query) and exchange.provider == PROVIDER:
            output = value_at(exchange.body, ("properties", "output"))
            return [*findings, *arm_rules.check_status_body(exchange), *self._check_output(origin, output)]
        return findings + self._check_output(origin, exchange.body if exchange.status == 200 else None)

    def _check_output(self, origin: _Origin | None, output: object) -> list[Finding]:
        if origin is None or output is None:
            return []
        findings: list[Finding] = []
        if self._openapi and origin.openapi:
            found = self._openapi.check_result(origin.openapi, output)
            if origin.is_newer and origin.sdk:
                found = [self._weighed_by(finding, origin.sdk, output) for finding in found]
            findings += found
        if origin.sdk:
            findings += self._sdk.check_result(origin.sdk, output)
        return findings


# Reading the contracts takes seconds and they do not change: one of each serves every judge.
_published = cache(OpenApiContract)
_modelled = cache(SdkContract)


def _operation_urls(exchange: Exchange) -> Iterator[tuple[str, str, Query]]:
    """Yield (header, path in lower case, query) of every operation URL that an answer gives."""
    for header in arm_rules.OPERATION_HEADERS:
        url = urlsplit(exchange.headers.get(header, ""))
        if url.path:
            yield header, url.path.lower(), frozenset(parse_qsl(url.query, keep_blank_values=True))


def _is_monitor(query: Query) -> bool:
    return any(name.lower() == "monitor" for name, _unused in query)


def _known(finding: Finding, exchange: Exchange, operation: str | None) -> Finding:
    """Count apart what Azure answers, or takes from others' clients, against what is declared."""
    if operation is None:
        return finding
    if finding.side == RESPONSE:
        if observed(operation, finding.kind, finding.pointer):
            return finding._replace(severity=Severity.OBSERVED)
    elif sent_by_clients(operation, finding.kind, finding.pointer, exchange.request_body):
        return finding._replace(severity=Severity.CLIENT)
    return finding


def _refused(exchange: Exchange, findings: list[Finding]) -> tuple[Finding, ...]:
    """What a client did wrong counts no more once the service refused it with an error of the right shape."""
    if not exchange.failed:
        return tuple(findings)
    return tuple(
        finding._replace(severity=Severity.REFUSED) if finding.side == REQUEST else finding
        for finding in findings
    )
