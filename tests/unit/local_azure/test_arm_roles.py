# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What weaker principals may do: roles, their scopes, and what is refused and how."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests

from tests.local_azure.identity.builtin_roles import BUILT_IN_ROLES
from tests.unit.local_azure.arm_server import Arm, compute, network_path, storage_path

ROLES = {role.name: role.id for role in BUILT_IN_ROLES}
DEFINITIONS = "/providers/Microsoft.Authorization/roleDefinitions"
VERSION = "2022-04-01"
EMPTY_DISK = {
    "location": "westus",
    "properties": {"diskSizeGB": 1, "creationData": {"createOption": "Empty"}},
}


@pytest.fixture(scope="module")
def reader(arm: Arm) -> Arm:
    return arm.signed_in(arm.settings.identity.reader)


@pytest.fixture(scope="module")
def elsewhere(reader: Arm) -> Arm:
    """The reader in the subscription in which it has no right."""
    return reader.within(reader.settings.identity.home.subscriptions[1].id)


@pytest.fixture
def group(arm: Arm) -> str:
    return arm.group()


def assignment_path(scope: str, name: str | None = None) -> str:
    return f"{scope}/providers/Microsoft.Authorization/roleAssignments/{name or uuid.uuid4()}"


def assign(arm: Arm, scope: str, role: str, principal: str, **more: Any) -> requests.Response:
    properties = {
        "roleDefinitionId": f"{arm.subscription}{DEFINITIONS}/{ROLES[role]}",
        "principalId": principal,
        **more,
    }
    return arm.send("PUT", assignment_path(scope), {"properties": properties}, version=VERSION)


@contextmanager
def role_at(arm: Arm, scope: str, role: str) -> Iterator[None]:
    """The reader has the role for the time of the block."""
    granted = assign(arm, scope, role, arm.settings.identity.reader.object_id)
    assert granted.status_code == 201, granted.text
    yield
    assert arm.send("DELETE", granted.json()["id"], version=VERSION).status_code == 200


def refusal(answer: requests.Response) -> str:
    """The message of a 403 for want of a right."""
    assert answer.status_code == 403, answer.text
    assert answer.headers["x-ms-failure-cause"] == "gateway"
    assert answer.json()["error"]["code"] == "AuthorizationFailed"
    return str(answer.json()["error"]["message"])


def test_reader_reads_everything_and_writes_nothing(arm: Arm, reader: Arm, group: str) -> None:
    disk = arm.disk(group, "disk")
    assert reader.get(disk["id"]) == disk
    assert reader.get(group)["name"] == group.rpartition("/")[2]
    assert disk["id"] in [d["id"] for d in reader.get(compute(group, "disks"))["value"]]
    path = compute(group, "images", "image")
    principal = arm.settings.identity.reader
    assert refusal(reader.send("PUT", path, {"location": "westus"})) == (
        f"The client '{principal.client_id}' with object id '{principal.object_id}' does not have "
        f"authorization to perform action 'Microsoft.Compute/images/write' over scope "
        f"'{arm.subscription}/{path}' or the scope is invalid. If access was "
        "recently granted, please refresh your credentials."
    )


@pytest.mark.parametrize(
    ("request_line", "action"),
    [
        ("DELETE disks", "disks/delete"),
        ("PATCH virtualMachines", "virtualMachines/write"),
        ("POST virtualmachines /generalize", "virtualMachines/generalize/action"),
        ("POST disks /beginGetAccess", "disks/beginGetAccess/action"),
    ],
)
def test_actions_have_azures_names(reader: Arm, group: str, request_line: str, action: str) -> None:
    method, kind, *verb = request_line.split()
    path = compute(group, kind, "thing")
    message = refusal(reader.send(method, path + "".join(verb), {}))
    assert (
        f"perform action 'Microsoft.Compute/{action}' over scope '{reader.subscription}/{path}' or" in message
    )


def test_groups_and_keys_are_guarded_too(reader: Arm, group: str) -> None:
    assert "'Microsoft.Resources/subscriptions/resourceGroups/delete'" in refusal(
        reader.send("DELETE", group)
    )
    assert "'Microsoft.Resources/subscriptions/resourceGroups/write'" in refusal(
        reader.send("PUT", group, {"location": "westus"})
    )
    keys = reader.send("POST", storage_path(group, "account") + "/listKeys")
    assert "'Microsoft.Storage/storageAccounts/listKeys/action'" in refusal(keys)
    assert "'Microsoft.Compute/register/action'" in refusal(
        reader.send("POST", "providers/Microsoft.Compute/register")
    )


def test_what_one_cannot_see_is_refused_not_missing(arm: Arm, elsewhere: Arm) -> None:
    owner = arm.within(elsewhere.subscription.rpartition("/")[2])
    group = owner.group()
    assert "'Microsoft.Compute/disks/read'" in refusal(elsewhere.send("GET", compute(group, "disks", "none")))
    assert f"over scope '{elsewhere.subscription}/{group}/providers/Microsoft.Compute'" in refusal(
        elsewhere.send("GET", compute(group, "disks"))
    )
    refusal(elsewhere.send("GET", "resourcegroups"))
    refusal(elsewhere.send("GET", ""))
    seen = elsewhere.send("GET", "/subscriptions", version="2022-12-01").json()["value"]
    assert [s["subscriptionId"] for s in seen] == [arm.settings.identity.subscription_id]


def test_lists_show_only_what_one_may_read(arm: Arm, elsewhere: Arm) -> None:
    owner = arm.within(elsewhere.subscription.rpartition("/")[2])
    readable, hidden = owner.group(), owner.group()
    disk = owner.disk(readable, "one")
    owner.disk(hidden, "two")
    with role_at(owner, f"{owner.subscription}/{readable}", "Reader"):
        groups = elsewhere.send("GET", "resourcegroups").json()["value"]
        assert [g["name"] for g in groups] == [readable.rpartition("/")[2]]
        for path in ("providers/Microsoft.Compute/disks", "resources"):
            assert [d["id"] for d in elsewhere.get(path)["value"]] == [disk["id"]]
        refusal(elsewhere.send("GET", hidden))


def test_role_on_a_group_lets_work_there_and_follow_the_operation(arm: Arm, elsewhere: Arm) -> None:
    owner = arm.within(elsewhere.subscription.rpartition("/")[2])
    group = owner.group()
    path = compute(group, "disks", "mine")
    with role_at(owner, f"{owner.subscription}/{group}", "Contributor"):
        elsewhere.done(elsewhere.send("PUT", path, EMPTY_DISK))
        assert elsewhere.get(path)["name"] == "mine"
        denied = assign(
            elsewhere, f"{owner.subscription}/{group}", "Owner", arm.settings.identity.reader.object_id
        )
        assert "'Microsoft.Authorization/roleAssignments/write'" in refusal(denied)
    refusal(elsewhere.send("GET", path))


def test_roles_end_where_their_not_actions_begin(arm: Arm, reader: Arm, group: str) -> None:
    share = f"{compute(group, 'galleries', 'gallery')}/share"
    with role_at(arm, f"{arm.subscription}/{group}", "Contributor"):
        assert "'Microsoft.Compute/galleries/share/action'" in refusal(
            reader.send("POST", share, {"operationType": "Reset"})
        )
        with role_at(arm, f"{arm.subscription}/{group}", "Compute Gallery Sharing Admin"):
            assert reader.send("POST", share, {"operationType": "Reset"}).status_code != 403


def test_role_on_one_resource_reaches_no_other(arm: Arm, reader: Arm, group: str) -> None:
    mine, other = arm.disk(group, "mine"), arm.disk(group, "other")
    with role_at(arm, mine["id"], "Contributor"):
        reader.done(reader.send("PATCH", mine["id"], {"tags": {"a": "b"}}))
        refusal(reader.send("PATCH", other["id"], {"tags": {"a": "b"}}))


def test_linked_resources_need_rights_of_their_own(arm: Arm, elsewhere: Arm) -> None:
    owner = arm.within(elsewhere.subscription.rpartition("/")[2])
    principal = arm.settings.identity.reader
    work, secret = owner.group(), owner.group()
    subnet = owner.subnet(secret)
    disk = owner.disk(secret, "disk")
    nic = {
        "location": "westus",
        "properties": {"ipConfigurations": [{"name": "ip", "properties": {"subnet": {"id": subnet}}}]},
    }
    image = {
        "location": "westus",
        "properties": {
            "hyperVGeneration": "V2",
            "storageProfile": {
                "osDisk": {"osType": "Linux", "osState": "Generalized", "managedDisk": {"id": disk["id"]}}
            },
        },
    }
    copy = {
        "location": "westus",
        "properties": {"creationData": {"createOption": "Copy", "sourceResourceId": disk["id"]}},
    }
    with role_at(owner, f"{owner.subscription}/{work}", "Contributor"):
        for path, body, action, needed, link in (
            (
                network_path(work, "networkInterfaces", "nic"),
                nic,
                "Microsoft.Network/networkInterfaces/write",
                "Microsoft.Network/virtualNetworks/subnets/join/action",
                subnet,
            ),
            (
                compute(work, "images", "image"),
                image,
                "Microsoft.Compute/images/write",
                "Microsoft.Compute/disks/read",
                disk["id"],
            ),
            (
                compute(work, "disks", "copy"),
                copy,
                "Microsoft.Compute/disks/write",
                "Microsoft.Compute/disks/beginGetAccess/action",
                disk["id"],
            ),
        ):
            answer = elsewhere.send("PUT", path, body)
            assert answer.status_code == 403
            assert answer.json()["error"] == {
                "code": "LinkedAuthorizationFailed",
                "message": f"The client '{principal.client_id}' with object id '{principal.object_id}' has "
                f"permission to perform action '{action}' on scope '{owner.subscription}/{path}'; "
                f"however, it does not have permission to perform action '{needed}' on the linked scope(s) "
                f"'{link}' or the linked scope(s) are invalid.",
            }


def test_managed_identity_is_a_principal_of_its_own(arm: Arm, group: str) -> None:
    identity = arm.settings.identity
    url = f"{arm.settings.url}/msi/token?api-version=2019-08-01&resource=https://management.azure.com/"
    answer = arm.http.get(url, headers={"X-IDENTITY-HEADER": identity.identity_header}, timeout=30).json()
    header = {"Authorization": f"Bearer {answer['access_token']}"}
    made = arm.send("PUT", compute(group, "disks", "made"), EMPTY_DISK, headers=header)
    assert made.status_code == 202
    lock = f"{arm.subscription}/{group}/providers/Microsoft.Authorization/locks/l"
    body = {"properties": {"level": "CanNotDelete"}}
    denied = refusal(arm.send("PUT", lock, body, headers=header, version="2020-05-01"))
    assert identity.managed.object_id in denied
    assert "'Microsoft.Authorization/locks/write'" in denied


def test_role_assignments_have_azures_shape_and_rules(arm: Arm, group: str) -> None:
    scope = f"{arm.subscription}/{group}"
    principal = arm.settings.identity.reader.object_id
    made = assign(arm, scope, "Reader", principal, principalType="ServicePrincipal")
    assert made.status_code == 201
    body = made.json()
    assert (body["type"], body["properties"]["scope"]) == ("Microsoft.Authorization/roleAssignments", scope)
    assert body["properties"]["updatedBy"] == arm.settings.identity.object_id
    assert arm.send("GET", body["id"], version=VERSION).json() == body
    again = assign(arm, scope, "Reader", principal)
    assert (again.status_code, again.json()["error"]["code"]) == (409, "RoleAssignmentExists")
    changed = {"properties": {**body["properties"], "principalId": arm.settings.identity.managed.object_id}}
    other = arm.send("PUT", body["id"], changed, version=VERSION)
    assert (other.status_code, other.json()["error"]["code"]) == (409, "RoleAssignmentUpdateNotPermitted")
    unknown = assign(arm, scope, "Reader", str(uuid.uuid4()))
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (400, "PrincipalNotFound")
    assert (
        assign(arm, scope, "Reader", str(uuid.uuid4()), principalType="ServicePrincipal").status_code == 201
    )
    listing = f"{scope}/providers/Microsoft.Authorization/roleAssignments"
    found = arm.send("GET", listing, version=VERSION, query=f"&$filter=principalId eq '{principal}'").json()
    assert {a["properties"]["scope"] for a in found["value"]} == {scope, arm.subscription}
    assert arm.send("DELETE", body["id"], version=VERSION).status_code == 200
    assert arm.send("DELETE", body["id"], version=VERSION).status_code == 204
    assert arm.send("GET", body["id"], version=VERSION).json()["error"]["code"] == "RoleAssignmentNotFound"
    nowhere = assign(arm, f"{arm.subscription}/resourceGroups/nowhere", "Reader", principal)
    assert nowhere.json()["error"]["code"] == "ResourceGroupNotFound"


def test_role_definitions_are_found_by_name_and_custom_ones_count(arm: Arm, reader: Arm, group: str) -> None:
    base = f"{arm.subscription}/providers/Microsoft.Authorization/roleDefinitions"
    (found,) = arm.send("GET", base, version=VERSION, query="&$filter=roleName eq 'Reader'").json()["value"]
    assert found["name"] == ROLES["Reader"]
    assert found["properties"]["permissions"][0]["actions"] == ["*/read"]
    scope = f"{arm.subscription}/{group}"
    guid = str(uuid.uuid4())
    properties = {
        "roleName": "Disk Maker",
        "description": "Makes disks, but cannot delete them.",
        "type": "CustomRole",
        "assignableScopes": [scope],
        "permissions": [
            {"actions": ["Microsoft.Compute/disks/*"], "notActions": ["Microsoft.Compute/disks/delete"]}
        ],
    }
    made = arm.send("PUT", f"{base}/{guid}", {"properties": properties}, version=VERSION)
    assert made.status_code == 201
    assert arm.send("GET", f"{base}/{guid}", version=VERSION).json() == made.json()
    grant = {"roleDefinitionId": made.json()["id"], "principalId": arm.settings.identity.reader.object_id}
    path = assignment_path(scope)
    assert arm.send("PUT", path, {"properties": grant}, version=VERSION).status_code == 201
    disk = compute(group, "disks", "disk")
    reader.done(reader.send("PUT", disk, EMPTY_DISK))
    refusal(reader.send("DELETE", disk))
    permissions = reader.send(
        "GET", f"{scope}/providers/Microsoft.Authorization/permissions", version=VERSION
    ).json()["value"]
    assert {"actions": ["*/read"], "notActions": []} in permissions
    assert {k: properties["permissions"][0][k] for k in ("actions", "notActions")} in permissions  # type: ignore[index]
    assert arm.send("DELETE", f"{base}/{guid}", version=VERSION).status_code == 400
    assert arm.send("DELETE", path, version=VERSION).status_code == 200
    assert arm.send("DELETE", f"{base}/{guid}", version=VERSION).status_code == 200
