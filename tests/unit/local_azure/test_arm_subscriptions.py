# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Several subscriptions and tenants in one local Azure."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from tests.local_azure.identity.directory import IdentityFileError, identity_from, random_identity
from tests.local_azure.settings import load_or_create
from tests.local_azure.store import Resource, Store
from tests.unit.local_azure.arm_server import Arm, compute, storage_path


@pytest.fixture(scope="module")
def second(arm: Arm) -> Arm:
    """The home tenant's second subscription."""
    return arm.within(arm.settings.identity.home.subscriptions[1].id)


@pytest.fixture(scope="module")
def stranger(arm: Arm) -> Arm:
    """The other tenant's owner at the other tenant's subscription."""
    return arm.signed_in(arm.settings.identity.stranger).within(
        arm.settings.identity.tenants[1].subscriptions[0].id
    )


def test_groups_of_the_same_name_in_two_subscriptions_are_two(arm: Arm, second: Arm) -> None:
    group = arm.group("westus")
    assert second.send("GET", group).status_code == 404
    assert second.send("PUT", group, {"location": "eastus"}).status_code == 201
    disk = arm.disk(group, "disk")
    assert disk["id"].startswith(arm.subscription)
    missing = second.send("GET", compute(group, "disks", "disk"))
    assert missing.json()["error"]["code"] == "ResourceNotFound"
    other = second.disk(group, "disk", "eastus")
    assert other["id"].startswith(second.subscription)
    assert [d["id"] for d in second.get(compute(group, "disks"))["value"]] == [other["id"]]
    assert disk["id"] not in [d["id"] for d in second.get("providers/Microsoft.Compute/disks")["value"]]
    deleted = second.send("DELETE", group)
    while second.send("GET", deleted.headers["Location"]).status_code == 202:
        pass
    assert second.send("GET", group).status_code == 404
    assert arm.get(compute(group, "disks", "disk"))["id"] == disk["id"]


def test_operations_belong_to_the_subscription_of_their_resource(arm: Arm, second: Arm) -> None:
    group = second.group()
    body = {"location": "westus", "properties": {"diskSizeGB": 1, "creationData": {"createOption": "Empty"}}}
    answer = second.send("PUT", compute(group, "disks", "one"), body)
    assert f"{second.subscription}/providers" in answer.headers["Azure-AsyncOperation"]
    second.done(answer)
    moved = answer.headers["Azure-AsyncOperation"].replace(second.subscription, arm.subscription)
    assert arm.send("GET", moved).status_code == 404


def test_image_of_another_subscription_of_the_tenant_is_a_source(arm: Arm, second: Arm) -> None:
    disk = arm.disk(arm.group(), "source")
    image = second.image(second.group(), "image", disk)
    assert image["properties"]["storageProfile"]["osDisk"]["managedDisk"]["id"] == disk["id"]


def test_storage_account_names_are_unique_over_subscriptions(arm: Arm, second: Arm) -> None:
    body = {"location": "westus", "sku": {"name": "Standard_LRS"}, "kind": "StorageV2"}
    mine = storage_path(arm.group(), "everywhere1")
    assert arm.send("PUT", mine, body).status_code == 202
    taken = second.send("PUT", storage_path(second.group(), "everywhere1"), body)
    assert taken.json()["error"]["code"] == "StorageAccountAlreadyTaken"


def test_each_tenant_sees_its_own_subscriptions(arm: Arm, stranger: Arm) -> None:
    def seen(client: Arm, kind: str, key: str) -> list[str]:
        answer = client.send("GET", f"/{kind}", version="2022-12-01").json()
        return [entry[key] for entry in answer["value"]]

    home, elsewhere = arm.settings.identity.tenants
    assert seen(arm, "subscriptions", "subscriptionId") == [s.id for s in home.subscriptions]
    assert seen(stranger, "subscriptions", "subscriptionId") == [elsewhere.subscriptions[0].id]
    assert seen(stranger, "tenants", "tenantId") == [elsewhere.id]
    group = stranger.group()
    assert stranger.get(group)["name"] == group.rpartition("/")[2]


def test_token_of_another_tenant_is_refused(arm: Arm, stranger: Arm) -> None:
    answer = stranger.send("GET", f"{arm.subscription}/resourcegroups")
    assert answer.status_code == 401
    error = answer.json()["error"]
    home, elsewhere = arm.settings.identity.tenants
    assert error["code"] == "InvalidAuthenticationTokenTenant"
    assert error["message"].startswith(
        f"The access token is from the wrong issuer 'https://sts.windows.net/{elsewhere.id}/'. It must match "
        f"the tenant 'https://sts.windows.net/{home.id}/' associated with this subscription."
    )
    assert f'/{home.id}"' in answer.headers["WWW-Authenticate"]


def test_resource_of_another_tenant_is_no_source(arm: Arm, stranger: Arm) -> None:
    disk = arm.disk(arm.group(), "foreign")
    body = {
        "location": "westus",
        "properties": {"creationData": {"createOption": "Copy", "sourceResourceId": disk["id"]}},
    }
    answer = stranger.send("PUT", compute(stranger.group(), "disks", "copy"), body)
    assert answer.status_code == 403
    error = answer.json()["error"]
    assert error["code"] == "LinkedAuthorizationFailed"
    home, elsewhere = arm.settings.identity.tenants
    assert error["message"].endswith(
        f"however the current tenant '{elsewhere.id}' is not authorized to access linked subscription "
        f"'{home.subscriptions[0].id}'."
    )


def test_client_signs_in_at_its_own_tenant_only(arm: Arm) -> None:
    identity = arm.settings.identity
    answer = arm.http.post(
        f"{arm.settings.url}/{identity.tenant_id}/oauth2/v2.0/token",
        data={
            "grant_type": "client_credentials",
            "client_id": identity.stranger.client_id,
            "client_secret": identity.stranger.client_secret,
            "scope": "https://management.azure.com/.default",
        },
        timeout=30,
    )
    assert answer.json()["error_codes"] == [700016]


def test_state_directory_of_one_subscription_is_completed(tmp_path: Path) -> None:
    older = {
        "tenant_id": "11111111-0000-0000-0000-000000000000",
        "subscription_id": "22222222-0000-0000-0000-000000000000",
        "client_id": "33333333-0000-0000-0000-000000000000",
        "object_id": "44444444-0000-0000-0000-000000000000",
        "client_secret": "secret",
        "identity_header": "header",
    }
    stored = {"identity": older, "ports": {"arm": 1, "blob": 2}, "operation_key": "a2V5"}
    (tmp_path / "identity.json").write_text(json.dumps(stored), encoding="utf-8")
    identity = load_or_create(tmp_path).identity
    assert {k: getattr(identity, k) for k in older} == older
    assert len(identity.home.subscriptions) == 2
    assert load_or_create(tmp_path).identity == identity


def test_unknown_form_of_identity_is_refused_with_what_to_do() -> None:
    stored = random_identity().stored()
    del stored["tenants"]
    with pytest.raises(IdentityFileError, match="remove the state directory to start anew"):
        identity_from(stored)


def test_store_of_one_subscription_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    older = sqlite3.connect(path)
    older.executescript(
        "CREATE TABLE resources (key TEXT PRIMARY KEY, id TEXT NOT NULL, type TEXT NOT NULL, resource_group "
        "TEXT NOT NULL, name TEXT NOT NULL, body TEXT NOT NULL, hidden TEXT NOT NULL, "
        "position INTEGER NOT NULL);"
        "CREATE INDEX resources_by_type ON resources (type, resource_group);"
    )
    subscription = "22222222-0000-0000-0000-000000000000"
    resource_id = f"/subscriptions/{subscription}/resourceGroups/g/providers/Microsoft.Compute/disks/d"
    older.execute(
        "INSERT INTO resources VALUES (?, ?, 'Microsoft.Compute/disks', 'g', 'd', '{}', '{}', 7)",
        (resource_id.lower(), resource_id),
    )
    older.commit()
    older.close()
    for _opened_again in range(2):
        store = Store(path)
        (disk,) = store.of_type("Microsoft.Compute/disks", "g", subscription)
        assert disk == Resource(resource_id, "Microsoft.Compute/disks", "g", "d", {}, {})
        store.close()
