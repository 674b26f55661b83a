# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Checks one exchange with Microsoft.Compute against the models of the installed azure-mgmt-compute.

The models are always there, also where Azure's published files are not. They know newer API versions
than those files, and less: no patterns, no secrets.
"""

from __future__ import annotations

from typing import Any

from tests.contract.body_schema import BodySchema, Pointer, value_at
from tests.contract.exchange import REQUEST, RESPONSE, Exchange, Finding, query_findings
from tests.contract.openapi_files import matches
from tests.contract.sdk_operations import PROVIDER, SdkOperation, installed_version, read_operations
from tests.contract.sdk_schema import ModelSchemas

JUDGE = "sdk"


class SdkContract:
    """What the installed azure-mgmt-compute says about the wire. ImportError when it is not installed."""

    def __init__(self) -> None:
        self.version = installed_version()
        self._operations: dict[tuple[str, int], list[SdkOperation]] = {}
        for operation in read_operations():
            self._operations.setdefault((operation.method, len(operation.template)), []).append(operation)
        self._builders: dict[tuple[str, str], ModelSchemas] = {}
        self._schemas: dict[tuple[str, str], BodySchema | None] = {}

    @staticmethod
    def concerns(exchange: Exchange) -> bool:
        return exchange.provider == PROVIDER

    def find(self, exchange: Exchange) -> SdkOperation | None:
        """The operation with the most literal path that has the request's method and form."""
        segments = exchange.segments
        return max(
            (
                operation
                for operation in self._operations.get((exchange.method, len(segments)), ())
                if matches(operation.template, segments)
                and all(exchange.parameter(name) == value for name, value in operation.preset)
            ),
            key=lambda operation: (
                sum(not part.startswith("{") for part in operation.template),
                len(operation.preset),
            ),
            default=None,
        )

    def check(self, operation: SdkOperation, exchange: Exchange) -> list[Finding]:
        """Everything in which the exchange differs from what the SDK would send or could read."""
        findings = query_findings(operation.query, exchange, JUDGE, is_list=operation.is_page)
        findings += self._check_request(operation, exchange)
        if exchange.status is None or exchange.failed:
            return findings
        if operation.statuses and exchange.status not in operation.statuses:
            expected = ", ".join(str(status) for status in sorted(operation.statuses))
            message = f"the SDK takes status {exchange.status} for an error (it expects {expected})"
            findings.append(Finding("undeclared-status", RESPONSE, "", message, JUDGE))
        if exchange.body is not None:
            findings += self.check_result(operation, exchange.body)
        elif operation.result is not None and exchange.status == 200:
            findings.append(Finding("missing-body", RESPONSE, "", "the SDK expects a body", JUDGE))
        return findings

    def check_result(self, operation: SdkOperation, body: object) -> list[Finding]:
        """Judge a body by the model that the operation finally returns."""
        schema = self.schema(operation, RESPONSE)
        if schema is None:
            return [Finding("unexpected-body", RESPONSE, "", "the SDK expects no body", JUDGE)]
        return schema.findings(RESPONSE, body, JUDGE)

    def knows(self, operation: SdkOperation, side: str, pointer: Pointer, kind: str, body: Any) -> bool:
        """Whether the SDK has the property, or the value of an enumeration, that an older file lacks."""
        schema = self.schema(operation, side)
        if schema is None:
            return False
        if kind == "unknown-value":
            return schema.permits(pointer, value_at(body, pointer))
        return kind == "unknown-property" and schema.declares(pointer)

    def schema(self, operation: SdkOperation, side: str) -> BodySchema | None:
        key = (operation.name, side)
        if key not in self._schemas:
            annotation = operation.body if side == REQUEST else operation.result
            self._schemas[key] = None if annotation is None else self._compile(operation, side, annotation)
        return self._schemas[key]

    def _compile(self, operation: SdkOperation, side: str, annotation: Any) -> BodySchema:
        place = (operation.models.__name__, side)
        if place not in self._builders:
            self._builders[place] = ModelSchemas(operation.models, side)
        models = self._builders[place]
        is_page = side == RESPONSE and operation.is_page
        return models.page_of(annotation) if is_page else models.build(annotation)

    def _check_request(self, operation: SdkOperation, exchange: Exchange) -> list[Finding]:
        schema = self.schema(operation, REQUEST)
        if exchange.request_body is None:
            if schema is None or not operation.body_required:
                return []
            return [Finding("missing-body", REQUEST, "", "the operation needs a body", JUDGE)]
        if schema is None:
            if exchange.request_body == {}:
                return []
            return [Finding("unexpected-body", REQUEST, "", "the operation takes no body", JUDGE)]
        return schema.findings(REQUEST, exchange.request_body, JUDGE)
