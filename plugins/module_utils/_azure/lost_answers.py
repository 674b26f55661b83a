# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
#
# Private to this collection; it may change without notice.
# ruff: noqa: PLC0415 - azure-core is imported where it is used, so that its absence can be reported
"""Requests whose answer got lost or damaged on its way, although Azure may have acted on them.

The SDK repeats a PUT or DELETE after a lost connection. Azure, still busy with the first one, answers the
repetition with a conflict, which must not be taken for a refusal.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import importing
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.operations import json_of

_BUSY = 409
_BROKEN_ANSWERS = 2
# Seconds: how long a busy resource is waited for before the conflict is believed, and the pauses.
_PATIENCE = 300.0
_PAUSE = 0.5
_LONGEST_PAUSE = 5.0


def _in_transition(body: object) -> bool:
    properties = body.get("properties") if isinstance(body, dict) else None
    state = properties.get("provisioningState") if isinstance(properties, dict) else None
    return isinstance(state, str) and state.lower().endswith("ing")


class LostAnswers:
    """Pipeline policy around the SDK's retry policy.

    A conflict after a lost answer is Azure at work on the first request: a PUT then gets the resource as it
    is meanwhile, to be followed to its end; a DELETE is repeated until it is let in.
    """

    next: Any

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._clock = clock
        self._sleep = sleep

    def send(self, request: Any) -> Any:
        """Called by the pipeline."""
        response = self.next.send(request)
        if response.http_response.status_code != _BUSY or not _was_lost(response):
            return response
        if request.http_request.method == "PUT":
            # Nobody at work on it any more: what is asked for is let in now, or refused for good.
            return self._meanwhile(request) or self.next.send(request)
        return self._repeated(request, response)

    def _meanwhile(self, request: Any) -> Any:
        """The resource's present state in place of the answer; None when nobody is at work on it."""
        with importing("azure-core"):
            from azure.core.pipeline import PipelineRequest
        write = request.http_request
        # Older releases of the SDK have a request class of their own, with answers to match.
        look = type(write)("GET", write.url, headers={"Accept": "application/json"})
        seen = self.next.send(PipelineRequest(look, request.context))
        if seen.http_response.status_code != 200:
            return None
        if not _in_transition(_body_of(seen.http_response)):
            return None
        # An answer can be read once only, which is for the SDK to do.
        unread = self.next.send(PipelineRequest(look, request.context))
        unread.http_response.request = write
        return unread

    def _repeated(self, request: Any, response: Any) -> Any:
        deadline = self._clock() + _PATIENCE
        pause = _PAUSE
        while response.http_response.status_code == _BUSY and self._clock() < deadline:
            self._sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
            response = self.next.send(request)
        return response


def _body_of(response: Any) -> Any:
    with importing("azure-core"):
        from azure.core.exceptions import ResponseNotReadError
    try:
        return json_of(response)
    except ResponseNotReadError:
        response.read()
        return json_of(response)


def _was_lost(response: Any) -> bool:
    """Whether an earlier try of the request ended without an answer."""
    return any(tried.error is not None for tried in response.context.get("history", ()))


class BrokenAnswers:
    """Pipeline policy: reads once or twice more what came as JSON and is none."""

    next: Any

    def send(self, request: Any) -> Any:
        """Called by the pipeline."""
        with importing("azure-core"):
            from azure.core.exceptions import DecodeError
        if request.http_request.method != "GET":
            return self.next.send(request)
        for _unused in range(_BROKEN_ANSWERS):
            try:
                return self.next.send(request)
            except DecodeError:
                continue
        return self.next.send(request)
