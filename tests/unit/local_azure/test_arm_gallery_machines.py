# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Image versions of virtual machines, virtual machines of image versions, and replication that fails."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from tests.unit.local_azure.arm_server import Arm, Json, compute, error_of
from tests.unit.local_azure.galleries import (
    machine_from,
    make_definition,
    make_gallery,
    make_version,
    version_body,
)

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def group(arm: Arm) -> str:
    return arm.group()


@pytest.fixture(scope="module")
def subnet(arm: Arm, group: str) -> str:
    return arm.subnet(group)


@pytest.fixture(scope="module")
def gallery(arm: Arm, group: str) -> str:
    return make_gallery(arm, group)


@pytest.fixture(scope="module")
def image(arm: Arm, group: str) -> Json:
    return arm.image(group, "image", arm.disk(group, "os"), arm.disk(group, "data"), caching="ReadWrite")


def machine_of(arm: Arm, group: str, reference: Json, subnet: str) -> Json:
    name = f"machine{next(_numbers)}"
    arm.done(machine_from(arm, group, name, reference, subnet))
    return arm.get(compute(group, "virtualMachines", name))


def generalized(arm: Arm, machine: Json) -> Json:
    arm.done(arm.send("POST", machine["id"] + "/deallocate"))
    assert arm.send("POST", machine["id"] + "/generalize").status_code == 200
    return machine


def of_machine(machine: Json) -> Json:
    return {"source": {"virtualMachineId": machine["id"]}}


def test_a_machine_and_a_version_are_made_of_each_other(
    arm: Arm, group: str, gallery: str, image: Json, subnet: str
) -> None:
    machine = generalized(arm, machine_of(arm, group, {"id": image["id"]}, subnet))
    definition = make_definition(arm, gallery)
    version = make_version(arm, definition, "1.0.0", of_machine(machine), "westus")
    assert version["properties"]["storageProfile"] == {
        "source": {"virtualMachineId": machine["id"]},
        "osDiskImage": {"sizeInGB": 1, "hostCaching": "ReadWrite", "source": {}},
        "dataDiskImages": [{"lun": 3, "sizeInGB": 1, "hostCaching": "None"}],
    }
    older = arm.send("GET", version["id"], version="2022-03-03").json()["properties"]["storageProfile"]
    assert older["source"] == {"id": machine["id"]}
    child = machine_of(arm, group, {"id": arm.get(definition)["id"]}, subnet)
    profile = child["properties"]["storageProfile"]
    assert profile["imageReference"] == {"id": arm.get(definition)["id"], "exactVersion": "1.0.0"}
    assert [d["lun"] for d in profile["dataDisks"]] == [3]


def test_a_specialized_definition_takes_a_running_machine_as_it_is(
    arm: Arm, group: str, gallery: str, image: Json, subnet: str
) -> None:
    machine = machine_of(arm, group, {"id": image["id"]}, subnet)
    definition = make_definition(arm, gallery, osState="Specialized")
    version = make_version(arm, definition, "1.0.0", of_machine(machine), "westus")
    refused = machine_from(arm, group, "named", {"id": version["id"]}, subnet)
    assert error_of(refused) == (400, "InvalidParameter")
    assert "osProfile" in refused.json()["error"]["message"]


def test_the_state_of_a_machine_has_to_be_that_of_the_definition(
    arm: Arm, group: str, gallery: str, image: Json, subnet: str
) -> None:
    machine = machine_of(arm, group, {"id": image["id"]}, subnet)
    definition = make_definition(arm, gallery)
    answer = arm.send("PUT", f"{definition}/versions/1.0.0", version_body(of_machine(machine), "westus"))
    assert error_of(answer) == (400, "BadRequest")
    assert answer.json()["error"]["message"] == (
        f"The resource with id '{machine['id']}' has a different OS state ['Specialized'] than the parent "
        "gallery image OS state ['Generalized']."
    )


def test_definitions_for_either_security_type_take_no_machine(
    arm: Arm, group: str, gallery: str, image: Json, subnet: str
) -> None:
    machine = generalized(arm, machine_of(arm, group, {"id": image["id"]}, subnet))
    features = [{"name": "SecurityType", "value": "TrustedLaunchSupported"}]
    definition = make_definition(arm, gallery, features=features)
    answer = arm.send("PUT", f"{definition}/versions/1.0.0", version_body(of_machine(machine), "westus"))
    assert error_of(answer) == (400, "InvalidParameter")
    assert answer.json()["error"]["message"] == (
        f"The security type 'TrustedLaunchSupported' is not supported for the source id '{machine['id']}'. "
        "Currently only Vhd Blob, User Image and Gallery Image Version sources are supported for "
        "'TrustedLaunchSupported' images."
    )
    make_version(arm, definition, "1.0.1", image, "westus")


@pytest.fixture
def europe_fails(arm: Arm) -> Iterator[None]:
    """Replication to northeurope fails once."""
    key = (arm.settings.state_dir / "control-key").read_text(encoding="utf-8").strip()
    headers = {"x-local-azure-control-key": key}
    url = f"{arm.settings.url}/local-azure/faults"
    rule = {
        "match": {"service": "arm", "method": "PUT", "path": "/**/versions/*", "times": 1},
        "effect": {"kind": "fail_replication", "region": "North Europe"},
    }
    answer = arm.http.post(url, json={"rules": [rule]}, headers=headers, timeout=30)
    assert answer.status_code == 200, answer.text
    yield
    arm.http.delete(url, headers=headers, timeout=30)


@pytest.mark.usefixtures("europe_fails")
def test_a_region_that_fails_leaves_the_others_and_can_be_tried_again(
    arm: Arm, gallery: str, image: Json
) -> None:
    definition = make_definition(arm, gallery)
    path = f"{definition}/versions/1.0.0"
    error = arm.finish(arm.send("PUT", path, version_body(image, "westus", "northeurope")))["error"]
    assert "'{region:northeurope, detail:Failed with internal server error.}'" in error["message"]
    properties = arm.get(path, query="&$expand=ReplicationStatus")["properties"]
    assert properties["provisioningState"] == "Failed"
    status = properties["replicationStatus"]
    assert status["aggregatedState"] == "Failed"
    assert [s["state"] for s in status["summary"]] == ["Completed", "Failed"]
    assert status["summary"][1]["details"] == "Failed with internal server error."
    arm.done(arm.send("PUT", path, version_body(image, "westus", "northeurope")))
    properties = arm.get(path, query="&$expand=ReplicationStatus")["properties"]
    assert properties["provisioningState"] == "Succeeded"
    assert properties["replicationStatus"]["aggregatedState"] == "Completed"
