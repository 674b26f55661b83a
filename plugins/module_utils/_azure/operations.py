# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
#
# Private to this collection; it may change without notice.
# ruff: noqa: PLC0415 - azure-core is imported where it is used, so that its absence can be reported
"""Waiting for Azure's long-running operations, in one place for the SDK's operations and for plain ARM
requests.

Source:
https://github.com/cloud-and-ai-microsoft/resource-provider-contract/blob/master/v1.0/async-api-reference.md
"""

from __future__ import annotations

import email.utils
import itertools
import json
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import (
    AzureError,
    OperationFailed,
    WaitTimeout,
    error_from_answer,
    importing,
    read_error,
    remedy_for,
    request_id_of,
    translated,
)

if TYPE_CHECKING:
    from azure.core.rest import HttpRequest, HttpResponse

# Seconds between two looks where Azure does not say how long to wait.
_FIRST_INTERVAL = 0.2
_LONGEST_INTERVAL = 5.0
_GROWTH = 1.5
# Between two looks at a resource that somebody else is changing.
_FIRST_PAUSE = 0.5
_TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})
_FAILED = frozenset({"failed", "canceled", "cancelled"})
_OPERATION_STATES = _FAILED | {"succeeded", "inprogress", "running", "accepted", "pending", "started"}
# A resource may be invisible for a moment after the operation that made it succeeded.
_LATE_RESOURCE_TRIES = 5

Send = Callable[["HttpRequest"], "HttpResponse"]


def retry_after(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """Seconds to wait according to ``Retry-After`` (RFC 9110, 10.2.3), None without a usable one."""
    value = headers.get("Retry-After")
    if not value:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        date = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, date.timestamp() - (time.time() if now is None else now))


def json_of(response: HttpResponse) -> Any:
    """The decoded body; None when there is none or when it is no JSON."""
    text = response.text()
    if not text.strip():
        return None
    try:
        return json.loads(text)
    except ValueError:
        return None


def failed_answer(action: str, response: HttpResponse) -> AzureError:
    """The error for an answer that is no success."""
    return error_from_answer(
        action, response.status_code, response.headers, json_of(response), response.text() or response.reason
    )


def _status_of(body: object) -> str | None:
    """The state in an operation's body, or in a resource's own ``provisioningState``."""
    if not isinstance(body, Mapping):
        return None
    status = body.get("status")
    if not isinstance(status, str):
        properties = body.get("properties")
        status = properties.get("provisioningState") if isinstance(properties, Mapping) else None
    return status if isinstance(status, str) else None


class _Followed:
    """One accepted operation: what was asked, where its state is read, and how its result is got."""

    def __init__(self, action: str, first: HttpResponse) -> None:
        self.action = action
        self.method = first.request.method.upper()
        self.url = first.request.url
        self.first_status = first.status_code
        self.first_body = json_of(first)
        headers = first.headers
        operation = headers.get("Azure-AsyncOperation") or headers.get("Operation-Location")
        location = headers.get("Location")
        # The URLs carry a signature in their query and are sent back exactly as they came.
        self.operation_url = urljoin(self.url, operation) if operation else None
        self.location_url = urljoin(self.url, location) if location else None
        self.delay = retry_after(headers)
        self.state = _status_of(self.first_body) or "Accepted"

    @property
    def is_write(self) -> bool:
        return self.method in ("PUT", "PATCH")

    @property
    def finished_at_once(self) -> bool:
        if self.operation_url or self.location_url:
            return False
        if not self.is_write:
            return True
        return self.first_status != 202 and self.state.lower() in (*_FAILED, "succeeded", "accepted")

    @property
    def poll_url(self) -> str:
        return self.operation_url or self.location_url or self.url

    def failure(self, status: int, body: object, headers: Mapping[str, str]) -> OperationFailed:
        found = read_error(body)
        if found is None and isinstance(body, Mapping):
            found = read_error(body.get("properties"))
        code = found.code if found else None
        said = found.message if found else ""
        reason = f"{code}: {said}" if code and said else code or said or "Azure gave no reason"
        return OperationFailed(
            f"Could not {self.action}: {reason.rstrip('.')}.",
            code=code,
            status=status,
            target=found.target if found else None,
            request_id=request_id_of(headers),
            remedy=remedy_for(code),
        )

    def is_done_by(self, response: HttpResponse, body: object) -> bool:
        """Take in one answer about the operation's state; raises when the operation failed."""
        status = _status_of(body)
        if response.status_code >= 400:
            if (status or "").lower() in _FAILED:
                raise self.failure(response.status_code, body, response.headers)
            raise failed_answer(self.action, response)
        if self.operation_url is None and self.location_url is not None:
            if response.status_code == 202:
                self.state = status or "InProgress"
                self.location_url = urljoin(self.url, response.headers.get("Location") or self.location_url)
                return False
            # What a Location answers with 200 or 204 is the result, whose own "status" is another matter.
            if not self.is_write and (status or "").lower() not in _OPERATION_STATES:
                status = None
        if self.operation_url is not None and status is None:
            return False
        self.state = status or "Succeeded"
        if self.state.lower() in _FAILED:
            raise self.failure(response.status_code, body, response.headers)
        return self.state.lower() == "succeeded"

    def final_url(self, last: Any) -> str | None:
        """Where the result is to be read after the operation succeeded; None when ``last`` has it."""
        if self.is_write:
            return None if self.poll_url == self.url else self.url
        if self.method == "POST" and self.operation_url is not None and self.output(last) is None:
            return self.location_url
        return None

    def output(self, last: Any) -> Any:
        """The result that the last answer about the state contains."""
        if self.is_write or self.operation_url is None:
            return last if self.is_write or self.method == "POST" else None
        properties = last.get("properties") if isinstance(last, Mapping) else None
        return properties.get("output") if isinstance(properties, Mapping) else None

    def timed_out(self, timeout: float) -> WaitTimeout:
        path = urlsplit(self.url).path
        if self.method == "POST":
            path = path.rpartition("/")[0]
        return WaitTimeout(
            f"Could not see the end of the operation to {self.action}: it did not finish within "
            f"{timeout:g} s and goes on in Azure (last state {self.state}).",
            code="WaitTimeout",
            remedy=f"Look with: az resource show --ids {path}, or run the task again with more wait_timeout.",
        )


class _Pace:
    """The pauses between looks at one operation, up to the deadline."""

    def __init__(self, waiter: Waiter, operation: _Followed) -> None:
        self._waiter = waiter
        self._operation = operation
        self._started = waiter.clock()
        self._interval = _FIRST_INTERVAL

    def elapsed(self) -> float:
        return self._waiter.clock() - self._started

    def pause(self) -> None:
        """Sleep until the next look is due; raises WaitTimeout once the deadline has passed."""
        remaining = self._waiter.timeout - self.elapsed()
        if remaining <= 0:
            raise self._operation.timed_out(self._waiter.timeout)
        # Who asks for no pause at all would be asked without end.
        self._waiter.sleep(min(self._operation.delay or self._interval, remaining))
        self._interval = min(self._interval * _GROWTH, _LONGEST_INTERVAL)

    def restart(self) -> None:
        """Short pauses again."""
        self._interval = _FIRST_INTERVAL


class Waiter:
    """How long to wait for operations, and whom to tell about it.

    ``timeout`` is in seconds, for each operation. Without ``wait`` every call returns Azure's first answer.
    ``progress`` gets short texts such as "InProgress 35 s" each time the state was read.
    """

    def __init__(
        self,
        wait: bool = True,
        timeout: float = 1800,
        progress: Callable[[str], None] | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.wait = wait
        self.timeout = timeout
        self.progress = progress
        self.clock = clock
        self.sleep = sleep

    def pauses(self, longest: float, late: Callable[[], WaitTimeout]) -> Iterator[float]:
        """Each turn makes a pause, longer than the one before, and gives the seconds waited until it.

        For what no operation tells the end of. Once the timeout has passed, it raises what ``late`` makes.

        :param longest: of the pauses, in seconds
        """
        started, interval = self.clock(), _FIRST_PAUSE
        while True:
            waited = self.clock() - started
            if waited >= self.timeout:
                raise late()
            self.sleep(min(interval, self.timeout - waited))
            interval = min(interval * _GROWTH, longest)
            yield waited

    def follow(self, action: str, first: HttpResponse, send: Send) -> Any:
        """Wait for the operation that ``first`` accepted; returns its result as decoded JSON, or None.

        The result is the resource after PUT and PATCH, the operation's output after POST, None after DELETE.
        ``send`` must not retry by itself. Raises OperationFailed, WaitTimeout, or AzureError.
        """
        operation = _Followed(action, first)
        if not self.wait or operation.finished_at_once:
            if operation.state.lower() in _FAILED:
                raise operation.failure(first.status_code, operation.first_body, first.headers)
            return operation.first_body
        pace = _Pace(self, operation)
        last = self._until_done(operation, send, pace)
        final_url = operation.final_url(last)
        if final_url is None:
            return operation.output(last)
        return self._read_result(final_url, operation, send, pace)

    def _until_done(self, operation: _Followed, send: Send, pace: _Pace) -> Any:
        while True:
            pace.pause()
            response = _look(operation.poll_url, operation, send)
            body = None if response is None else json_of(response)
            done = response is not None and operation.is_done_by(response, body)
            if self.progress is not None:
                self.progress(f"{operation.state} {pace.elapsed():.0f} s")
            if done:
                return body

    def _read_result(self, url: str, operation: _Followed, send: Send, pace: _Pace) -> Any:
        pace.restart()
        for tries in itertools.count(1):
            response = _look(url, operation, send)
            if response is not None and response.status_code < 400:
                return json_of(response)
            late = response is None or (response.status_code == 404 and tries < _LATE_RESOURCE_TRIES)
            if response is not None and not late:
                raise failed_answer(f"read the result of the operation to {operation.action}", response)
            pace.pause()
        raise AssertionError("unreachable: the loop only ends by return or raise")


def _look(url: str, operation: _Followed, send: Send) -> HttpResponse | None:
    """Read an URL once. None when that failed in a way that passes: the operation itself goes on."""
    with importing("azure-core"):
        from azure.core.exceptions import ServiceRequestError, ServiceResponseError
        from azure.core.rest import HttpRequest
    operation.delay = None
    try:
        with translated(
            f"follow the operation to {operation.action}", leave=(ServiceRequestError, ServiceResponseError)
        ):
            response = send(HttpRequest("GET", url, headers={"Accept": "application/json"}))
    except (ServiceRequestError, ServiceResponseError):
        return None
    operation.delay = retry_after(response.headers)
    if response.status_code in _TRANSIENT and (_status_of(json_of(response)) or "").lower() not in _FAILED:
        return None
    return response


class OperationPolling:
    """azure-core's ``PollingMethod`` by means of a Waiter: ``images.begin_delete(...,
    polling=OperationPolling(...))``.

    ``begin_...`` then returns, or raises, when the operation has ended; no thread is started.
    ``poller.result()`` is the decoded JSON of the result, not an SDK model.
    """

    def __init__(self, waiter: Waiter, action: str) -> None:
        self._waiter = waiter
        self._action = action
        self._result: Any = None
        self.first_status = 0

    def initialize(self, client: Any, initial_response: Any, deserialization_callback: Any) -> None:  # noqa: ARG002
        """Called by LROPoller with the pipeline's client and the answer that accepted the operation."""

        def send(request: HttpRequest) -> HttpResponse:
            response: HttpResponse = client.send_request(request, retry_total=0)
            return response

        first = initial_response.http_response
        self.first_status = first.status_code
        self._result = self._waiter.follow(self._action, first, send)

    def run(self) -> None:
        """Nothing is left to do: `initialize` waited."""

    def status(self) -> str:
        """State as azure-core names it."""
        return "Succeeded" if self._waiter.wait else "InProgress"

    def finished(self) -> bool:
        """True, so that LROPoller starts no thread."""
        return True

    def resource(self) -> Any:
        """The result's decoded JSON."""
        return self._result
