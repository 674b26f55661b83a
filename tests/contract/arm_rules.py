# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Rules of Azure Resource Manager that hold for every provider; they need no published file.

Source: the Resource Manager RPC (https://github.com/cloud-and-ai-microsoft/resource-provider-contract):
error bodies, asynchronous operations, and the shapes that Compute's operation collections answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.contract.body_schema import DATE_TIME
from tests.contract.exchange import RESPONSE, Exchange, Finding

JUDGE = "arm"
OPERATION_HEADERS = ("azure-asyncoperation", "location")
ERROR_MEMBERS = frozenset({"code", "message", "target", "details", "innererror", "additionalInfo"})
TERMINAL = frozenset({"Succeeded", "Failed", "Canceled"})
COMPUTE_STATUS_MEMBERS = frozenset(
    {"startTime", "endTime", "status", "name", "properties", "error", "percentComplete"}
)
STATUS_MEMBERS = COMPUTE_STATUS_MEMBERS | {"id", "resourceId", "operations"}
# Sent to Azure once and never returned, whether or not the published file marks them as secret.
WRITE_ONLY = frozenset({"adminpassword", "customdata", "protectedsettings", "sshpassword"})

_OPERATION_COLLECTIONS = frozenset(
    {
        "operations",
        "diskoperations",
        "capsoperations",
        "asyncoperations",
        "operationresults",
        "operationstatuses",
    }
)


def is_operation_path(segments: tuple[str, ...]) -> bool:
    """Whether the path names a long-running operation: .../{collection}/{operation id}."""
    lowered = [segment.lower() for segment in segments]
    if len(lowered) < 4 or lowered[-2] not in _OPERATION_COLLECTIONS:
        return False
    return bool({"locations", "deployments"} & set(lowered[:-2])) or lowered[2] in _OPERATION_COLLECTIONS


def check(exchange: Exchange) -> list[Finding]:
    """Judge the answer by what every Resource Manager answer must be."""
    if exchange.status is None:
        return []
    findings = [*_check_content(exchange), *_check_secrets(exchange.body, ())]
    if exchange.failed:
        findings += _check_error(exchange)
    elif exchange.status == 202 and not any(name in exchange.headers for name in OPERATION_HEADERS):
        message = "status 202 without Location or Azure-AsyncOperation"
        findings.append(Finding("missing-operation-header", RESPONSE, "", message, JUDGE))
    findings += _check_operation_headers(exchange)
    return findings


def check_status_body(exchange: Exchange) -> list[Finding]:
    """Judge the answer of an Azure-AsyncOperation URL (not of a Location one, which brings the result)."""
    if exchange.status != 200:
        message = f"an operation's status is answered 200, not {exchange.status}"
        return [Finding("operation-status", RESPONSE, "", message, JUDGE)]
    body = exchange.body
    if not isinstance(body, Mapping) or not isinstance(body.get("status"), str):
        return [Finding("operation-status", RESPONSE, "/status", "an operation must tell its status", JUDGE)]
    problems = list(_status_problems(body, compute=exchange.provider == "microsoft.compute"))
    return [Finding("operation-status", RESPONSE, where, message, JUDGE) for where, message in problems]


def _status_problems(body: Mapping[str, Any], compute: bool) -> Iterator[tuple[str, str]]:
    status = body["status"]
    if (status == "Failed") != ("error" in body):
        yield "/error", "is there exactly when the operation failed"
    error = body.get("error")
    if status == "Failed" and not (isinstance(error, Mapping) and error.get("code") and error.get("message")):
        yield "/error", "must have code and message"
    for name in sorted(body.keys() - (COMPUTE_STATUS_MEMBERS if compute else STATUS_MEMBERS)):
        yield f"/{name}", "unknown member of an operation's status"
    if "name" in body and not isinstance(body["name"], str):
        yield "/name", "must be text"
    for name in ("startTime", "endTime"):
        if name in body and not re.match(DATE_TIME, str(body[name])):
            yield f"/{name}", "is no date and time"
    if compute:
        yield from _compute_status_problems(body)


def _compute_status_problems(body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What Compute's collections always have, and others may leave out."""
    for name in ("startTime", "name"):
        if name not in body:
            yield f"/{name}", "is missing"
    if (body["status"] in TERMINAL) != ("endTime" in body):
        yield "/endTime", "is there exactly when the operation has ended"
    if "properties" not in body:
        return
    if body["status"] != "Succeeded":
        yield "/properties", "is there only when the operation succeeded"
    if not isinstance(body["properties"], Mapping) or set(body["properties"]) != {"output"}:
        yield "/properties", "must have output and nothing else"


def _check_content(exchange: Exchange) -> Iterator[Finding]:
    if exchange.body is None:
        return
    if exchange.status == 204 or exchange.method == "HEAD":
        message = f"the answer {exchange.status} to {exchange.method} has no body"
        yield Finding("unexpected-body", RESPONSE, "", message, JUDGE)
    content_type = exchange.headers.get("content-type")
    if content_type is not None and "json" not in content_type:
        yield Finding("content-type", RESPONSE, "", f"a body of type {content_type}, must be JSON", JUDGE)
    elif isinstance(exchange.body, str):
        yield Finding("content-type", RESPONSE, "", "the body is no JSON", JUDGE)


def _check_error(exchange: Exchange) -> Iterator[Finding]:
    if exchange.method == "HEAD":
        return
    error = exchange.body.get("error") if isinstance(exchange.body, Mapping) else None
    if not isinstance(error, Mapping) or not (_is_text(error.get("code")) and _is_text(error.get("message"))):
        message = 'an error must be {"error": {"code": text, "message": text}}'
        yield Finding("error-envelope", RESPONSE, "/error", message, JUDGE)
        return
    for name in sorted(error.keys() - ERROR_MEMBERS):
        yield Finding("error-envelope", RESPONSE, f"/error/{name}", "unknown member of an error", JUDGE)


def _check_operation_headers(exchange: Exchange) -> Iterator[Finding]:
    for name in OPERATION_HEADERS:
        value = exchange.headers.get(name)
        if value is None:
            continue
        url = urlsplit(value)
        if url.scheme not in {"https", "http"} or not url.netloc:
            yield Finding("operation-url", RESPONSE, name, "must be an absolute URL", JUDGE)
        elif not any(key.lower() == "api-version" for key, _unused in parse_qsl(url.query)):
            yield Finding("operation-url", RESPONSE, name, "must carry an api-version", JUDGE)
    wait = exchange.headers.get("retry-after")
    if wait is not None and not wait.isdigit():
        yield Finding("retry-after", RESPONSE, "retry-after", "must be whole seconds", JUDGE)


def _check_secrets(value: Any, pointer: tuple[str | int, ...]) -> Iterator[Finding]:
    """Text beginning with a bracket is an expression of a template that names a secret, not the secret."""
    if isinstance(value, Mapping):
        for name, member in value.items():
            if name.lower() in WRITE_ONLY and _is_text(member) and not member.startswith("["):
                where = "/" + "/".join(str(part) for part in (*pointer, name))
                yield Finding("secret", RESPONSE, where, "is a secret, a service does not return it", JUDGE)
            else:
                yield from _check_secrets(member, (*pointer, name))
    elif isinstance(value, list):
        for index, member in enumerate(value):
            yield from _check_secrets(member, (*pointer, index))


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)
