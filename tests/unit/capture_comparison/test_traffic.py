# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Calls are counted by kind, and each operation's end is compared with the moment its client knew of it."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from tests.capture_comparison.traffic import LONGEST_PAUSE, ROUND_TRIP, Operation, traffic_of

_START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
_ARM = "https://127.0.0.1:1/subscriptions/s"
_VM = f"{_ARM}/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/vm"
_STATUS = f"{_ARM}/providers/Microsoft.Compute/locations/EastUS/operations/7F?api-version=1&s=x"


def _time(seconds: float) -> str:
    return (_START + timedelta(seconds=seconds)).isoformat()


def _exchange(
    at: float,
    method: str,
    url: str,
    *,
    status: int = 200,
    headers: dict[str, str] | None = None,
    body: Any = None,
) -> dict[str, Any]:
    return {
        "answered": _time(at),
        "liveRequest": {"method": method, "url": url, "headers": {}, "body": None},
        "liveResponse": {"statusCode": status, "headers": headers or {}, "body": body},
    }


def _accepted(at: float, **headers: str) -> dict[str, Any]:
    said = {
        "Azure-AsyncOperation": _STATUS,
        "Location": f"{_STATUS}&monitor=true",
        **{name.replace("_", "-"): text for name, text in headers.items()},
    }
    return _exchange(at, "POST", f"{_VM}/deallocate?api-version=1", status=202, headers=said)


def _poll(at: float, *, ended: float | None = None, **headers: str) -> dict[str, Any]:
    said = {name.replace("_", "-"): text for name, text in headers.items()}
    body: dict[str, Any] = {"status": "InProgress", "startTime": _time(0)}
    if ended is not None:
        body = {"status": "Succeeded", "startTime": _time(0), "endTime": _time(ended)}
    return _exchange(at, "GET", _STATUS, headers=said, body=body)


def test_reads_writes_and_polls_are_told_apart() -> None:
    counted = traffic_of(
        [
            _exchange(0, "GET", f"{_VM}?api-version=1"),
            _exchange(0, "HEAD", f"{_ARM}/resourcegroups/g"),
            _accepted(1),
            _poll(2),
            _poll(3, ended=2.5),
            _exchange(3.1, "GET", f"{_STATUS}&monitor=true"),
            _exchange(4, "POST", f"{_VM}/generalize?api-version=1"),
            _exchange(5, "GET", f"{_VM}/instanceView?api-version=1"),
        ]
    )
    assert (counted.reads, counted.writes, counted.polls, counted.calls) == (3, 2, 3, 8)


def test_an_operation_is_known_late_by_what_passed_since_its_end() -> None:
    counted = traffic_of(
        [_accepted(1, Retry_After="10"), _poll(11, retry_after="30"), _poll(41, ended=17.25)]
    )
    (operation,) = counted.operations
    assert operation == Operation("deallocate", 16.25, 23.75, 30.0, 2)
    assert operation.in_time
    assert (counted.azure_seconds, counted.late) == (16.25, 23.75)


def test_what_comes_after_the_end_was_seen_changes_nothing_but_the_count() -> None:
    again = _exchange(9, "GET", f"{_STATUS}&monitor=true", headers={"Retry-After": "60"})
    (operation,) = traffic_of([_accepted(0), _poll(3, ended=2), again]).operations
    assert (operation.late, operation.retry_after, operation.polls) == (1.0, None, 2)


def test_times_without_a_fraction_are_read_too() -> None:
    (operation,) = traffic_of([_accepted(0), _poll(5, ended=3)]).operations
    assert (operation.seconds, operation.late) == (3.0, 2.0)


def test_operations_on_resources_are_named_by_method_and_type() -> None:
    image = f"{_ARM}/resourceGroups/g/providers/Microsoft.Compute/images/golden?api-version=1"
    made = _exchange(0, "PUT", image, status=201, headers={"azure-asyncoperation": _STATUS})
    (operation,) = traffic_of([made, _poll(6, ended=5)]).operations
    assert operation.what == "PUT images"


@pytest.mark.parametrize(
    ("asked", "late", "in_time"),
    [
        (10.0, 10.0 + ROUND_TRIP, True),
        (10.0, 10.1 + ROUND_TRIP, False),
        (None, LONGEST_PAUSE + ROUND_TRIP, True),
        (None, 30.0, False),
    ],
)
def test_one_retry_after_is_the_limit_and_where_there_is_none_our_longest_pause(
    asked: float | None, late: float, in_time: bool
) -> None:
    assert Operation("deallocate", 1.0, late, asked, 1).in_time is in_time


@pytest.mark.parametrize("polls", [[], [_poll(2)], [_exchange(2, "GET", f"{_STATUS}&monitor=true")]])
def test_an_operation_that_was_not_followed_to_its_end_is_no_result(polls: list[dict[str, Any]]) -> None:
    with pytest.raises(ValueError, match="deallocate: its client did not follow it to its end"):
        traffic_of([_accepted(1), *polls])
