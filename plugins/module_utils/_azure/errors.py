# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
#
# Private to this collection; it may change without notice.
#
# ruff: noqa: N818, PLC0415 - the names say what happened; azure-core is imported where it is used
"""What can go wrong between this collection and Azure, as sentences a user can act on."""

from __future__ import annotations

import json
import re
import traceback as tracebacks
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from azure.core.exceptions import HttpResponseError

# A shared access signature in a query string, or a bearer token, grants access to whoever reads it.
_SIGNED_QUERY = re.compile(r"\?[^\s'\"<>]*\bsig=[^\s'\"<>]*", re.IGNORECASE)
_BEARER_TOKEN = re.compile(
    r"\b(Bearer\s+)[A-Za-z0-9._~+/=-]{20,}|\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9._-]{20,}"
)
# Azure appends these to messages; they identify the call, which request_id already does.
_NOISE = re.compile(
    r"\s*(RequestId|Time|Trace ID|Correlation ID|Timestamp):\s*\S+( UTC| \d\d:\d\d:\d\dZ?)?", re.IGNORECASE
)


def without_signatures(text: str) -> str:
    """The text with SAS queries and bearer tokens replaced by ``<redacted>``."""
    return _BEARER_TOKEN.sub("<redacted>", _SIGNED_QUERY.sub("?<redacted>", text))


def one_line(text: str) -> str:
    """Collapse white space and drop the per-call identifiers Azure appends to its messages."""
    return " ".join(_NOISE.sub(" ", text).split())


class AzureError(Exception):
    """One clear sentence about what failed, with what Azure said about it.

    ``code``, ``target`` are those of Azure's error body, ``status`` is the HTTP status, ``request_id`` is
    what Microsoft support asks for, ``remedy`` tells the user what to do next.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        status: int | None = None,
        target: str | None = None,
        request_id: str | None = None,
        remedy: str | None = None,
    ) -> None:
        self.message = without_signatures(one_line(message))
        self.code = code
        self.status = status
        self.target = without_signatures(target) if target else None
        self.request_id = request_id
        self.remedy = remedy
        super().__init__(self.message)

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}" if self.remedy else self.message

    def as_result(self) -> dict[str, Any]:
        """The ``failure`` value of a failed module."""
        return {
            "code": self.code,
            "message": self.message,
            "target": self.target,
            "status": self.status,
            "request_id": self.request_id,
            "remedy": self.remedy,
        }


class CredentialError(AzureError):
    """No usable credential, or Microsoft Entra ID or Azure did not accept it."""


class NotFound(AzureError):
    """Something that has to exist does not: a resource group, a subscription, the resource to act on."""


class OperationFailed(AzureError):
    """A long-running operation was accepted and later ended as Failed or Canceled."""


class WaitTimeout(AzureError):
    """The time to wait is over; the operation goes on in Azure."""


class InvalidInput(AzureError):
    """What the user gave cannot work; nothing was changed."""


class MissingLibrary(AzureError):
    """A Python package is not installed in the interpreter that runs the module."""

    def __init__(self, library: str, traceback: str) -> None:
        super().__init__(
            f"The Python package {library} is missing.",
            remedy=f"Install {library} into the Python interpreter that runs the module.",
        )
        self.library = library
        self.traceback = traceback


@contextmanager
def importing(library: str) -> Iterator[None]:
    """Imports of a distribution's modules inside; raises MissingLibrary naming that distribution."""
    try:
        yield
    except ImportError as error:
        raise MissingLibrary(library, tracebacks.format_exc()) from error


_REMEDIES = {
    "AuthorizationFailed": "Give the signed-in identity a role with that permission, such as Contributor.",
    "LinkedAuthorizationFailed": "Give the signed-in identity that permission on the linked resource too.",
    "ResourceGroupNotFound": "Create the resource group first, or correct its name or subscription_id.",
    "SubscriptionNotFound": "Check subscription_id, and that the signed-in identity has a role in it.",
    "InvalidSubscriptionId": "Give subscription_id as the subscription's GUID.",
    "InvalidAuthenticationTokenTenant": "Sign in to the tenant that owns the subscription (option tenant).",
    "ScopeLocked": "Remove the lock named, or leave the resource as it is.",
    "MissingSubscriptionRegistration": "Register the provider: az provider register --namespace NAME.",
    "AnotherOperationInProgress": "Wait for the other operation and run the task again.",
    "OperationPreempted": "Another operation took precedence; run the task again when it is done.",
    "QuotaExceeded": "Ask for a higher quota in the Azure portal, or use another size or region.",
    "SkuNotAvailable": "Choose another size, zone or region.",
    "ResourcePurchaseValidationFailed": "Check the plan, and accept the terms of the Marketplace image.",
    "MarketplacePurchaseEligibilityFailed": "Accept the terms of the Marketplace image in this subscription.",
}


def remedy_for(code: str | None) -> str | None:
    """What to do about an error code of Azure; None where its own message has to suffice."""
    return _REMEDIES.get(code or "")


class ErrorBody:
    """The ``error`` object of an ARM answer: code, message with the details that add to it, target."""

    def __init__(self, code: str | None, message: str, target: str | None) -> None:
        self.code = code
        self.message = message
        self.target = target


def _text_of(value: object) -> str:
    return value if isinstance(value, str) else ""


def _nested(message: str) -> dict[str, Any] | None:
    """Some resource providers put a whole JSON document where the message belongs."""
    if not message.lstrip().startswith("{"):
        return None
    try:
        found = json.loads(message)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def read_error(body: object) -> ErrorBody | None:
    """Read an error body: ``{"error": {...}}``, or the bare object some providers send.

    Source: https://github.com/cloud-and-ai-microsoft/resource-provider-contract (error response content).
    """
    if not isinstance(body, dict):
        return None
    error = body.get("error", body)
    if not isinstance(error, dict) or not (error.get("code") or error.get("message")):
        return None
    code = _text_of(error.get("code")) or None
    message = _text_of(error.get("message"))
    target = _text_of(error.get("target")) or None
    inner = _nested(message)
    if inner is not None:
        deeper = read_error(inner)
        if deeper is not None:
            return ErrorBody(deeper.code or code, deeper.message, deeper.target or target)
    parts = [message] if message else []
    details = error.get("details")
    for detail in details if isinstance(details, list) else []:
        deeper = read_error(detail)
        if deeper is None:
            continue
        target = target or deeper.target
        if deeper.message and deeper.message not in " ".join(parts):
            parts.append(
                f"{deeper.code}: {deeper.message}" if deeper.code and deeper.code != code else deeper.message
            )
    return ErrorBody(code, one_line(" ".join(parts)), target)


def request_id_of(headers: Any) -> str | None:
    """The identifier Microsoft support asks for, out of an answer's headers."""
    for name in ("x-ms-request-id", "x-ms-correlation-request-id", "x-ms-client-request-id"):
        value = headers.get(name)
        if value:
            return str(value)
    return None


def error_from_answer(action: str, status: int, headers: Any, body: object, text: str = "") -> AzureError:
    """The error for an HTTP answer that is none of success.

    ``body`` is the decoded JSON, or None; ``text`` is what there is to show when it is no ARM error.
    """
    found = read_error(body)
    code = found.code if found else None
    said = found.message if found and found.message else one_line(text)[:300]
    header_code = headers.get("x-ms-error-code")
    if code is None and header_code:
        code = str(header_code)
    reason = f"{code}: {said}" if code and said else code or said or "no reason was given"
    kind: type[AzureError] = AzureError
    remedy = remedy_for(code)
    if status == 401:
        kind = CredentialError
        remedy = remedy or "Check that tenant, subscription_id and cloud_environment belong together."
    elif status == 404:
        kind = NotFound
    elif status == 429:
        remedy = remedy or "Azure limits the rate of requests; run the task again later, or with fewer forks."
    elif status == 403:
        remedy = remedy or "Give the signed-in identity the role this needs."
    return kind(
        f"Could not {action}: {reason.rstrip('.')} (HTTP {status}).",
        code=code,
        status=status,
        target=found.target if found else None,
        request_id=request_id_of(headers),
        remedy=remedy,
    )


def _answer_of(error: HttpResponseError) -> tuple[int, Any, object, str]:
    response = error.response
    if response is None:
        return error.status_code or 0, {}, None, error.message
    try:
        text = response.text()
    except (ValueError, OSError):
        text = ""
    try:
        body: object = json.loads(text.lstrip("\ufeff")) if text else None
    except ValueError:
        body = None
    return response.status_code or 0, cast("Any", response).headers, body, text or error.reason or ""


_PROXY = "the proxy did not let the connection through"
_UNTRUSTED = "its TLS certificate is not trusted"
_CAUSES = (
    (r"ProxyError|Tunnel connection failed|connect to proxy", _PROXY),
    (r"CERTIFICATE_VERIFY_FAILED|certificate verify failed", _UNTRUSTED),
    (r"SSLError|SSL:|wrong version number|TLS", "no TLS connection could be made"),
    (r"NameResolution|Name or service|name resolution|getaddrinfo|nodename nor", "its name does not resolve"),
    (r"Connection refused", "the connection was refused"),
    (
        r"Connection reset|Connection aborted|RemoteDisconnected|IncompleteRead",
        "the connection was closed early",
    ),
    (r"timed out|Timeout", "it did not answer in time"),
    (r"unreachable|No route to host", "there is no route to it"),
)


def unreachable(action: str, error: Exception, host: str = "") -> AzureError:
    """The error for a request that got no answer; ``error`` is azure-core's or requests' exception."""
    text = str(error)
    found = re.search(r"host='([^']+)',\s*port=(\d+)", text)
    if found:
        host = found.group(1) if found.group(2) == "443" else f"{found.group(1)}:{found.group(2)}"
    cause = next((why for pattern, why in _CAUSES if re.search(pattern, text)), one_line(text)[:200])
    remedy = "Check the network, HTTPS_PROXY and NO_PROXY, and cloud_environment."
    if cause is _UNTRUSTED:
        remedy = (
            "Let REQUESTS_CA_BUNDLE name a file that has the certificate authority of the server or proxy, "
            "or set cert_validation_mode=ignore for a test system."
        )
    elif cause is _PROXY:
        remedy = "Check HTTPS_PROXY and NO_PROXY in the environment of the module."
    return AzureError(
        f"Could not {action}: {host or 'the server'} cannot be reached, {cause}.", remedy=remedy
    )


def no_json(action: str) -> AzureError:
    """The error for an answer whose body cannot be understood."""
    return AzureError(
        f"Could not {action}: the answer is no JSON of Azure's.",
        remedy="Check cloud_environment, and whether a proxy answers in place of Azure.",
    )


@contextmanager
def translated(action: str, *, leave: tuple[type[Exception], ...] = (), host: str = "") -> Iterator[None]:
    """Turn azure-core's exceptions raised inside into AzureError: "Could not <action>: ...".

    ``action`` is a verb phrase that names the resource, for example "create image web-1". Exceptions of the
    classes in ``leave`` pass unchanged.
    """
    with importing("azure-core"):
        from azure.core import exceptions as core
    try:
        yield
    except AzureError:
        raise
    except leave:
        raise
    except (core.DecodeError, core.DeserializationError, json.JSONDecodeError) as error:
        raise no_json(action) from error
    except core.HttpResponseError as error:
        raise error_from_answer(action, *_answer_of(error)) from error
    except (core.ServiceRequestError, core.ServiceResponseError) as error:
        raise unreachable(action, error, host) from error
    except core.AzureError as error:
        raise AzureError(f"Could not {action}: {error.message}") from error
