# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The answers that faults give in place of a service's own.

The bodies of 500, 503 and 504 are as recorded from Azure. Compute's 429: code, text and details as users
quote them in github.com/hashicorp/terraform-provider-azurerm/issues/19146. Blob errors: "Common REST API
error codes" and "Blob service error codes" of the Azure Storage REST documentation.
"""

from __future__ import annotations

import json
import uuid
from datetime import timedelta
from typing import Any, NamedTuple

from tests.local_azure.clock import now, wire_time
from tests.local_azure.faults.rules import Rule

_DEFAULT_MESSAGE = "The request was refused by a fault of the local Azure."
_BLOB_CODES = {
    400: "Md5Mismatch",
    403: "AuthenticationFailed",
    404: "BlobNotFound",
    409: "BlobAlreadyExists",
    412: "ConditionNotMet",
    429: "ServerBusy",
    500: "InternalError",
    503: "ServerBusy",
}
_BLOB_MESSAGES = {
    "AuthenticationFailed": "Server failed to authenticate the request. Make sure the value of Authorization "
    "header is formed correctly including the signature.",
    "BlobAlreadyExists": "The specified blob already exists.",
    "BlobNotFound": "The specified blob does not exist.",
    "ConditionNotMet": "The condition specified using HTTP conditional header(s) is not met.",
    "InternalError": "The server encountered an internal error. Please retry the request.",
    "LeaseIdMissing": "There is currently a lease on the blob and no lease ID was specified in the request.",
    "Md5Mismatch": "The MD5 value specified in the request did not match with the MD5 value calculated by "
    "the server.",
    "OperationTimedOut": "Operation could not be completed within the specified time.",
    "ServerBusy": "The server is busy.",
}
_GATEWAY_CODES = {502: "BadGateway", 503: "ServerTimeout", 504: "GatewayTimeout"}


class FalseAnswer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: Any


def refusal(rule: Rule, subscription: str, provider: str) -> FalseAnswer:
    """Resource Manager's answer for a `throttle` or an `error`."""
    if rule.kind == "throttle":
        return _throttled(int(rule.options["retry_after"]))
    status = int(rule.options["status"])
    error = _standard_error(status, subscription, provider)
    error.update({name: rule.options[name] for name in ("code", "message") if rule.options[name]})
    return FalseAnswer(status, _patience(rule), {"error": error})


def entra_refusal(rule: Rule) -> FalseAnswer:
    """The token endpoint's answer: its own form of error, AADSTS90033 where nothing else is said."""
    status = 429 if rule.kind == "throttle" else int(rule.options["status"])
    code = rule.options.get("code") or "temporarily_unavailable"
    text = rule.options.get("message") or "A transient error has occurred. Please try again."
    body = {"error": code, "error_description": f"AADSTS90033: {text}", "error_codes": [90033]}
    return FalseAnswer(status, _patience(rule), body)


def blob_answer(rule: Rule) -> dict[str, Any] | None:
    """What the blob service says instead, for it to make XML of; None for other kinds of faults."""
    if rule.kind == "expire_sas":
        status, code = 403, "AuthenticationFailed"
    elif rule.kind == "throttle":
        status, code = 503, "ServerBusy"
    elif rule.kind == "error":
        status = int(rule.options["status"])
        code = rule.options["code"] or _BLOB_CODES.get(status, "InternalError")
    else:
        return None
    message = rule.options.get("message") or _BLOB_MESSAGES.get(code, _DEFAULT_MESSAGE)
    return {"status": status, "code": code, "message": message, "headers": _patience(rule)}


def _patience(rule: Rule) -> dict[str, str]:
    seconds = rule.options.get("retry_after")
    return {} if seconds is None else {"Retry-After": str(seconds)}


def _throttled(seconds: int) -> FalseAnswer:
    ends = now() + timedelta(seconds=seconds)
    bucket = {
        "operationGroup": "HighCostGet3Min",
        "startTime": wire_time(ends - timedelta(minutes=3)),
        "endTime": wire_time(ends),
        "allowedRequestCount": 180,
        "measuredRequestCount": 478,
    }
    error = {
        "code": "OperationNotAllowed",
        "message": "The server rejected the request because too many requests have been received for this "
        "subscription.",
        "details": [
            {"code": "TooManyRequests", "target": "HighCostGet3Min", "message": json.dumps(bucket)},
        ],
        "innererror": {"internalErrorCode": "TooManyRequestsReceived"},
    }
    headers = {
        "Retry-After": str(seconds),
        "x-ms-ratelimit-remaining-resource": "Microsoft.Compute/HighCostGet3Min;0",
    }
    return FalseAnswer(429, headers, {"error": error})


def _standard_error(status: int, subscription: str, provider: str) -> dict[str, Any]:
    if status in (500, 503):
        tracking = uuid.uuid4()
        timeout = {
            "code": "ServerTimeout",
            "message": f"The request timed out. Diagnostic information: timestamp '{now():%Y%m%dT%H%M%SZ}', "
            f"subscription id '{subscription}', tracking id '{tracking}', request correlation id "
            f"'{tracking}'.",
        }
        if status == 503:
            return timeout
        return {
            "code": "MultipleErrorsOccurred",
            "message": "Multiple error occurred: . Please see details.",
            "details": [timeout, timeout],
        }
    if status == 504:
        text = f"The gateway did not receive a response from '{provider}' within the specified time period."
        return {"code": "GatewayTimeout", "message": text}
    return {"code": _GATEWAY_CODES.get(status, "OperationNotAllowed"), "message": _DEFAULT_MESSAGE}
