# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What Azure Resource Manager's front door does before and around every provider."""

from __future__ import annotations

import json
import uuid
from datetime import datetime, timezone

import jwt
import pytest

from tests.local_azure.exchange_log import without_secrets
from tests.unit.local_azure.arm_server import Arm, ServerThread, compute, error_of, network_path, storage_path


def test_call_without_token_is_refused_with_a_challenge(arm: Arm) -> None:
    answer = arm.http.get(f"{arm.settings.url}{arm.subscription}?api-version=2022-12-01", timeout=30)
    assert error_of(answer) == (401, "AuthenticationFailed")
    assert answer.headers["WWW-Authenticate"].startswith('Bearer authorization_uri="')


@pytest.mark.parametrize(
    ("scheme", "code"),
    [("Basic {}", "AuthenticationFailedInvalidHeader"), ("Bearer {}x", "InvalidAuthenticationToken")],
)
def test_damaged_credentials_are_refused(arm: Arm, scheme: str, code: str) -> None:
    answer = arm.send("GET", "", headers={"Authorization": scheme.format(arm.token())})
    assert error_of(answer) == (401, code)


def test_expired_token_is_refused_as_expired(arm: Arm, arm_server: ServerThread) -> None:
    assert arm_server.server is not None
    token = arm_server.server.tokens.issue("https://management.azure.com/", lifetime=-1)
    answer = arm.send("GET", "resourceGroups", headers={"Authorization": f"Bearer {token}"})
    assert error_of(answer) == (401, "ExpiredAuthenticationToken")
    assert "is earlier than current UTC time" in answer.json()["error"]["message"]


def test_token_for_storage_does_not_open_resource_manager(arm: Arm) -> None:
    token = arm.token("https://storage.azure.com/.default")
    answer = arm.send("GET", "resourceGroups", headers={"Authorization": f"Bearer {token}"})
    assert error_of(answer) == (401, "InvalidAuthenticationTokenAudience")


def test_api_version_is_required_and_must_be_a_released_one(arm: Arm) -> None:
    group = arm.group()
    url = f"{arm.settings.url}{arm.subscription}/{compute(group, 'disks')}"
    assert error_of(arm.send("GET", url)) == (400, "MissingApiVersionParameter")
    assert error_of(arm.send("GET", url + "?api-version=newest")) == (400, "InvalidApiVersionParameter")
    assert error_of(arm.send("GET", url + "?api-version=2099-01-01")) == (400, "NoRegisteredProviderFound")


def test_unknown_subscription(arm: Arm) -> None:
    answer = arm.send("GET", f"/subscriptions/{uuid.uuid4()}/resourceGroups")
    assert error_of(answer) == (404, "SubscriptionNotFound")
    assert error_of(arm.send("GET", "/subscriptions/mine/resourceGroups")) == (400, "InvalidSubscriptionId")


def test_missing_resource_and_missing_group_are_told_apart(arm: Arm) -> None:
    group = arm.group()
    answer = arm.send("GET", compute(group, "images", "none"))
    assert error_of(answer) == (404, "ResourceNotFound")
    assert answer.headers["x-ms-failure-cause"] == "gateway"
    assert answer.json()["error"]["message"] == (
        f"The Resource 'Microsoft.Compute/images/none' under resource group '{group.rpartition('/')[2]}' was "
        "not found. For more details please go to https://aka.ms/ARMResourceNotFoundFix"
    )
    # The front door's errors are compact, the providers' are not.
    assert answer.text.startswith('{"error":{"code"')
    for method in ("GET", "PUT", "DELETE"):
        body = {"location": "westus", "properties": {}} if method == "PUT" else None
        answer = arm.send(method, compute("resourceGroups/none", "images", "x"), body)
        assert error_of(answer) == (404, "ResourceGroupNotFound")
        assert answer.json()["error"]["message"] == "Resource group 'none' could not be found."


def test_unknown_types_and_providers(arm: Arm) -> None:
    group = arm.group()
    assert error_of(arm.send("GET", f"{group}/providers/Microsoft.Compute/toasters/x")) == (
        404,
        "InvalidResourceType",
    )
    assert error_of(arm.send("GET", f"{group}/providers/Contoso.Compute/disks/x")) == (
        404,
        "InvalidResourceNamespace",
    )
    assert error_of(arm.send("POST", f"{group}/providers/Microsoft.Compute/disks/x/polish")) == (
        404,
        "InvalidResourceType",
    )


def test_names_ids_and_regions_are_compared_without_case(arm: Arm) -> None:
    group = arm.group("West US")
    disk = arm.disk(group, "MixedCase", location="West US")
    assert disk["location"] == "westus"
    path = f"{arm.subscription}/{compute(group, 'disks', 'MixedCase')}".upper()
    found = arm.send("GET", path, version="2024-03-02").json()
    assert found["id"] == disk["id"]
    assert found["name"] == "MixedCase"


def test_bad_requests_name_what_is_wrong(arm: Arm) -> None:
    group = arm.group()
    path = compute(group, "disks", "d")
    empty = {"diskSizeGB": 1, "creationData": {"createOption": "Empty"}}
    answer = arm.send("PUT", path, {"location": "atlantis", "properties": empty})
    assert error_of(answer) == (400, "LocationNotAvailableForResourceType")
    assert error_of(arm.send("PUT", path, {"properties": empty})) == (400, "LocationRequired")
    assert error_of(arm.send("PUT", path, [])) == (400, "InvalidRequestContent")
    headers = {"Authorization": f"Bearer {arm.token()}", "Content-Type": "application/json"}
    url = f"{arm.settings.url}{arm.subscription}/{path}?api-version=2024-03-02"
    broken = arm.http.put(url, data='{"location":', headers=headers, timeout=30)
    assert error_of(broken) == (400, "InvalidRequestContent")
    answer = arm.send("PUT", compute(group, "disks", "-d"), {"location": "westus", "properties": empty})
    assert error_of(answer) == (400, "InvalidParameter")
    assert answer.json()["error"] == {
        "code": "InvalidParameter",
        "message": "The entity name 'name' is invalid according to its validation rule: "
        r"^[^_\W][\w-._]{0,79}(?<![-.])$.",
        "target": "name",
    }
    assert '\r\n  "error": {' in answer.text


def test_resource_cannot_move_to_another_region_by_put(arm: Arm) -> None:
    group = arm.group()
    arm.disk(group, "d")
    body = {"location": "eastus", "properties": {"creationData": {"createOption": "Empty"}}}
    assert error_of(arm.send("PUT", compute(group, "disks", "d"), body)) == (409, "InvalidResourceLocation")


def test_every_answer_carries_request_ids_and_remaining_calls(arm: Arm) -> None:
    group = arm.group()
    mine = str(uuid.uuid4())
    headers = {
        "x-ms-correlation-request-id": mine,
        "x-ms-client-request-id": mine,
        "x-ms-return-client-request-id": "true",
    }
    answer = arm.send("GET", compute(group, "images"), headers=headers)
    assert uuid.UUID(answer.headers["x-ms-request-id"])
    assert answer.headers["x-ms-correlation-request-id"] == mine
    assert answer.headers["x-ms-client-request-id"] == mine
    assert answer.headers["x-ms-ratelimit-remaining-resource"] == (
        "Microsoft.Compute/HighCostGetImagesSubscriptionMaximum;89"
    )
    assert answer.json() == {"value": []}


def test_group_life(arm: Arm) -> None:
    group = arm.group()
    shown = arm.get(group)
    assert shown["properties"] == {"provisioningState": "Succeeded"}
    assert shown["type"] == "Microsoft.Resources/resourceGroups"
    assert arm.send("PUT", group, {"location": "westus", "tags": {"a": "b"}}).status_code == 200
    moved = arm.send("PUT", group, {"location": "eastus"})
    assert error_of(moved) == (409, "InvalidResourceGroupLocation")
    assert arm.send("HEAD", group).status_code == 204
    disk = arm.disk(group, "d")
    assert [r["id"] for r in arm.get(f"{group}/resources")["value"]] == [disk["id"]]
    answer = arm.send("DELETE", group)
    assert answer.status_code == 202
    assert "Azure-AsyncOperation" not in answer.headers
    assert "/operationresults/" in answer.headers["Location"]
    disk_body = {"location": "westus", "properties": {"creationData": {"createOption": "Empty"}}}
    refused = arm.send("PUT", compute(group, "disks", "late"), disk_body)
    assert error_of(refused) == (409, "ResourceGroupBeingDeleted")
    while (poll := arm.send("GET", answer.headers["Location"])).status_code == 202:
        assert poll.headers["Location"]
    assert poll.status_code == 200
    assert arm.send("HEAD", group).status_code == 404
    assert error_of(arm.send("DELETE", group)) == (404, "ResourceGroupNotFound")


def test_bad_group_names_and_tags(arm: Arm) -> None:
    for name in ("ends.", "a" * 91, "has space"):
        answer = arm.send("PUT", f"resourceGroups/{name}", {"location": "westus"})
        assert error_of(answer) == (400, "InvalidResourceGroup"), name
    too_many = {f"t{i}": "" for i in range(51)}
    for tags, code in (
        ({"a": 1}, "InvalidTagValues"),
        (too_many, "TooManyTags"),
        ({"<": ""}, "InvalidTagName"),
    ):
        answer = arm.send("PUT", "resourceGroups/tagged", {"location": "westus", "tags": tags})
        assert answer.status_code == 400
        assert answer.json()["error"]["code"].startswith(code)


def test_subscription_tenant_and_providers_are_listed(arm: Arm) -> None:
    identity = arm.settings.identity
    subscription, second = arm.send("GET", "/subscriptions", version="2022-12-01").json()["value"]
    assert second["subscriptionId"] == identity.home.subscriptions[1].id
    assert subscription["subscriptionId"] == identity.subscription_id
    assert subscription["state"] == "Enabled"
    (tenant,) = arm.send("GET", "/tenants", version="2022-12-01").json()["value"]
    assert tenant["tenantId"] == identity.tenant_id
    assert {"name", "displayName"} <= set(arm.get("locations")["value"][0])
    provider = arm.send("GET", "providers/Microsoft.Compute", version="2021-04-01").json()
    assert provider["registrationState"] == "Registered"
    assert "images" in {t["resourceType"] for t in provider["resourceTypes"]}
    assert arm.send("POST", "providers/Microsoft.Compute/register", version="2021-04-01").status_code == 200


def test_metadata_has_the_shape_of_its_version(arm: Arm) -> None:
    def fetch(version: str) -> object:
        url = f"{arm.settings.url}/metadata/endpoints?api-version={version}"
        return arm.http.get(url, timeout=30).json()

    first = fetch("2015-01-01")
    assert isinstance(first, dict)
    assert set(first) == {"galleryEndpoint", "graphEndpoint", "portalEndpoint", "authentication"}
    (listed,) = list(fetch("2019-05-01"))  # type: ignore[call-overload]
    newest = fetch("2022-09-01")
    assert listed == newest
    assert isinstance(newest, dict)
    assert newest["resourceManager"] == f"{arm.settings.url}/"
    assert newest["authentication"]["loginEndpoint"] == f"{arm.settings.url}/"
    assert newest["suffixes"]["storage"]


def test_exchanges_are_logged_without_secrets(arm: Arm) -> None:
    group = arm.group()
    arm.send("PUT", storage_path(group, "logged1"), {"location": "westus", "sku": {"name": "Standard_LRS"}})
    key = arm.send("POST", storage_path(group, "logged1") + "/listKeys").json()["keys"][0]["value"]
    log = (arm.settings.state_dir / "exchanges.jsonl").read_text(encoding="utf-8")
    assert key not in log
    assert arm.settings.identity.client_secret not in log
    last = json.loads(log.splitlines()[-1])
    assert last["liveRequest"]["method"] == "POST"
    assert last["liveRequest"]["headers"]["Authorization"] == "REDACTED"
    assert last["liveResponse"]["statusCode"] == 200
    assert last["liveResponse"]["body"]["keys"][0]["value"] == "REDACTED"
    with pytest.raises(jwt.DecodeError):
        jwt.decode(last["liveRequest"]["headers"]["Authorization"], options={"verify_signature": False})


def test_exchanges_are_logged_with_the_time_of_their_answer(arm: Arm) -> None:
    before = datetime.now(timezone.utc)
    arm.send("GET", "")
    log = (arm.settings.state_dir / "exchanges.jsonl").read_text(encoding="utf-8")
    answered = datetime.fromisoformat(json.loads(log.splitlines()[-1])["answered"])
    assert before <= answered <= datetime.now(timezone.utc)


def test_secrets_keep_their_type_when_they_are_taken_out() -> None:
    body = {
        "osProfile": {"adminPassword": "p", "customData": "eA=="},
        "properties": {"output": {"accessSAS": "https://h/b?sig=abc"}},
        "url": "https://h/b?sv=1&sig=abc%3D&se=2",
        "protectedSettings": {"a": {"b": "c"}, "n": 1},
    }
    assert without_secrets(body) == {
        "osProfile": {"adminPassword": "REDACTED", "customData": "REDACTED"},
        "properties": {"output": {"accessSAS": "REDACTED"}},
        "url": "https://h/b?sv=1&sig=REDACTED&se=2",
        "protectedSettings": {"a": {"b": "REDACTED"}, "n": 1},
    }


def test_nested_resource_of_a_missing_parent(arm: Arm) -> None:
    group = arm.group()
    path = network_path(group, "virtualNetworks/none/subnets", "s")
    assert error_of(arm.send("GET", path)) == (404, "ResourceNotFound")
    body = {"properties": {"addressPrefix": "10.0.0.0/24"}}
    assert error_of(arm.send("PUT", path, body)) == (404, "ParentResourceNotFound")


@pytest.mark.parametrize(
    "raw", [b"[" * 3000, b'{"a":' * 70 + b"1" + b"}" * 70, b'{"a": NaN}', b'{"a": 1e999}', b"\xff"]
)
def test_body_that_is_no_json_of_azure_is_refused(arm: Arm, raw: bytes) -> None:
    url = f"{arm.settings.url}{arm.subscription}/{arm.group()}?api-version=2022-09-01"
    header = {"Authorization": f"Bearer {arm.token()}"}
    answer = arm.http.put(url, data=raw, headers=header, timeout=30)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "InvalidRequestContent")
