# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Operations without a server: their URLs, what they ask of the patient, and how long they are remembered."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.local_azure.call import Call
from tests.local_azure.errors import ArmError
from tests.local_azure.operation_urls import StatusUrls, job_id
from tests.local_azure.operations import Operation, Operations
from tests.local_azure.settings import Pace, Settings, load_or_create
from tests.local_azure.store import Store

_COMPUTE = "/subscriptions/s/providers/Microsoft.Compute/locations/westus/operations"
_DISKS = "/subscriptions/s/providers/Microsoft.Compute/locations/westus/DiskOperations"
_CAPS = "/subscriptions/s/providers/Microsoft.Compute/locations/westus/capsOperations"
_NETWORK = "/subscriptions/s/providers/Microsoft.Network/locations/westus/operations"
_STORAGE = "/subscriptions/s/providers/Microsoft.Storage/locations/westus/asyncoperations"
_GROUPS = "/subscriptions/s/operationresults"
_SIGNED = ["t", "c", "s", "h"]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_or_create(tmp_path, pace=Pace(speed=1e6, azure_retry_after=True))


async def _nothing(_arguments: Any) -> dict[str, str]:
    return {"made": "it"}


def _call(url: str = "", method: str = "GET") -> Call:
    parts = urlsplit(url)
    return Call(method, parts.path, {"api-version": "2024-07-01", **dict(parse_qsl(parts.query))}, None)


def _operations(settings: Settings, kept: int = 100) -> Operations:
    store = Store(settings.state_dir / "state.sqlite")
    operations = Operations(settings, store, kept)
    operations.define("work", _nothing)
    return operations


def _start(operations: Operations, collection: str = _COMPUTE, **options: Any) -> Operation:
    return operations.start("work", {}, _call(), collection=collection, resource_id="/r", **options)


async def _ended(operation: Operation) -> None:
    while operation.status == "InProgress":
        await asyncio.sleep(0.001)


@pytest.mark.parametrize(
    ("collection", "status", "result"),
    [
        (_COMPUTE, ["p", "api-version", *_SIGNED], ["p", "monitor", "api-version", *_SIGNED]),
        (_DISKS, ["p", "api-version", *_SIGNED], ["p", "monitor", "api-version", *_SIGNED]),
        (_CAPS, ["api-version", *_SIGNED], ["monitor", "api-version", *_SIGNED]),
        (_NETWORK, ["api-version", *_SIGNED], ["api-version", *_SIGNED]),
        (_STORAGE, ["api-version", *_SIGNED], ["monitor", "api-version", *_SIGNED]),
        (_GROUPS, ["api-version"], ["api-version"]),
    ],
)
def test_each_collection_has_its_own_query(collection: str, status: list[str], result: list[str]) -> None:
    urls = StatusUrls("https://127.0.0.1:1", b"key")
    for wanted, is_result in ((status, False), (result, True)):
        url = urls.write(collection, "one", "2024-07-01", result=is_result)
        query = dict(parse_qsl(urlsplit(url).query))
        assert list(query) == wanted
        assert urls.check(collection, "one", query)


@pytest.mark.parametrize("name", ["p", "monitor", "api-version", *_SIGNED])
def test_a_signed_query_is_refused_if_any_part_of_it_is_missing_or_changed(name: str) -> None:
    urls = StatusUrls("https://127.0.0.1:1", b"key")
    query = dict(parse_qsl(urlsplit(urls.write(_COMPUTE, "one", "2024-07-01", result=True)).query))
    assert not urls.check(_COMPUTE, "one", {n: v for n, v in query.items() if n != name})
    assert not urls.check(_COMPUTE, "one", {**query, name: query[name] + "0"})
    assert not urls.check(_COMPUTE, "two", query)


def test_network_keeps_results_elsewhere() -> None:
    urls = StatusUrls("https://127.0.0.1:1", b"key")
    assert "/locations/westus/operationResults/one?" in urls.write(_NETWORK, "one", "1", result=True)
    assert "/locations/westus/operations/one?" in urls.write(_NETWORK, "one", "1", result=False)


def test_the_deletion_of_a_group_is_named_after_the_group() -> None:
    name = job_id("RESOURCEGROUPDELETIONJOB", "my-group", "westus")
    content = json.loads(base64.urlsafe_b64decode(name + "=" * (-len(name) % 4)))
    assert content == {"jobId": "RESOURCEGROUPDELETIONJOB-MY:2DGROUP-WESTUS", "jobLocation": "westus"}


def test_only_the_first_poll_of_a_machine_asks_for_patience(settings: Settings) -> None:
    async def run() -> None:
        operations = _operations(settings)
        operations.waits = lambda _operation: asyncio.sleep(60)
        for asked, first in ((10, "30"), (2, None), (None, None)):
            operation = _start(operations, retry_after=asked)
            answered = operations.headers(operation, aao=True, location=True)
            assert answered.get("Retry-After") == (None if asked is None else str(asked))
            polls = [
                operations.report(_call(answered["Azure-AsyncOperation"]), operation.id)
                for _unused in range(2)
            ]
            assert [poll.headers.get("Retry-After") for poll in polls] == [first, None]
        await operations.close()

    asyncio.run(run())


def test_network_says_no_more_than_the_status(settings: Settings) -> None:
    async def run() -> None:
        operations = _operations(settings)
        operation = _start(operations, _NETWORK)
        await _ended(operation)
        url = operations.url(operation, result=False)
        assert operations.report(_call(url), operation.id).body == {"status": "Succeeded"}
        result = operations.report(_call(operations.url(operation, result=True)), operation.id)
        assert result.body == {"made": "it"}
        await operations.close()

    asyncio.run(run())


def test_the_oldest_ended_operations_are_forgotten_also_after_a_restart(settings: Settings) -> None:
    async def run() -> None:
        operations = _operations(settings, kept=3)
        held = _start(operations)
        made = []
        for _number in range(6):
            made.append(_start(operations))
            await _ended(made[-1])
        await _ended(held)
        latest = _start(operations)
        known = [o for o in (*made, latest) if _is_known(operations, o)]
        assert known == [*made[-2:], latest]
        await _ended(latest)
        await operations.close()
        again = _operations(settings, kept=2)
        assert [_is_known(again, o) for o in (*made[-2:], latest)] == [False, True, True]

    asyncio.run(run())


def test_operations_in_progress_are_never_forgotten(settings: Settings) -> None:
    async def run() -> None:
        operations = _operations(settings, kept=1)
        operations.waits = lambda _operation: asyncio.sleep(60)
        begun = [_start(operations) for _number in range(4)]
        assert all(_is_known(operations, operation) for operation in begun)
        assert operations.in_progress() == begun
        assert operations.busy("/R")
        await operations.close()

    asyncio.run(run())


def _is_known(operations: Operations, operation: Operation) -> bool:
    url = operations.url(operation, result=False)
    try:
        return operations.report(_call(url), operation.id).status == 200
    except ArmError as error:
        assert error.status == 404
        return False
