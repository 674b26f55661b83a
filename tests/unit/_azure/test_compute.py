# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Microsoft.Compute through the SDK: what is sent and returned is Azure's own JSON, on every SDK release."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import (
    AzureError,
    NotFound,
    OperationFailed,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.operations import Waiter
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession

from tests.unit._azure.scripted_azure import SUBSCRIPTION, Answer, Asked, ScriptedAzure

Connect = Callable[..., AzureSession]
GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg"
IMAGE = f"{GROUP}/providers/Microsoft.Compute/images/web"
OPERATION = f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Compute/locations/westus/operations/1234"
# As Azure signs them: a client that rebuilds the query from its parsed form breaks the signature.
SIGNED = "p=ab%2Fcd&api-version=2024-07-01&t=638&c=MII%2B%2F&s=x~y*z&h=q"
BODY = {
    "location": "westus",
    "tags": {"CostCenter": "42"},
    "properties": {
        "sourceVirtualMachine": {"id": f"{GROUP}/providers/Microsoft.Compute/virtualMachines/vm"},
        "hyperVGeneration": "V2",
        "somethingNewerThanTheSdk": {"kept": True},
    },
}
RESOURCE = {
    "name": "web",
    "id": IMAGE,
    "location": "westus",
    "tags": {"CostCenter": "42"},
    "properties": {
        "provisioningState": "Succeeded",
        "hyperVGeneration": "V2",
        "storageProfile": {"dataDisks": [{"lun": 3, "diskSizeGB": 1}]},
        "timeCreated": "2024-08-26T05:58:14.9256607+00:00",
        "somethingNewerThanTheSdk": {"kept": True},
    },
}


def quick() -> Waiter:
    return Waiter(timeout=20, sleep=lambda _seconds: None)


class Script:
    """Answers in order; a request that no answer is left for fails the test."""

    def __init__(self, azure: ScriptedAzure, *answers: Answer) -> None:
        self.left = list(answers)
        azure.respond = self

    def __call__(self, _asked: Asked) -> Answer:
        return (
            self.left.pop(0)
            if self.left
            else Answer(418, {"error": {"code": "Unexpected", "message": "more"}})
        )


def operation(azure: ScriptedAzure, **headers: str) -> dict[str, str]:
    return {"Azure-AsyncOperation": f"{azure.url}{OPERATION}?{SIGNED}", **headers}


def test_put_sends_the_body_unchanged_and_returns_the_final_resource(
    azure: ScriptedAzure, connect: Connect
) -> None:
    creating = {**RESOURCE, "properties": {"provisioningState": "Creating"}}
    Script(
        azure,
        Answer(201, creating, operation(azure)),
        Answer(body={"startTime": "x", "status": "InProgress", "name": "1234"}),
        Answer(body={"startTime": "x", "endTime": "y", "status": "Succeeded", "name": "1234"}),
        Answer(body=RESOURCE),
    )
    result = connect().compute.images.put("rg", "web", BODY, quick())
    put, first_poll, second_poll, last = azure.asked
    assert put.json == BODY
    assert (put.method, put.path, put.query) == ("PUT", IMAGE, "api-version=2024-07-01")
    assert put.headers["Content-Type"] == "application/json"
    assert (first_poll.path, first_poll.query) == (OPERATION, SIGNED)
    assert (second_poll.path, second_poll.query) == (OPERATION, SIGNED)
    assert (last.method, last.path, last.query) == ("GET", IMAGE, "api-version=2024-07-01")
    assert result == RESOURCE


def test_put_without_waiting_returns_the_first_answer_and_asks_no_more(
    azure: ScriptedAzure, connect: Connect
) -> None:
    creating = {**RESOURCE, "properties": {"provisioningState": "Creating"}}
    Script(azure, Answer(201, creating, operation(azure)))
    assert connect().compute.images.put("rg", "web", BODY, Waiter(wait=False)) == creating
    assert len(azure.asked) == 1


def test_update_patches(azure: ScriptedAzure, connect: Connect) -> None:
    Script(azure, Answer(200, RESOURCE))
    assert connect().compute.images.update("rg", "web", {"tags": {"a": "b"}}, quick()) == RESOURCE
    assert (azure.asked[0].method, azure.asked[0].json) == ("PATCH", {"tags": {"a": "b"}})


def test_get_returns_the_answer_as_it_came(azure: ScriptedAzure, connect: Connect) -> None:
    Script(azure, Answer(body=RESOURCE))
    assert connect().compute.images.get("rg", "web") == RESOURCE


def test_get_passes_expand(azure: ScriptedAzure, connect: Connect) -> None:
    Script(azure, Answer(body={"name": "vm", "properties": {"instanceView": {"statuses": []}}}))
    found = connect().compute.virtual_machines.get("rg", "vm", expand="instanceView")
    assert found == {"name": "vm", "properties": {"instanceView": {"statuses": []}}}
    assert "$expand=instanceView" in azure.asked[0].query.replace("%24", "$")


@pytest.mark.parametrize("code", ["ResourceNotFound", "NotFound"])
def test_get_of_a_missing_resource_is_none(azure: ScriptedAzure, connect: Connect, code: str) -> None:
    Script(azure, Answer(404, {"error": {"code": code, "message": "gone"}}))
    assert connect().compute.disks.get("rg", "d") is None


def test_get_in_a_missing_group_says_so_and_what_to_do(azure: ScriptedAzure, connect: Connect) -> None:
    body = {"error": {"code": "ResourceGroupNotFound", "message": "Resource group 'rg' could not be found."}}
    Script(azure, Answer(404, body, {"x-ms-request-id": "abc-1"}))
    with pytest.raises(NotFound) as caught:
        connect().compute.images.get("rg", "web")
    assert str(caught.value) == (
        "Could not read image web in resource group rg: ResourceGroupNotFound: Resource group 'rg' could "
        "not be found (HTTP 404). Create the resource group first, or correct its name or subscription_id."
    )
    assert caught.value.request_id == "abc-1"


@pytest.mark.parametrize(
    ("collection", "of_group", "of_subscription"),
    [
        (
            "images",
            "/resourceGroups/rg/providers/Microsoft.Compute/images",
            "/providers/Microsoft.Compute/images",
        ),
        (
            "disks",
            "/resourceGroups/rg/providers/Microsoft.Compute/disks",
            "/providers/Microsoft.Compute/disks",
        ),
        (
            "virtual_machines",
            "/resourceGroups/rg/providers/Microsoft.Compute/virtualMachines",
            "/providers/Microsoft.Compute/virtualMachines",
        ),
    ],
)
def test_list_follows_next_link_and_returns_items_as_they_came(
    azure: ScriptedAzure, connect: Connect, collection: str, of_group: str, of_subscription: str
) -> None:
    second = {**RESOURCE, "name": "second"}
    following = f"{azure.url}/page2?api-version=2024-07-01&$skiptoken=a%2Bb"
    Script(
        azure,
        Answer(body={"value": [RESOURCE], "nextLink": following}),
        Answer(body={"value": [second]}),
        Answer(body={"value": []}),
    )
    resources = getattr(connect().compute, collection)
    assert resources.list("rg") == [RESOURCE, second]
    assert resources.list() == []
    first, page, all_of_them = azure.asked
    assert first.path == f"/subscriptions/{SUBSCRIPTION}{of_group}"
    assert page.path == "/page2"
    assert "skiptoken=a%2Bb" in page.query
    assert all_of_them.path == f"/subscriptions/{SUBSCRIPTION}{of_subscription}"


def test_list_does_not_return_a_page_twice_when_it_was_asked_for_again(
    azure: ScriptedAzure, connect: Connect
) -> None:
    Script(azure, Answer(503, {"value": [RESOURCE]}), Answer(body={"value": [RESOURCE]}))
    assert connect().compute.images.list("rg") == [RESOURCE]


def test_list_in_a_missing_group_is_an_error(azure: ScriptedAzure, connect: Connect) -> None:
    Script(azure, Answer(404, {"error": {"code": "ResourceGroupNotFound", "message": "no"}}))
    with pytest.raises(NotFound, match="list images in resource group rg"):
        connect().compute.images.list("rg")


@pytest.mark.parametrize(
    ("answers", "existed"),
    [
        ([Answer(204)], False),
        ([Answer(404, {"error": {"code": "ResourceNotFound", "message": "gone"}})], False),
        ([Answer(404, {"error": {"code": "ResourceGroupNotFound", "message": "gone"}})], False),
        ([Answer(202, None, {"Location": "LOC"}), Answer(202), Answer(200)], True),
        ([Answer(202, None, {"Azure-AsyncOperation": "AAO"}), Answer(body={"status": "Succeeded"})], True),
    ],
)
def test_delete_waits_and_says_whether_it_existed(
    azure: ScriptedAzure, connect: Connect, answers: list[Answer], existed: bool
) -> None:
    urls = {"LOC": f"{azure.url}/loc", "AAO": f"{azure.url}/aao"}
    Script(azure, *[a._replace(headers={k: urls[v] for k, v in a.headers.items()}) for a in answers])
    assert connect().compute.snapshots.delete("rg", "s", quick()) is existed
    assert len(azure.asked) == len(answers)


def test_delete_passes_force_deletion(azure: ScriptedAzure, connect: Connect) -> None:
    Script(azure, Answer(200))
    assert connect().compute.virtual_machines.delete("rg", "vm", quick(), force_deletion=True) is True
    assert "forceDeletion=true" in azure.asked[0].query


@pytest.mark.parametrize(
    ("verb", "path"),
    [
        ("deallocate", "deallocate"),
        ("powerOff", "powerOff"),
        ("start", "start"),
        ("restart", "restart"),
        ("redeploy", "redeploy"),
        ("reapply", "reapply"),
    ],
)
def test_power_actions_wait_for_the_operation(
    azure: ScriptedAzure, connect: Connect, verb: str, path: str
) -> None:
    Script(
        azure,
        Answer(202, None, operation(azure, Location=f"{azure.url}/monitor")),
        Answer(body={"startTime": "x", "status": "Succeeded"}),
        Answer(200),
    )
    result = connect().compute.virtual_machines.action("rg", "vm", verb, None, quick())
    assert result is None
    assert azure.asked[0].method == "POST"
    assert azure.asked[0].path.endswith(f"/virtualMachines/vm/{path}")


def test_generalize_is_done_at_once(azure: ScriptedAzure, connect: Connect) -> None:
    Script(azure, Answer(200))
    assert connect().compute.virtual_machines.action("rg", "vm", "generalize", None, quick()) is None
    assert azure.asked[0].path.endswith("/virtualMachines/vm/generalize")


def test_power_off_says_whether_the_guest_is_shut_down(azure: ScriptedAzure, connect: Connect) -> None:
    Script(azure, Answer(200))
    connect().compute.virtual_machines.action("rg", "vm", "powerOff", None, quick(), skip_shutdown=False)
    assert "skipShutdown=false" in azure.asked[0].query


@pytest.mark.parametrize("collection", ["disks", "snapshots"])
@pytest.mark.parametrize("where", ["output", "location"])
def test_grant_access_returns_the_sas(
    azure: ScriptedAzure, connect: Connect, collection: str, where: str
) -> None:
    access = {"accessSAS": "https://md-1.z1.blob.storage.azure.net/c/abcd?sv=2018-03-28&sr=b&si=1&sig=x"}
    done: dict[str, Any] = {"startTime": "x", "status": "Succeeded"}
    answers = [Answer(202, None, operation(azure, Location=f"{azure.url}/monitor"))]
    if where == "output":
        answers.append(Answer(body={**done, "properties": {"output": access}}))
    else:
        answers += [Answer(body=done), Answer(body=access)]
    Script(azure, *answers)
    request = {"access": "Write", "durationInSeconds": 3600}
    resources = getattr(connect().compute, collection)
    assert resources.action("rg", "d", "beginGetAccess", request, quick()) == access
    assert azure.asked[0].json == request
    assert azure.asked[0].path.endswith("/beginGetAccess")
    assert azure.asked[0].query == "api-version=2024-03-02"


def test_revoke_access_sends_no_body(azure: ScriptedAzure, connect: Connect) -> None:
    Script(azure, Answer(200))
    assert connect().compute.disks.action("rg", "d", "endGetAccess", None, quick()) is None
    assert azure.asked[0].path.endswith("/endGetAccess")
    assert azure.asked[0].body == b""


def test_an_operation_that_fails_later_carries_azures_code_and_message(
    azure: ScriptedAzure, connect: Connect
) -> None:
    failed = {"status": "Failed", "error": {"code": "InvalidVhd", "message": "no cookie", "target": "disks"}}
    Script(
        azure,
        Answer(201, RESOURCE, operation(azure)),
        Answer(body=failed, headers={"x-ms-request-id": "r-9"}),
    )
    with pytest.raises(OperationFailed) as caught:
        connect().compute.images.put("rg", "web", BODY, quick())
    error = caught.value
    assert (error.code, error.target, error.request_id) == ("InvalidVhd", "disks", "r-9")
    assert str(error) == ("Could not create or update image web in resource group rg: InvalidVhd: no cookie.")


def test_a_poll_that_meets_503_is_repeated_by_the_waiter_alone(
    azure: ScriptedAzure, connect: Connect
) -> None:
    busy = {"error": {"code": "ServerTimeout", "message": "The request timed out."}}
    slept: list[float] = []
    Script(
        azure,
        Answer(201, RESOURCE, operation(azure)),
        Answer(503, busy, {"Retry-After": "7"}),
        Answer(429, busy),
        Answer(body={"status": "Succeeded"}),
        Answer(body=RESOURCE),
    )
    assert connect().compute.images.put("rg", "web", BODY, Waiter(timeout=20, sleep=slept.append)) == RESOURCE
    assert slept == [0.2, 7.0, pytest.approx(0.45)]


def test_a_connection_that_drops_during_a_poll_is_waited_out(azure: ScriptedAzure, connect: Connect) -> None:
    Script(
        azure,
        Answer(201, RESOURCE, operation(azure)),
        Answer(0),
        Answer(body={"status": "InProgress"}),
        Answer(0),
        Answer(body={"status": "Succeeded"}),
        Answer(0),
        Answer(body=RESOURCE),
    )
    assert connect().compute.images.put("rg", "web", BODY, quick()) == RESOURCE
    assert len(azure.asked) == 7


def test_a_token_that_expires_while_waiting_is_renewed(azure: ScriptedAzure, connect: Connect) -> None:
    expired = Answer(401, {"error": {"code": "ExpiredAuthenticationToken", "message": "expired"}})

    def respond(asked: Asked) -> Answer:
        if asked.method == "PUT":
            return Answer(201, RESOURCE, operation(azure))
        if asked.headers["Authorization"] != "Bearer token-2":
            return expired
        return Answer(body=RESOURCE if asked.path == IMAGE else {"status": "Succeeded"})

    azure.respond = respond
    assert connect().compute.images.put("rg", "web", BODY, quick()) == RESOURCE
    assert [asked.headers["Authorization"][-1] for asked in azure.asked] == ["1", "1", "2", "2"]


def test_a_request_that_only_reads_is_repeated_when_the_connection_drops(
    azure: ScriptedAzure, connect: Connect
) -> None:
    Script(azure, Answer(0), Answer(body=RESOURCE))
    assert connect().compute.images.get("rg", "web") == RESOURCE


def test_an_action_is_not_repeated_when_the_connection_drops(azure: ScriptedAzure, connect: Connect) -> None:
    # Whether Azure has accepted it is unknown.
    Script(azure, Answer(0), Answer(200))
    with pytest.raises(AzureError, match="the connection was closed early"):
        connect().compute.virtual_machines.action("rg", "vm", "restart", None, quick())
    assert len(azure.asked) == 1
