# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Small resources beside machines and disks: sets and groups of machines, keys, identities, disk accesses."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_ssh_private_key

from tests.unit.local_azure.arm_server import KEY, Arm, Json, compute, error_of
from tests.unit.local_azure.machines import DEBIAN, Place, message_of


@pytest.fixture(scope="module")
def place(arm: Arm) -> Place:
    return Place(arm, "northeurope")


@pytest.fixture(scope="module")
def member(place: Place, arm: Arm) -> Json:
    """A machine in an availability set, both in a proximity placement group."""
    near = put(place, "proximityPlacementGroups", "near")["id"]
    group = {"proximityPlacementGroup": {"id": near}}
    kept = put(place, "availabilitySets", "kept", {"sku": {"name": "aligned"}}, **group)["id"]
    place.machine("member", DEBIAN, availabilitySet={"id": kept}, **group)
    return arm.get(place.path("member"))


def send(
    place: Place, method: str, kind: str, name: str, extra: Json | None = None, **properties: Any
) -> Any:
    body = {"location": place.region, "properties": properties, **(extra or {})}
    return place.arm.send(method, compute(place.group, kind, name), body)


def put(place: Place, kind: str, name: str, extra: Json | None = None, **properties: Any) -> Json:
    answer = send(place, "PUT", kind, name, extra, **properties)
    assert answer.status_code in (200, 201), answer.text
    return dict(answer.json())


def test_availability_set_is_made_at_once_and_tells_its_machines_when_read(place: Place, arm: Arm) -> None:
    answer = send(place, "PUT", "availabilitySets", "as", {"tags": {"a": "b"}})
    path = compute(place.group, "availabilitySets", "as")
    assert (answer.status_code, "Azure-AsyncOperation" in answer.headers) == (200, False)
    counts = {"platformUpdateDomainCount": 5, "platformFaultDomainCount": 3}
    assert answer.json()["properties"] == counts
    shown = arm.get(path)
    assert shown["properties"] == {**counts, "virtualMachines": []}
    assert (shown["sku"], shown["tags"]) == ({"name": "Classic"}, {"a": "b"})
    assert arm.get(path.replace("/availabilitySets", "//availabilitySets")) == shown
    listed = arm.get(compute(place.group, "availabilitySets"))["value"]
    assert shown in listed
    patched = send(place, "PATCH", "availabilitySets", "as", {"tags": {"c": "d"}}, **counts)
    assert (patched.status_code, patched.json()["tags"]) == (200, {"c": "d"})
    assert {"Standard_DS1_v2", "Standard_B2s"} <= {s["name"] for s in arm.get(f"{path}/vmSizes")["value"]}
    assert [arm.send("DELETE", path).status_code for _unused in range(2)] == [200, 204]


@pytest.mark.parametrize(
    ("region", "sku", "properties", "target"),
    [
        ("westus2", "Aligned", {"platformFaultDomainCount": 3}, "platformFaultDomainCount"),
        ("westus2", "Classic", {"platformFaultDomainCount": 4}, "platformFaultDomainCount"),
        ("westus2", "Aligned", {"platformUpdateDomainCount": 21}, "platformUpdateDomainCount"),
        ("westus2", "Other", {}, "sku.name"),
    ],
)
def test_availability_set_of_impossible_size_is_refused(
    place: Place, region: str, sku: str, properties: Json, target: str
) -> None:
    extra = {"location": region, "sku": {"name": sku}}
    answer = send(place, "PUT", "availabilitySets", "bad", extra, **properties)
    assert error_of(answer) == (400, "InvalidParameter")
    assert answer.json()["error"]["target"] == target


def test_availability_set_becomes_a_managed_one_but_not_a_classic_one_again(place: Place) -> None:
    put(place, "availabilitySets", "turning", platformFaultDomainCount=2)
    changed = send(place, "PUT", "availabilitySets", "turning", platformFaultDomainCount=3)
    assert error_of(changed) == (409, "PropertyChangeNotAllowed")
    aligned = put(place, "availabilitySets", "turning", {"sku": {"name": "Aligned"}})
    assert (aligned["sku"]["name"], aligned["properties"]["platformFaultDomainCount"]) == ("Aligned", 2)
    back = send(place, "PUT", "availabilitySets", "turning", {"sku": {"name": "Classic"}})
    assert error_of(back) == (409, "PropertyChangeNotAllowed")


def test_machine_and_its_sets_name_one_another(place: Place, arm: Arm, member: Json) -> None:
    kept = arm.get(compute(place.group, "availabilitySets", "kept"))
    near = arm.get(compute(place.group, "proximityPlacementGroups", "near"))
    assert member["properties"]["availabilitySet"]["id"].endswith("/availabilitySets/KEPT")
    usages = arm.get(f"providers/Microsoft.Compute/locations/{place.region}/usages")["value"]
    assert next(u for u in usages if u["name"]["value"] == "availabilitySets")["currentValue"] > 0
    assert [m["id"].lower() for m in kept["properties"]["virtualMachines"]] == [member["id"].lower()]
    assert near["properties"]["virtualMachines"] == [{"id": member["id"]}]
    assert near["properties"]["availabilitySets"] == [{"id": kept["id"]}]
    assert near["properties"]["virtualMachineScaleSets"] == []


@pytest.mark.parametrize(
    ("kind", "name"), [("availabilitySets", "kept"), ("proximityPlacementGroups", "near")]
)
def test_set_with_machines_is_not_deleted(place: Place, arm: Arm, member: Json, kind: str, name: str) -> None:
    del member
    answer = arm.send("DELETE", compute(place.group, kind, name))
    assert error_of(answer) == (409, "OperationNotAllowed")
    assert name in message_of(answer)


def test_machine_that_does_not_fit_its_set_is_refused(place: Place, arm: Arm) -> None:
    classic = {"id": put(place, "availabilitySets", "classic")["id"]}
    aligned = {"id": put(place, "availabilitySets", "aligned", {"sku": {"name": "Aligned"}})["id"]}
    elsewhere = put(place, "availabilitySets", "far", {"location": "westus", "sku": {"name": "Aligned"}})
    near = {"id": put(place, "proximityPlacementGroups", "alone")["id"]}
    missing = {"id": classic["id"] + "x"}
    cases: list[tuple[Json, Json, int, str]] = [
        ({"availabilitySet": classic}, {}, 409, "OperationNotAllowed"),
        ({"availabilitySet": aligned}, {"zones": ["1"]}, 400, "BadRequest"),
        ({"availabilitySet": aligned, "priority": "Spot"}, {}, 409, "OperationNotAllowed"),
        ({"availabilitySet": aligned, "proximityPlacementGroup": near}, {}, 409, "OperationNotAllowed"),
        ({"availabilitySet": {"id": elsewhere["id"]}}, {}, 400, "InvalidParameter"),
        ({"availabilitySet": missing}, {}, 404, "NotFound"),
        ({"proximityPlacementGroup": {"id": near["id"] + "x"}}, {}, 404, "NotFound"),
    ]
    for properties, extra, status, code in cases:
        body = place.body("misfit", DEBIAN, **properties)
        answer = arm.send("PUT", place.path("misfit"), {**body, **extra})
        assert error_of(answer) == (status, code), properties


def test_proximity_group_is_made_changed_and_deleted_at_once(place: Place, arm: Arm) -> None:
    made = send(place, "PUT", "proximityPlacementGroups", "ppg", intent={"vmSizes": ["Standard_DS1_v2"]})
    assert made.status_code == 201
    assert made.json()["properties"] == {
        "intent": {"vmSizes": ["Standard_DS1_v2"]},
        "proximityPlacementGroupType": "Standard",
    }
    path = compute(place.group, "proximityPlacementGroups", "ppg")
    assert arm.send("PATCH", path, {}).json() == made.json()
    assert "colocationStatus" not in arm.get(path)["properties"]
    told = arm.get(path, "&includeColocationStatus=true")["properties"]
    assert told["colocationStatus"]["code"] == "Aligned"
    refused = send(place, "PUT", "proximityPlacementGroups", "ppg", proximityPlacementGroupType="Ultra")
    assert error_of(refused) == (409, "PropertyChangeNotAllowed")
    assert [arm.send("DELETE", path).status_code for _unused in range(2)] == [200, 204]


@pytest.mark.parametrize(("wanted", "begins"), [(None, "ssh-rsa "), ("Ed25519", "ssh-ed25519 ")])
def test_private_key_is_told_once_and_never_logged(
    place: Place, arm: Arm, wanted: str | None, begins: str
) -> None:
    name = f"key-{wanted}"
    assert send(place, "PUT", "sshPublicKeys", name).status_code == 201
    path = compute(place.group, "sshPublicKeys", name)
    pair = arm.send("POST", f"{path}/generateKeyPair", {"encryptionType": wanted} if wanted else None)
    assert pair.status_code == 200
    private = pair.json()["privateKey"]
    load = load_ssh_private_key if wanted else load_pem_private_key
    assert load(private.encode(), None)
    assert pair.json()["publicKey"].startswith(begins)
    shown = arm.get(path)
    assert shown["properties"] == {"publicKey": pair.json()["publicKey"]}
    assert "type" not in shown
    assert error_of(arm.send("POST", f"{path}/generateKeyPair"))[0] == 409
    log = (arm.settings.state_dir / "exchanges.jsonl").read_text()
    assert private.splitlines()[1] not in log
    assert shown["properties"]["publicKey"] in log


def test_ssh_key_of_ones_own_is_looked_at(place: Place, arm: Arm) -> None:
    assert put(place, "sshPublicKeys", "own", publicKey=KEY)["properties"] == {"publicKey": KEY}
    for bad in ("none", "ssh-rsa AAAA", "ssh-dss " + KEY.split()[1]):
        answer = send(place, "PUT", "sshPublicKeys", "bad", publicKey=bad)
        assert error_of(answer) == (400, "InvalidParameter"), bad
    assert arm.send("DELETE", compute(place.group, "sshPublicKeys", "own")).status_code == 200


def test_identity_is_made_at_once_and_keeps_its_principal(place: Place, arm: Arm) -> None:
    path = identity_path(place, "mine")
    made = arm.send("PUT", path, {"location": place.region, "tags": {"a": "b"}}, version="2023-01-31")
    assert made.status_code == 201
    again = arm.send("PATCH", path, {"tags": {"c": "d"}}, version="2023-01-31")
    assert (again.status_code, again.json()["tags"]) == (200, {"c": "d"})
    assert again.json()["properties"] == made.json()["properties"]
    assert set(made.json()["properties"]) == {"tenantId", "principalId", "clientId"}
    assert "/resourcegroups/" in made.json()["id"]
    answers = [arm.send("DELETE", path, version="2023-01-31").status_code for _unused in range(2)]
    assert answers == [200, 204]


def identity_path(place: Place, name: str) -> str:
    return f"{place.group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{name}"


def identity(place: Place, name: str) -> Json:
    answer = place.arm.send(
        "PUT", identity_path(place, name), {"location": place.region}, version="2023-01-31"
    )
    return dict(answer.json())


def assigned(resource_id: str) -> Json:
    return {"identity": {"type": "UserAssigned", "userAssignedIdentities": {resource_id: {}}}}


def test_resources_show_the_principals_of_their_identities(place: Place, arm: Arm) -> None:
    mine = identity(place, "carried")
    shown = {key: mine["properties"][key] for key in ("principalId", "clientId")}
    machine = {**place.body("bearer", DEBIAN), **assigned(mine["id"])}
    encryption = {
        "location": place.region,
        "properties": {"activeKey": {"keyUrl": "https://v.vault.azure.net/keys/k/1"}},
        **assigned(mine["id"]),
    }
    gallery = {"location": place.region, **assigned(mine["id"])}
    bodies = (
        (place.path("bearer"), machine),
        (compute(place.group, "diskEncryptionSets", "bearer"), encryption),
        (compute(place.group, "galleries", "bearer"), gallery),
    )
    for path, body in bodies:
        made = arm.make(path, body)
        assert made["identity"]["userAssignedIdentities"] == {mine["id"]: shown}, path
    for path, body in ((place.path("bearer"), place.body("bearer2", DEBIAN)), *bodies[1:]):
        answer = arm.send("PUT", path + "2", {**body, **assigned(mine["id"] + "x")})
        assert error_of(answer) == (400, "FailedIdentityOperation"), path
        assert f"Resource '{mine['id']}x' was not found" in message_of(answer)


def test_disk_is_reached_through_a_disk_access(place: Place, arm: Arm) -> None:
    path = compute(place.group, "diskAccesses", "access")
    accepted = arm.send("PUT", path, {"location": place.region}, version="2024-03-02")
    assert accepted.status_code == 202
    assert arm.done(accepted)["properties"]["output"]["name"] == "access"
    access = arm.send("GET", path, version="2024-03-02").json()
    assert set(access["properties"]) == {"provisioningState", "timeCreated"}
    for view, count in (("privateEndpointConnections", 0), ("privateLinkResources", 1)):
        assert len(arm.send("GET", f"{path}/{view}", version="2024-03-02").json()["value"]) == count
    private = {"networkAccessPolicy": "AllowPrivate", "diskAccessId": access["id"]}
    disk = arm.disk(place.group, "private", place.region, **private)
    assert disk["properties"]["diskAccessId"] == access["id"]
    missing = {**private, "diskAccessId": access["id"] + "x"}
    refused = send(
        place, "PUT", "disks", "none", creationData={"createOption": "Empty"}, diskSizeGB=1, **missing
    )
    assert error_of(refused) == (404, "NotFound")
    assert error_of(arm.send("DELETE", path, version="2024-03-02")) == (409, "OperationNotAllowed")
    assert arm.send("PATCH", path, {"tags": {"a": "b"}}, version="2024-03-02").status_code == 202
    open_again = {"properties": {"networkAccessPolicy": "AllowAll"}}
    arm.done(arm.send("PATCH", compute(place.group, "disks", "private"), open_again))
    arm.done(arm.send("DELETE", path, version="2024-03-02"))
    assert arm.send("DELETE", path, version="2024-03-02").status_code == 204


def test_extensions_are_looked_through_by_publisher_type_and_version(arm: Arm) -> None:
    base = "providers/Microsoft.Compute/locations/westeurope/publishers"
    types = f"{base}/microsoft.compute/artifacttypes/vmextension/types"
    publishers = {entry["name"] for entry in arm.send("GET", base).json()}
    assert {"Canonical", "Microsoft.Azure.Extensions"} <= publishers
    assert arm.send("GET", f"{base}/Microsoft.Compute/artifacttypes/vmimage/offers").json() == []
    listed = arm.send("GET", types).json()
    assert {"BGInfo", "VMAccessAgent"} <= {entry["name"] for entry in listed}
    assert listed[0]["id"].endswith("/ArtifactTypes/VMExtension/Types/BGInfo")
    versions = arm.send("GET", f"{types}/vmaccessagent/versions").json()
    one = arm.send("GET", f"{types}/VMAccessAgent/versions/{versions[1]['name']}").json()
    assert {k: one[k] for k in versions[1]} == versions[1]
    assert one["properties"]["operatingSystem"] == "Windows"
    assert arm.send("GET", f"{base}/Canonical/artifacttypes/vmextension/types").json() == []
    for missing in (f"{types}/none/versions", f"{types}/BGInfo/versions/9.9", f"{types}/BGInfo"):
        assert error_of(arm.send("GET", missing)) == (404, "NotFound"), missing


def test_namespace_of_azure_that_is_not_offered_is_not_registered(place: Place, arm: Arm) -> None:
    path = f"{place.group}/providers/microsoft.devtestlab/schedules/off"
    answer = arm.send("PUT", path, {"location": place.region}, version="2018-09-15")
    assert error_of(answer) == (409, "MissingSubscriptionRegistration")
    error = answer.json()["error"]
    assert "'Microsoft.DevTestLab'" in error["message"]
    shown = {"code": error["code"], "target": "Microsoft.DevTestLab", "message": error["message"]}
    assert error["details"] == [shown]
