# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Plain ARM requests by resource id."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import AzureError, NotFound
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.operations import Waiter
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession

from tests.unit._azure.scripted_azure import SUBSCRIPTION, Answer, ScriptedAzure

Connect = Callable[..., AzureSession]
GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg"
NETWORK = f"{GROUP}/providers/Microsoft.Network/virtualNetworks/net"
ACCOUNT = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/acct"
API = "2023-09-01"


def quick() -> Waiter:
    return Waiter(timeout=20, sleep=lambda _seconds: None)


def script(azure: ScriptedAzure, *answers: Answer) -> None:
    left = list(answers)
    azure.respond = lambda _asked: left.pop(0) if left else Answer(418)


def test_put_by_operation_returns_the_final_resource(azure: ScriptedAzure, connect: Connect) -> None:
    final = {"id": NETWORK, "properties": {"provisioningState": "Succeeded"}}
    script(
        azure,
        Answer(
            201,
            {"properties": {"provisioningState": "Updating"}},
            {"Azure-AsyncOperation": f"{azure.url}/o?a=b"},
        ),
        Answer(body={"status": "InProgress"}),
        Answer(body={"status": "Succeeded"}),
        Answer(body=final),
    )
    assert connect().arm.put(NETWORK, {"location": "westus"}, API, quick()) == final
    assert [(asked.method, asked.path) for asked in azure.asked] == [
        ("PUT", NETWORK),
        ("GET", "/o"),
        ("GET", "/o"),
        ("GET", NETWORK),
    ]
    assert azure.asked[0].json == {"location": "westus"}
    assert azure.asked[0].query == azure.asked[3].query == f"api-version={API}"


def test_a_storage_account_is_accepted_without_a_body_and_polled_by_location(
    azure: ScriptedAzure, connect: Connect
) -> None:
    final = {"id": ACCOUNT, "properties": {"provisioningState": "Succeeded"}}
    script(
        azure,
        Answer(202, None, {"Location": f"{azure.url}/loc?monitor=true"}),
        Answer(202),
        Answer(200, final),
        Answer(200, final),
    )
    assert connect().arm.put(ACCOUNT, {}, API, quick()) == final


def test_a_resource_group_is_deleted_by_location(azure: ScriptedAzure, connect: Connect) -> None:
    script(azure, Answer(202, None, {"Location": "/loc", "Retry-After": "0"}), Answer(202), Answer(200))
    assert connect().arm.delete(GROUP, API, quick()) is True
    assert [asked.path for asked in azure.asked] == [GROUP, "/loc", "/loc"]


@pytest.mark.parametrize(
    "answer",
    [
        Answer(204),
        Answer(404),
        Answer(404, {"error": {"code": "ResourceNotFound", "message": "m"}}),
        Answer(404, {"error": {"code": "ResourceGroupNotFound", "message": "m"}}),
    ],
)
def test_deleting_what_is_not_there(azure: ScriptedAzure, connect: Connect, answer: Answer) -> None:
    script(azure, answer)
    assert connect().arm.delete(NETWORK, API, quick()) is False


def test_deleting_what_is_locked_is_an_error_that_says_what_to_do(
    azure: ScriptedAzure, connect: Connect
) -> None:
    script(azure, Answer(409, {"error": {"code": "ScopeLocked", "message": "The scope is locked."}}))
    with pytest.raises(AzureError) as caught:
        connect().arm.delete(NETWORK, API, quick())
    assert str(caught.value) == (
        "Could not delete virtualNetworks/net: ScopeLocked: The scope is locked (HTTP 409). "
        "Remove the lock named, or leave the resource as it is."
    )


def test_get_tells_a_missing_resource_from_a_missing_subscription(
    azure: ScriptedAzure, connect: Connect
) -> None:
    script(
        azure,
        Answer(404, {"error": {"code": "ResourceNotFound", "message": "m"}}),
        Answer(404, {"error": {"code": "ParentResourceNotFound", "message": "m"}}),
        Answer(404, {"error": {"code": "SubscriptionNotFound", "message": "m"}}),
    )
    arm = connect().arm
    assert arm.get(NETWORK, API) is None
    assert arm.get(f"{NETWORK}/subnets/a", API) is None
    with pytest.raises(NotFound, match="Check subscription_id"):
        arm.get(NETWORK, API)


def test_get_takes_more_query_parameters(azure: ScriptedAzure, connect: Connect) -> None:
    script(azure, Answer(body={"id": NETWORK}))
    connect().arm.get(NETWORK, API, **{"$expand": "subnets/ip Configurations"})
    assert azure.asked[0].query == f"api-version={API}&$expand=subnets/ip%20Configurations"


def test_names_are_quoted(azure: ScriptedAzure, connect: Connect) -> None:
    script(azure, Answer(body={"id": "x"}))
    connect().arm.get(f"{GROUP}/providers/P/t/näme (1)#x", API)
    assert azure.asked[0].path.endswith("/providers/P/t/n%C3%A4me%20(1)%23x")


def test_list_follows_pages_and_takes_bare_arrays(azure: ScriptedAzure, connect: Connect) -> None:
    script(
        azure,
        Answer(body={"value": [{"name": "a"}], "nextLink": f"{azure.url}/more?$skip=x"}),
        Answer(body={"value": [{"name": "b"}]}),
        Answer(body=[{"name": "c"}]),
    )
    arm = connect().arm
    assert arm.list(f"{GROUP}/resources", API) == [{"name": "a"}, {"name": "b"}]
    assert arm.list("/subscriptions/x/providers/P/skus", API) == [{"name": "c"}]


def test_post_returns_what_it_answers(azure: ScriptedAzure, connect: Connect) -> None:
    script(azure, Answer(body={"keys": [{"value": "k"}]}), Answer(200))
    arm = connect().arm
    assert arm.post(f"{ACCOUNT}/listKeys", None, API, quick()) == {"keys": [{"value": "k"}]}
    assert arm.post(f"{ACCOUNT}/failover", {"a": 1}, API, quick()) is None
    assert [asked.body for asked in azure.asked] == [b"", b'{"a": 1}']


def test_patch_sends_the_part(azure: ScriptedAzure, connect: Connect) -> None:
    script(azure, Answer(body={"tags": {"a": "b"}}))
    assert connect().arm.patch(GROUP, {"tags": {"a": "b"}}, API, quick()) == {"tags": {"a": "b"}}
    assert azure.asked[0].method == "PATCH"


def test_without_waiting_nothing_is_polled(azure: ScriptedAzure, connect: Connect) -> None:
    script(azure, Answer(202, None, {"Location": "/loc"}), Answer(201, {"id": NETWORK}, {"Location": "/loc"}))
    arm = connect().arm
    assert arm.delete(GROUP, API, Waiter(wait=False)) is True
    assert arm.put(NETWORK, {}, API, Waiter(wait=False)) == {"id": NETWORK}
    assert len(azure.asked) == 2


def test_a_request_that_is_throttled_is_repeated(azure: ScriptedAzure, connect: Connect) -> None:
    script(azure, Answer(429, None, {"Retry-After": "0"}), Answer(503), Answer(body={"id": NETWORK}))
    assert connect().arm.get(NETWORK, API) == {"id": NETWORK}
