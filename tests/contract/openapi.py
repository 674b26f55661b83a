# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Checks one exchange against Azure's published Swagger 2.0 files."""

from __future__ import annotations

from pathlib import Path

from tests.contract.body_schema import BodySchema
from tests.contract.exchange import REQUEST, RESPONSE, Exchange, Finding, query_findings
from tests.contract.openapi_files import Located, Operation, SpecificationFiles
from tests.contract.openapi_schema import SchemaBuilder

JUDGE = "openapi"


class OpenApiContract:
    """The published files below `root`. FileNotFoundError when there are none."""

    def __init__(self, root: Path) -> None:
        self._files = SpecificationFiles(root)
        self._schemas: dict[tuple[str, str, str, str], BodySchema | None] = {}

    def find(self, exchange: Exchange) -> Operation | None:
        return self._files.find(exchange.method, exchange.segments, exchange.api_version)

    def check(self, operation: Operation, exchange: Exchange) -> list[Finding]:
        """Everything in which the exchange differs from what the operation declares."""
        is_list = "x-ms-pageable" in operation.definition.node
        findings = query_findings(operation.query_parameters(), exchange, JUDGE, is_list=is_list)
        findings += self._check_request(operation, exchange)
        return findings if exchange.status is None else findings + self._check_response(operation, exchange)

    def check_result(self, operation: Operation, body: object) -> list[Finding]:
        """Judge the final result of a long-running operation by the answer its 200 declares."""
        schema = self._response_schema(operation, "200")
        return schema.findings(RESPONSE, body, JUDGE) if schema else []

    def is_newer(self, operation: Operation, exchange: Exchange) -> bool:
        """Whether the request asks for a version that the judging file is too old to describe."""
        return exchange.api_version > operation.version

    def _check_request(self, operation: Operation, exchange: Exchange) -> list[Finding]:
        parameter = operation.body_parameter()
        if parameter is None:
            if exchange.request_body in (None, {}):
                return []
            return [Finding("unexpected-body", REQUEST, "", "the operation takes no body", JUDGE)]
        if exchange.request_body is None:
            if not parameter.node.get("required"):
                return []
            return [Finding("missing-body", REQUEST, "", "the operation needs a body", JUDGE)]
        key = (operation.name, operation.version, REQUEST, "")
        if key not in self._schemas:
            schema = Located(parameter.node["schema"], parameter.file)
            self._schemas[key] = SchemaBuilder(self._files, REQUEST).build(schema)
        compiled = self._schemas[key]
        return compiled.findings(REQUEST, exchange.request_body, JUDGE) if compiled else []

    def _check_response(self, operation: Operation, exchange: Exchange) -> list[Finding]:
        # Errors are Resource Manager's own, judged by its rules; some files declare none at all.
        if exchange.failed:
            return []
        responses = operation.definition.node["responses"]
        status = str(exchange.status)
        if status not in responses:
            message = f"status {status} is not declared ({', '.join(sorted(responses))})"
            return [Finding("undeclared-status", RESPONSE, "", message, JUDGE)]
        schema = self._response_schema(operation, status)
        if schema is None or exchange.method == "HEAD":
            return []
        if exchange.body is None:
            # A 202 of a long-running operation may announce its result without having it yet.
            if exchange.status == 202:
                return []
            return [Finding("missing-body", RESPONSE, "", f"status {status} must have a body", JUDGE)]
        return [*schema.findings(RESPONSE, exchange.body, JUDGE), *_check_id(operation, schema, exchange)]

    def _response_schema(self, operation: Operation, status: str) -> BodySchema | None:
        key = (operation.name, operation.version, RESPONSE, status)
        if key not in self._schemas:
            declared = operation.definition.node["responses"].get(status)
            response = self._files.resolve(Located(declared, operation.definition.file)) if declared else None
            schema = response.node.get("schema") if response else None
            self._schemas[key] = (
                SchemaBuilder(self._files, RESPONSE).build(Located(schema, response.file))
                if schema is not None and response is not None
                else None
            )
        return self._schemas[key]


def _check_id(operation: Operation, schema: BodySchema, exchange: Exchange) -> list[Finding]:
    """A resource that was read or written carries its id; case may differ, as it does in Azure."""
    is_resource = operation.is_item and exchange.method in {"GET", "PUT", "PATCH"}
    if not (is_resource and isinstance(exchange.body, dict) and schema.declares(("id",))):
        return []
    found = exchange.body.get("id")
    # What a 202 shows of a resource that comes to be may be less than the resource.
    if not found and exchange.status == 202:
        return []
    if not found:
        return [Finding("missing-id", RESPONSE, "/id", "a resource must carry its id", JUDGE)]
    if str(found).strip("/").lower() != exchange.path.strip("/").lower():
        return [Finding("wrong-id", RESPONSE, "/id", "the id is not that of the resource asked for", JUDGE)]
    return []
