# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Waiting for long-running operations, with a clock of the test's own."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import (
    AzureError,
    NotFound,
    OperationFailed,
    WaitTimeout,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.operations import Waiter, retry_after
from azure.core.exceptions import ServiceRequestError, ServiceResponseError
from requests.structures import CaseInsensitiveDict

HOST = "https://management.example"
IMAGE = f"{HOST}/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/images/i?api-version=1"
STATE = f"{HOST}/operations/1?sig%6Eed=a%2Fb&s=x"
MONITOR = f"{STATE}&monitor=true"


class Request:
    def __init__(self, method: str, url: str) -> None:
        self.method = method
        self.url = url


class Response:
    """What azure-core's HttpResponse offers to the waiter."""

    def __init__(
        self, status: int, body: Any = None, headers: Mapping[str, str] | None = None, request: Any = None
    ) -> None:
        self.status_code = status
        self.headers = CaseInsensitiveDict(headers or {})
        self.request = request
        self.reason = "reason"
        self._text = "" if body is None else body if isinstance(body, str) else json.dumps(body)

    def text(self) -> str:
        return self._text


class World:
    """A clock that sleeping moves, and the answers to come; keeps what was asked and slept."""

    def __init__(self, *answers: Response | Exception) -> None:
        self.answers = list(answers)
        self.now = 1000.0
        self.slept: list[float] = []
        self.asked: list[str] = []
        self.progress: list[str] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds, 3))
        self.now += seconds

    def send(self, request: Any) -> Any:
        assert request.method == "GET"
        self.asked.append(request.url)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def waiter(self, timeout: float = 100, wait: bool = True) -> Waiter:
        return Waiter(wait, timeout, self.progress.append, clock=lambda: self.now, sleep=self.sleep)

    def follow(self, first: Response, **options: Any) -> Any:
        return self.waiter(**options).follow("create image i", first, self.send)  # type: ignore[arg-type]


def accepted(method: str = "PUT", status: int = 201, body: Any = None, **headers: str) -> Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status, body, named, Request(method, IMAGE))


RUNNING = Response(200, {"status": "InProgress", "startTime": "x"})
DONE = Response(200, {"status": "Succeeded", "startTime": "x", "endTime": "y"})
RESOURCE = {"id": "i", "properties": {"provisioningState": "Succeeded"}}


def test_put_polls_the_operation_then_reads_the_resource() -> None:
    world = World(RUNNING, DONE, Response(200, RESOURCE))
    assert world.follow(accepted(Azure_AsyncOperation=STATE, Location=MONITOR)) == RESOURCE
    assert world.asked == [STATE, STATE, IMAGE]


def test_intervals_grow_from_a_fifth_of_a_second_to_five_seconds() -> None:
    world = World(*[RUNNING] * 12, DONE, Response(200, RESOURCE))
    world.follow(accepted(Azure_AsyncOperation=STATE))
    assert world.slept[:4] == [0.2, 0.3, 0.45, 0.675]
    assert world.slept[-1] == 5.0
    assert max(world.slept) == 5.0


def test_retry_after_is_obeyed_where_it_is_given_and_only_there() -> None:
    world = World(
        Response(200, {"status": "Running"}, {"Retry-After": "61"}), RUNNING, DONE, Response(200, RESOURCE)
    )
    world.follow(accepted(Azure_AsyncOperation=STATE, Retry_After="2"))
    assert world.slept == [2.0, 61.0, pytest.approx(0.45)]


def test_an_operation_that_is_to_be_looked_at_at_once_is_not_looked_at_without_end() -> None:
    world = World(Response(200, {"status": "Running"}, {"Retry-After": "0"}), DONE, Response(200, RESOURCE))
    world.follow(accepted(Azure_AsyncOperation=STATE, Retry_After="0"))
    assert world.slept == [0.2, 0.3]


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("10", 10.0),
        ("0", 0.0),
        ("1.5", 1.5),
        ("-3", 0.0),
        ("Thu, 01 Jan 1970 00:01:40 GMT", 60.0),
        ("soon", None),
    ],
)
def test_forms_of_retry_after(value: str, seconds: float | None) -> None:
    assert retry_after({"Retry-After": value}, now=40) == seconds


def test_no_retry_after() -> None:
    assert retry_after({}) is None


@pytest.mark.parametrize(
    "blip",
    [
        Response(503, {"error": {"code": "ServerTimeout", "message": "m"}}),
        Response(500, {"error": {"code": "MultipleErrorsOccurred", "message": "m"}}),
        Response(502, "<html>bad gateway</html>"),
        Response(504),
        Response(408),
        Response(429, {"error": {"code": "TooManyRequests", "message": "m"}}),
        ServiceResponseError("Connection aborted."),
        ServiceRequestError("Connection refused"),
    ],
)
def test_what_passes_is_waited_out(blip: Response | Exception) -> None:
    world = World(blip, blip, DONE, blip, Response(200, RESOURCE))
    assert world.follow(accepted(Azure_AsyncOperation=STATE)) == RESOURCE


def test_a_throttled_poll_waits_as_long_as_azure_asks() -> None:
    world = World(Response(429, headers={"Retry-After": "17"}), DONE, Response(200, RESOURCE))
    world.follow(accepted(Azure_AsyncOperation=STATE))
    assert world.slept == [0.2, 17.0]


def test_faults_that_do_not_pass_end_at_the_deadline() -> None:
    world = World(*[Response(503)] * 1000)
    with pytest.raises(WaitTimeout):
        world.follow(accepted(Azure_AsyncOperation=STATE), timeout=60)
    assert world.now == pytest.approx(1060)


def test_the_deadline_says_that_azure_goes_on_and_how_to_look() -> None:
    world = World(*[RUNNING] * 1000)
    with pytest.raises(WaitTimeout) as caught:
        world.follow(accepted(Azure_AsyncOperation=STATE), timeout=30)
    assert str(caught.value) == (
        "Could not see the end of the operation to create image i: it did not finish within 30 s and goes "
        "on in Azure (last state InProgress). Look with: az resource show --ids "
        "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/images/i, "
        "or run the task again with more wait_timeout."
    )
    assert sum(world.slept) == pytest.approx(30)


def test_a_long_retry_after_does_not_outlast_the_deadline_and_the_last_look_counts() -> None:
    world = World(DONE, Response(200, RESOURCE))
    assert world.follow(accepted(Azure_AsyncOperation=STATE, Retry_After="500"), timeout=30) == RESOURCE
    assert world.slept == [30.0]


def test_a_failed_operation_has_azures_code_and_message() -> None:
    failed = {
        "status": "Failed",
        "error": {"code": "InternalExecutionError", "message": "An internal error."},
    }
    with pytest.raises(OperationFailed) as caught:
        World(RUNNING, Response(200, failed, {"x-ms-request-id": "r"})).follow(
            accepted(Azure_AsyncOperation=STATE)
        )
    assert str(caught.value) == "Could not create image i: InternalExecutionError: An internal error."
    assert (caught.value.code, caught.value.request_id) == ("InternalExecutionError", "r")


@pytest.mark.parametrize("status", [500, 409, 400])
def test_a_failed_operation_counts_whatever_the_http_status(status: int) -> None:
    failed = {"status": "Failed", "error": {"code": "C", "message": "m"}}
    with pytest.raises(OperationFailed, match="C: m"):
        World(Response(status, failed)).follow(accepted(Azure_AsyncOperation=STATE))


def test_a_cancelled_operation_is_a_failure_without_a_reason() -> None:
    with pytest.raises(OperationFailed, match="Azure gave no reason"):
        World(Response(200, {"status": "Canceled"})).follow(accepted(Azure_AsyncOperation=STATE))


def test_an_unknown_operation_is_an_error_and_no_success() -> None:
    with pytest.raises(NotFound, match="create image i"):
        World(Response(404, {"error": {"code": "NotFound", "message": "m"}})).follow(
            accepted(Azure_AsyncOperation=STATE)
        )


def test_post_returns_the_output_of_the_operation() -> None:
    done = Response(200, {"status": "Succeeded", "properties": {"output": {"accessSAS": "u"}}})
    world = World(RUNNING, done)
    assert world.follow(accepted("POST", 202, Azure_AsyncOperation=STATE, Location=MONITOR)) == {
        "accessSAS": "u"
    }
    assert world.asked == [STATE, STATE]


def test_post_reads_the_location_when_the_operation_has_no_output() -> None:
    world = World(DONE, Response(200, {"accessSAS": "u"}))
    assert world.follow(accepted("POST", 202, Azure_AsyncOperation=STATE, Location=MONITOR)) == {
        "accessSAS": "u"
    }
    assert world.asked == [STATE, MONITOR]


@pytest.mark.parametrize("last", [Response(200), Response(204)])
def test_post_without_a_result(last: Response) -> None:
    assert (
        World(DONE, last).follow(accepted("POST", 202, Azure_AsyncOperation=STATE, Location=MONITOR)) is None
    )


def test_post_by_location_only_returns_what_it_answers_at_last() -> None:
    world = World(
        Response(202), Response(202, {"status": "InProgress"}), Response(200, {"keys": [1], "status": "on"})
    )
    assert world.follow(accepted("POST", 202, Location=MONITOR)) == {"keys": [1], "status": "on"}


def test_post_that_is_no_operation_returns_its_answer() -> None:
    world = World()
    assert world.follow(accepted("POST", 200, {"keys": []})) == {"keys": []}
    assert world.asked == []


def test_a_location_may_move() -> None:
    world = World(Response(202, headers={"Location": "/operations/2?x=y"}), Response(200, RESOURCE), DONE)
    world.follow(accepted("PUT", 202, Location=MONITOR))
    assert world.asked == [MONITOR, f"{HOST}/operations/2?x=y", IMAGE]


def test_put_by_location_only_reads_the_resource_at_last() -> None:
    world = World(
        Response(202),
        Response(200, {"properties": {"provisioningState": "Creating"}}),
        Response(200, RESOURCE),
        Response(200, RESOURCE),
    )
    assert world.follow(accepted("PUT", 202, Location=MONITOR)) == RESOURCE
    assert world.asked == [MONITOR, MONITOR, MONITOR, IMAGE]


@pytest.mark.parametrize("last", [Response(200), Response(204), Response(200, {"status": "Succeeded"})])
def test_delete_by_location_only(last: Response) -> None:
    world = World(Response(202), last)
    assert world.follow(accepted("DELETE", 202, Location=MONITOR, Retry_After="15")) is None
    assert world.slept == [15.0, 0.3]


def test_put_without_any_operation_is_followed_on_the_resource_itself() -> None:
    updating = {"properties": {"provisioningState": "Updating"}}
    world = World(Response(200, updating), Response(200, RESOURCE))
    assert world.follow(accepted("PUT", 200, updating)) == RESOURCE
    assert world.asked == [IMAGE, IMAGE]


def test_put_that_is_accepted_without_a_word_is_followed_on_the_resource_itself() -> None:
    world = World(Response(200, RESOURCE))
    assert world.follow(accepted("PUT", 202)) == RESOURCE
    assert world.asked == [IMAGE]


def test_reading_the_result_again_starts_with_short_pauses() -> None:
    world = World(*[RUNNING] * 9, DONE, Response(503), Response(503), Response(200, RESOURCE))
    world.follow(accepted(Azure_AsyncOperation=STATE))
    assert world.slept[-3:] == [5.0, 0.2, 0.3]


@pytest.mark.parametrize("body", [RESOURCE, {"properties": {"accepted": True}}, {"id": "i"}])
def test_put_that_is_done_at_once(body: Any) -> None:
    world = World()
    assert world.follow(accepted("PUT", 200, body)) == body
    assert world.asked == []


def test_put_whose_resource_ends_as_failed() -> None:
    with pytest.raises(OperationFailed):
        World(Response(200, {"properties": {"provisioningState": "Failed"}})).follow(
            accepted("PUT", 200, {"properties": {"provisioningState": "Updating"}})
        )


def test_without_wait_the_first_answer_is_the_result() -> None:
    world = World()
    first = {"properties": {"provisioningState": "Creating"}}
    assert world.follow(accepted(body=first, Azure_AsyncOperation=STATE), wait=False) == first
    assert (world.asked, world.slept) == ([], [])


def test_a_resource_that_shows_up_late_is_waited_for_a_little() -> None:
    late = Response(404, {"error": {"code": "ResourceNotFound", "message": "m"}})
    assert (
        World(DONE, late, late, Response(200, RESOURCE)).follow(accepted(Azure_AsyncOperation=STATE))
        == RESOURCE
    )
    with pytest.raises(NotFound, match="read the result"):
        World(DONE, *[late] * 5).follow(accepted(Azure_AsyncOperation=STATE))


def test_progress_is_told_in_state_and_seconds() -> None:
    world = World(
        Response(200, {"status": "InProgress"}, {"Retry-After": "35"}), DONE, Response(200, RESOURCE)
    )
    world.follow(accepted(Azure_AsyncOperation=STATE))
    assert world.progress == ["InProgress 0 s", "Succeeded 35 s"]


def test_an_answer_that_is_no_json_during_a_poll_is_no_success() -> None:
    world = World(Response(403, "<html>Forbidden by the proxy</html>"))
    with pytest.raises(AzureError, match="Forbidden by the proxy"):
        world.follow(accepted(Azure_AsyncOperation=STATE))


def test_an_empty_poll_answer_of_an_operation_is_no_success_yet() -> None:
    world = World(Response(200, "<html>maintenance</html>"), DONE, Response(200, RESOURCE))
    assert world.follow(accepted(Azure_AsyncOperation=STATE)) == RESOURCE


def test_waiting_is_for_each_operation_anew() -> None:
    world = World(
        *[Response(200, {"status": "InProgress"}, {"Retry-After": "20"}), DONE, Response(200, RESOURCE)] * 3
    )
    waiter = world.waiter(timeout=30)
    follow: Callable[..., Any] = waiter.follow
    for _unused in range(3):
        assert follow("x", accepted(Azure_AsyncOperation=STATE), world.send) == RESOURCE
