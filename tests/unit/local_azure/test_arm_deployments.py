# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Template deployments over the wire: what is deployed, what is told of it, what is refused."""

from __future__ import annotations

import itertools
import re
import time
from typing import Any

import pytest

from tests.unit.local_azure.arm_server import Arm, Json, error_of

_numbers = itertools.count(1)
NETWORK = "Microsoft.Network/virtualNetworks"
DISK = "Microsoft.Compute/disks"


@pytest.fixture(scope="module")
def group(arm: Arm) -> str:
    return arm.group()


def network(name: str, **members: Any) -> Json:
    return {
        "type": NETWORK,
        "name": name,
        "apiVersion": "2024-05-01",
        "location": "[resourceGroup().location]",
        "properties": {"addressSpace": {"addressPrefixes": ["10.0.0.0/16"]}},
        **members,
    }


def disk(name: str, size: Any = 1, **members: Any) -> Json:
    return {
        "type": DISK,
        "name": name,
        "apiVersion": "2024-03-02",
        "location": "westus",
        "sku": {"name": "Standard_LRS"},
        "properties": {"diskSizeGB": size, "creationData": {"createOption": "Empty"}},
        **members,
    }


def template(*resources: Json, **members: Any) -> Json:
    return {
        "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
        "contentVersion": "1.0.0.0",
        "resources": list(resources),
        **members,
    }


def body(content: Json, parameters: Json | None = None, mode: str = "Incremental") -> Json:
    return {"properties": {"template": content, "parameters": parameters or {}, "mode": mode}}


def deployments(group: str, name: str = "") -> str:
    return f"{group}/providers/Microsoft.Resources/deployments" + (f"/{name}" if name else "")


def new_name() -> str:
    return f"deployment{next(_numbers)}"


def deploy(arm: Arm, group: str, content: Json, parameters: Json | None = None, **options: str) -> Json:
    """The deployment when it has ended."""
    path = deployments(group, new_name())
    answer = arm.send("PUT", path, body(content, parameters, **options))
    assert answer.status_code == 201, answer.text
    end(arm, answer.headers["Azure-AsyncOperation"])
    return arm.get(path)


def end(arm: Arm, url: str) -> Json:
    while True:
        status: Json = arm.send("GET", url).json()
        if status["status"] not in ("Accepted", "Running"):
            return status
        time.sleep(0.02)


def test_deployment_is_answered_and_ends_as_azure_does_it(arm: Arm, group: str) -> None:
    name = new_name()
    content = template(
        network("net"),
        {
            "type": "Microsoft.Network/virtualNetworks/subnets",
            "name": "net/sub",
            "apiVersion": "2024-05-01",
            "dependsOn": [f"[resourceId('{NETWORK}', 'net')]"],
            "properties": {"addressPrefix": "10.0.0.0/24"},
        },
        parameters={"password": {"type": "securestring"}, "size": {"type": "int", "defaultValue": 4}},
        outputs={
            "prefix": {"type": "string", "value": "[reference('net').addressSpace.addressPrefixes[0]]"},
            "hidden": {"type": "securestring", "value": "[parameters('password')]"},
        },
    )
    answer = arm.send("PUT", deployments(group, name), body(content, {"password": {"value": "hush-hush"}}))
    assert answer.status_code == 201
    accepted = answer.json()["properties"]
    assert accepted["provisioningState"] == "Accepted"
    assert accepted["mode"] == "Incremental"
    assert accepted["parameters"] == {
        "password": {"type": "SecureString"},
        "size": {"type": "Int", "value": 4},
    }
    assert [entry["resourceName"] for entry in accepted["dependencies"]] == ["net/sub"]
    assert accepted["providers"][0]["resourceTypes"][0] == {
        "resourceType": "virtualNetworks",
        "locations": ["westus"],
    }
    url = answer.headers["Azure-AsyncOperation"]
    assert re.search(rf"/deployments/{name}/operationStatuses/0\d{{19}}\?api-version=", url)
    assert end(arm, url) == {"status": "Succeeded"}
    ended = arm.get(deployments(group, name))["properties"]
    assert ended["outputs"] == {
        "prefix": {"type": "String", "value": "10.0.0.0/16"},
        "hidden": {"type": "SecureString"},
    }
    assert [entry["id"].rpartition("/")[2] for entry in ended["outputResources"]] == ["net", "sub"]
    assert re.fullmatch(r"PT[\d.]+S", ended["duration"])
    assert "hush-hush" not in arm.send("GET", deployments(group, name)).text
    again = arm.send("PUT", deployments(group, name), body(template(network("net"))))
    assert again.status_code == 200
    end(arm, again.headers["Azure-AsyncOperation"])


def test_what_is_deployed_is_as_if_put(arm: Arm, group: str) -> None:
    done = deploy(
        arm,
        group,
        template(
            disk("[format('disk-{0}', copyIndex())]", copy={"name": "disks", "count": 2}),
            disk("never", condition=False),
            variables={"unused": 1},
        ),
    )
    assert done["properties"]["provisioningState"] == "Succeeded"
    for name in ("disk-0", "disk-1"):
        made = arm.get(f"{group}/providers/{DISK}/{name}")["properties"]
        assert (made["diskState"], made["diskSizeGB"]) == ("Unattached", 1)
    assert arm.send("GET", f"{group}/providers/{DISK}/never").status_code == 404


def test_keys_of_a_deployed_account_are_read_by_the_template(arm: Arm, group: str) -> None:
    name = f"keys{int(time.time() * 1000)}"
    account = {
        "type": "Microsoft.Storage/storageAccounts",
        "name": name,
        "apiVersion": "2023-05-01",
        "location": "westus",
        "sku": {"name": "Standard_LRS"},
        "kind": "StorageV2",
        "properties": {},
    }
    value = "[listKeys('" + name + "', '2023-05-01').keys[0].value]"
    done = deploy(arm, group, template(account, outputs={"key": {"type": "string", "value": value}}))
    keys = arm.send("POST", f"{group}/providers/Microsoft.Storage/storageAccounts/{name}/listKeys").json()
    assert done["properties"]["outputs"]["key"]["value"] == keys["keys"][0]["value"]


def test_nested_deployments_have_records_and_outputs_of_their_own(arm: Arm, group: str) -> None:
    inner = template(
        disk("[parameters('name')]"),
        parameters={"name": {"type": "string"}},
        outputs={"state": {"type": "string", "value": "[reference(parameters('name')).diskState]"}},
    )
    nested = {
        "type": "Microsoft.Resources/deployments",
        "name": "nested",
        "apiVersion": "2022-09-01",
        "properties": {
            "mode": "Incremental",
            "expressionEvaluationOptions": {"scope": "inner"},
            "parameters": {"name": {"value": "[concat(variables('prefix'), 'disk')]"}},
            "template": inner,
        },
    }
    done = deploy(
        arm,
        group,
        template(
            nested,
            variables={"prefix": "nested-"},
            outputs={"state": {"type": "string", "value": "[reference('nested').outputs.state.value]"}},
        ),
    )
    assert done["properties"]["outputs"]["state"]["value"] == "Unattached"
    assert arm.get(f"{group}/providers/{DISK}/nested-disk")["name"] == "nested-disk"
    assert arm.get(deployments(group, "nested"))["properties"]["provisioningState"] == "Succeeded"


def test_failure_names_the_cause_and_leaves_what_depends_on_it_undone(arm: Arm, group: str) -> None:
    content = template(
        disk("too-big", size=70000),
        disk("after", dependsOn=["too-big"]),
        disk("independent"),
        outputs={"x": {"type": "string", "value": "never shown"}},
    )
    name = new_name()
    answer = arm.send("PUT", deployments(group, name), body(content))
    status = end(arm, answer.headers["Azure-AsyncOperation"])
    assert status["status"] == "Failed"
    error = status["error"]
    assert error["code"] == "DeploymentFailed"
    assert error["target"].endswith(f"/deployments/{name}")
    assert len(error["details"]) == 1
    ended = arm.get(deployments(group, name))["properties"]
    assert ended["provisioningState"] == "Failed"
    assert ended["error"] == error
    assert "outputs" not in ended
    assert arm.get(f"{group}/providers/{DISK}/independent")
    assert arm.send("GET", f"{group}/providers/{DISK}/after").status_code == 404
    operations = arm.get(deployments(group, name) + "/operations")["value"]
    states = {
        o["properties"].get("targetResource", {}).get("resourceName"): o["properties"] for o in operations
    }
    assert states["independent"]["provisioningState"] == "Succeeded"
    assert states["too-big"]["statusCode"] == "BadRequest"
    assert states["too-big"]["statusMessage"]["error"]["code"] == error["details"][0]["code"]
    assert operations[-1]["properties"]["provisioningOperation"] == "EvaluateDeploymentOutput"
    one = arm.get(f"{deployments(group, name)}/operations/{operations[0]['operationId']}")
    assert one == operations[0]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (template(network("a", dependsOn=["missing"])), "InvalidTemplate"),
        (template(network("[noFunction()]")), "InvalidTemplate"),
        (template(network("a"), parameters={"needed": {"type": "string"}}), "InvalidTemplate"),
        (
            template({"type": "Microsoft.Other/things", "name": "a", "apiVersion": "2020-01-01"}),
            "InvalidTemplateDeployment",
        ),
        (template(network("a"), outputs=[]), "InvalidTemplate"),
    ],
)
def test_template_that_is_not_valid_is_refused_at_once(
    arm: Arm, group: str, content: Json, code: str
) -> None:
    name = new_name()
    for path, method in ((deployments(group, name), "PUT"), (f"{deployments(group, name)}/validate", "POST")):
        assert error_of(arm.send(method, path, body(content))) == (400, code)
    assert arm.send("HEAD", deployments(group, name)).status_code == 404


def test_missing_platform_images_are_found_before_anything_is_deployed(arm: Arm, group: str) -> None:
    reference = {"publisher": "SUSE", "offer": "no-such", "sku": "1", "version": "latest"}
    machine = {
        "type": "Microsoft.Compute/virtualMachines",
        "name": "vm",
        "apiVersion": "2024-07-01",
        "location": "westus",
        "properties": {"storageProfile": {"imageReference": reference}},
    }
    answer = arm.send("PUT", deployments(group, new_name()), body(template(network("not-made"), machine)))
    detail = answer.json()["error"]["details"][0]
    assert error_of(answer) == (400, "InvalidTemplateDeployment")
    assert (detail["code"], detail["target"]) == ("InvalidParameter", "imageReference")
    assert "Publisher: SUSE, Offer: no-such, Sku: 1, Version: latest" in detail["message"]
    assert arm.send("GET", f"{group}/providers/{NETWORK}/not-made").status_code == 404


def test_validation_tells_what_would_be_deployed_and_deploys_nothing(arm: Arm, group: str) -> None:
    path = deployments(group, new_name())
    answer = arm.send("POST", f"{path}/validate", body(template(network("only-thought-of"))))
    assert answer.status_code == 200
    validated = answer.json()["properties"]
    assert validated["provisioningState"] == "Succeeded"
    assert [r["id"].rpartition("/")[2] for r in validated["validatedResources"]] == ["only-thought-of"]
    assert arm.send("GET", path).status_code == 404
    assert arm.send("GET", f"{group}/providers/{NETWORK}/only-thought-of").status_code == 404


def test_complete_deployment_removes_what_it_does_not_name(arm: Arm) -> None:
    own = arm.group()
    deploy(arm, own, template(disk("old"), network("kept")))
    done = deploy(arm, own, template(network("kept")), mode="Complete")
    assert done["properties"]["mode"] == "Complete"
    left = [entry["name"] for entry in arm.get(f"{own}/resources")["value"]]
    assert left == ["kept"]


def test_deployments_are_listed_exported_and_deleted(arm: Arm) -> None:
    own = arm.group()
    content = template(network("net"))
    name = deploy(arm, own, content)["name"]
    assert [d["name"] for d in arm.get(deployments(own))["value"]] == [name]
    assert arm.send("HEAD", deployments(own, name)).status_code == 204
    exported = arm.send("POST", f"{deployments(own, name)}/exportTemplate").json()
    assert exported["template"] == content
    assert error_of(arm.send("POST", f"{deployments(own, name)}/cancel")) == (
        409,
        "DeploymentCannotBeCancelled",
    )
    deleted = arm.send("DELETE", deployments(own, name))
    assert deleted.status_code == 202
    while arm.send("GET", deleted.headers["Location"]).status_code == 202:
        time.sleep(0.02)
    assert error_of(arm.send("GET", deployments(own, name))) == (404, "DeploymentNotFound")
    assert arm.get(f"{own}/providers/{NETWORK}/net")


def test_active_deployment_is_cancelled_but_not_replaced(arm: Arm, group: str) -> None:
    name = new_name()
    slow = disk("[format('slow-{0}', copyIndex())]", copy={"name": "c", "count": 30, "mode": "serial"})
    answer = arm.send("PUT", deployments(group, name), body(template(slow)))
    refused = arm.send("PUT", deployments(group, name), body(template(slow)))
    assert error_of(refused) == (409, "DeploymentActive")
    assert arm.send("POST", f"{deployments(group, name)}/cancel").status_code == 204
    assert end(arm, answer.headers["Azure-AsyncOperation"]) == {"status": "Canceled"}
    assert arm.send("GET", f"{group}/providers/{DISK}/slow-29").status_code == 404


def test_subscription_deployment_makes_groups_and_deploys_into_them(arm: Arm) -> None:
    name, made = new_name(), f"made-{next(_numbers)}"
    content = template(
        {
            "type": "Microsoft.Resources/resourceGroups",
            "name": made,
            "apiVersion": "2022-09-01",
            "location": "westus",
        },
        {
            "type": "Microsoft.Resources/deployments",
            "name": "inside",
            "apiVersion": "2022-09-01",
            "resourceGroup": made,
            "dependsOn": [made],
            "properties": {"mode": "Incremental", "template": template(disk("in-it"))},
        },
    )
    path = f"providers/Microsoft.Resources/deployments/{name}"
    assert error_of(arm.send("PUT", path, body(content))) == (400, "LocationRequired")
    answer = arm.send("PUT", path, {**body(content), "location": "westus"})
    assert answer.status_code == 201
    assert end(arm, answer.headers["Azure-AsyncOperation"]) == {"status": "Succeeded"}
    assert arm.get(path)["location"] == "westus"
    assert arm.get(f"resourceGroups/{made}/providers/{DISK}/in-it")
    assert name in [d["name"] for d in arm.get("providers/Microsoft.Resources/deployments")["value"]]


def test_template_with_a_resource_that_the_caller_may_not_write_is_refused_whole(arm: Arm) -> None:
    own = arm.group()
    identity = arm.settings.identity
    definition = f"{arm.subscription}/providers/Microsoft.Authorization/roleDefinitions"
    actions = ["Microsoft.Resources/deployments/*", "Microsoft.Network/*"]
    custom = {
        "properties": {
            "roleName": "Network deployer",
            "type": "CustomRole",
            "permissions": [{"actions": actions, "notActions": []}],
            "assignableScopes": [arm.subscription],
        }
    }
    made = arm.send("PUT", f"{definition}/11111111-aaaa-4aaa-8aaa-111111111111", custom, version="2022-04-01")
    assert made.status_code == 201, made.text
    assignments = f"{own}/providers/Microsoft.Authorization/roleAssignments"
    given = arm.send(
        "PUT",
        f"{assignments}/22222222-aaaa-4aaa-8aaa-222222222222",
        {
            "properties": {
                "roleDefinitionId": made.json()["id"],
                "principalId": identity.reader.object_id,
                "principalType": "ServicePrincipal",
            }
        },
        version="2022-04-01",
    )
    assert given.status_code == 201, given.text
    reader = arm.signed_in(identity.reader)
    content = template(network("allowed"), disk("forbidden"))
    answer = reader.send("PUT", deployments(own, new_name()), body(content))
    assert error_of(answer) == (403, "InvalidTemplateDeployment")
    assert "Microsoft.Compute/disks/write" in answer.text
    assert arm.send("GET", f"{own}/providers/{NETWORK}/allowed").status_code == 404
    assert deploy(reader, own, template(network("allowed")))["properties"]["provisioningState"] == "Succeeded"


def test_deployment_in_a_missing_group_is_refused(arm: Arm) -> None:
    answer = arm.send("PUT", deployments("resourceGroups/nowhere", "d"), body(template()))
    assert error_of(answer) == (404, "ResourceGroupNotFound")
