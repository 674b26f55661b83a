# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""gallery_image and gallery_image_info: definitions made by hand and of every kind of source."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import InvalidInput, NotFound
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession

from tests.integration import captures
from tests.integration.blobs import page_blob
from tests.integration.captures import GALLERIES, machine
from tests.integration.cloud import LocalAzure
from tests.integration.faults import faults, rule
from tests.integration.galleries import definition, refused, thrice
from tests.integration.machines import golden_image
from tests.integration.plays import Player

ROCKY = "resf:rockylinux-x86_64:9-base:latest"


@pytest.fixture(scope="module", autouse=True)
def golden(azure: LocalAzure, group: str) -> str:
    """Id of the gallery of these tests."""
    made = azure.id(group, GALLERIES, "golden")
    azure.put(made, {"location": "eastus", "properties": {}})
    return made


def wanted(group: str, name: str, **more: Any) -> dict[str, Any]:
    return {"resource_group": group, "gallery": "golden", "name": name, **more}


def test_a_definition_is_foreseen_made_once_found_and_deleted(
    azure: LocalAzure, play: Player, group: str, golden: str
) -> None:
    args = wanted(
        group,
        "web",
        os_type="Linux",
        hyper_v_generation="V2",
        security_type="TrustedLaunchSupported",
        disk_controllers=["SCSI", "NVMe"],
        end_of_life="2090-01-31",
        recommended={"vcpus": {"min": 2}, "memory": {"min": 4, "max": 64}},
        disallowed_disk_types=["Standard_LRS"],
        tags={"team": "a"},
    )
    module = "goldenimage.azure.gallery_image"
    tasks: list[dict[str, Any]] = [
        {"name": "foresee", module: args, "check_mode": True},
        {"name": "make", module: args},
        {"name": "repeat", module: args},
        {"name": "look", f"{module}_info": {"resource_group": group, "gallery": "golden"}},
        {"name": "delete", module: wanted(group, "web", state="absent")},
    ]
    made_id = f"{golden}/images/web"
    mark = azure.mark()
    done = play(tasks, diff=True).succeeded().tasks
    assert azure.writes(mark) == [f"PUT {made_id}", f"DELETE {made_id}"]
    for result in (done["foresee"], done["make"]):
        assert result["actions"] == [f"Created image definition {made_id}"]
        made = result["definition"]
        assert (made["publisher"], made["offer"], made["sku"]) == ("golden", "web", "v2-x64")
        assert (made["os_state"], made["architecture"]) == ("Generalized", "x64")
        assert made["disk_controllers"] == ["SCSI", "NVMe"]
        assert made["recommended"] == {"vcpus": {"min": 2, "max": None}, "memory": {"min": 4, "max": 64}}
        assert result["diff"]["after"]["security_type"] == "TrustedLaunchSupported"
    assert not done["repeat"].changed
    assert done["look"]["definitions"] == [done["make"]["definition"]]
    assert done["delete"]["definition"] is None
    assert azure.get(made_id) is None


def test_a_definition_of_a_machine_is_as_the_machine(
    azure: LocalAzure, session: AzureSession, group: str
) -> None:
    machine(
        azure,
        group,
        "trusted",
        luns=(),
        system={
            "hyperVGeneration": "V2",
            "securityProfile": {"securityType": "TrustedLaunch"},
            "supportedCapabilities": {"architecture": "x64", "diskControllerTypes": "SCSI, NVMe"},
        },
        securityProfile={
            "securityType": "TrustedLaunch",
            "uefiSettings": {"secureBootEnabled": True, "vTpmEnabled": True},
        },
    )
    options = wanted(group, "trusted", source={"virtual_machine": "trusted"})
    done, _writes = thrice(azure, definition, session, options)
    made = done.after
    assert (made["os_type"], made["os_state"], made["hyper_v_generation"]) == ("Linux", "Generalized", "V2")
    assert made["security_type"] == "TrustedLaunch"
    said = "hyper_v_generation: V1 was asked for, but trusted has V2."
    refused(azure, definition, session, {**options, "name": "other", "hyper_v_generation": "V1"}, said)


def test_a_definition_of_a_marketplace_image_has_its_plan_and_features(
    azure: LocalAzure, session: AzureSession, group: str
) -> None:
    done, _writes = thrice(azure, definition, session, wanted(group, "rocky", source=ROCKY))
    assert done.after["plan"] == {"publisher": "resf", "product": "rockylinux-x86_64", "name": "9-base"}
    assert done.after["hyper_v_generation"] == "V2"
    # A definition of that definition's kind of images.
    found = azure.get(azure.id(group, GALLERIES, "golden/images/rocky"))
    assert found["properties"]["purchasePlan"]["name"] == "9-base"
    assert {each["name"] for each in found["properties"].get("features", [])} >= {"SecurityType"}


def test_a_definition_of_a_disk_a_snapshot_an_image_and_a_version(
    azure: LocalAzure, session: AzureSession, group: str
) -> None:
    arm = {"architecture": "Arm64", "diskControllerTypes": "SCSI, NVMe"}
    disk = azure.disk(group, "arm", osType="Linux", hyperVGeneration="V2", supportedCapabilities=arm)
    done, _writes = thrice(azure, definition, session, wanted(group, "arm", source=disk))
    assert (done.after["architecture"], done.after["disk_controllers"]) == ("Arm64", ["SCSI", "NVMe"])
    assert done.after["sku"] == "v2-arm64"
    snapshot = azure.id(group, "Microsoft.Compute/snapshots", "arm")
    creation = {"creationData": {"createOption": "Copy", "sourceResourceId": disk}}
    azure.put(snapshot, {"location": "eastus", "properties": creation})
    same, _writes = thrice(azure, definition, session, wanted(group, "arm2", source={"snapshot": "arm"}))
    assert same.after["architecture"] == "Arm64"
    image = golden_image(azure, group)
    of_image, _writes = thrice(azure, definition, session, wanted(group, "old", source="golden"))
    assert (of_image.after["hyper_v_generation"], of_image.after["disk_controllers"]) == ("V1", None)
    parent = captures.definition(
        azure, group, "parent", features=[{"name": "IsHibernateSupported", "value": "True"}]
    )
    body = {"publishingProfile": {"replicationMode": "Shallow"}, "storageProfile": {"source": {"id": image}}}
    azure.put(f"{parent}/versions/1.0.0", {"location": "eastus", "properties": body})
    heir, _writes = thrice(azure, definition, session, wanted(group, "heir", source="golden/parent"))
    assert heir.after["hibernation"] is True


def test_what_the_source_does_not_tell_has_to_be_said(
    azure: LocalAzure, session: AzureSession, group: str
) -> None:
    blob = page_blob(azure, group, "vhds", "web.vhd", mebibytes=20)
    options = wanted(group, "blob", source=blob)
    told = refused(
        azure, definition, session, options, "os_type: nothing tells", "hyper_v_generation: web.vhd"
    )
    assert [each["id"] for each in told.as_result()["findings"]] == ["os-type-unknown", "generation-unknown"]
    made, _writes = thrice(
        azure, definition, session, {**options, "os_type": "Windows", "hyper_v_generation": "V2"}
    )
    assert made.after["os_type"] == "Windows"


def test_a_definition_is_changed_where_azure_changes_it_and_refused_where_it_never_does(
    azure: LocalAzure, session: AzureSession, group: str, golden: str
) -> None:
    base = wanted(group, "changed", os_type="Linux", hyper_v_generation="V2")
    made, _writes = thrice(azure, definition, session, base)
    more = {**base, "description": "ours", "end_of_life": "2090-01-31", "tags": {"a": "b"}}
    changed, writes = thrice(azure, definition, session, more)
    assert writes == [f"PATCH {golden}/images/changed"]
    assert changed.actions == [
        f"Changed tags, description, end_of_life of image definition {golden}/images/changed"
    ]
    assert changed.before == made.after
    never = {
        **base,
        "os_type": "Windows",
        "sku": "other",
        "location": "westus",
        "plan": {"publisher": "p", "product": "q", "name": "r"},
        "disk_controllers": ["SCSI", "NVMe"],
    }
    told = refused(
        azure,
        definition,
        session,
        never,
        "for 5 reasons",
        "its os_type is Linux, not Windows",
        "its sku is v2-x64, not other",
        "its location is eastus, not westus",
        "its plan is none, not p:q:r",
        "its feature DiskControllerTypes is None, not SCSI, NVMe",
    )
    assert {each["id"] for each in told.as_result()["findings"]} == {"cannot-change"}
    allowed = {**base, "disk_controllers": ["SCSI", "NVMe"], "allow_update_image": True}
    done, _writes = thrice(azure, definition, session, allowed)
    assert done.after["disk_controllers"] == ["SCSI", "NVMe"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"name": "-a"}, "name: '-a' is no name Azure accepts for an image definition"),
        ({"gallery": "missing"}, "gallery: there is no gallery missing in resource group"),
        ({"gallery": "golden", "resource_group": None}, "gallery: nothing says in which resource group"),
        ({"sku": "ends."}, "sku: 'ends.' is none that Azure accepts"),
        ({"end_of_life": "2001-01-01"}, "end_of_life: 2001-01-01 is in the past"),
        ({"recommended": {"vcpus": {"min": 4, "max": 2}}}, "recommended.vcpus: min 4 is more than max 2"),
        (
            {"hyper_v_generation": "V1", "security_type": "TrustedLaunch"},
            "security_type: machines of generation V1",
        ),
        ({"hyper_v_generation": "V1", "architecture": "Arm64"}, "architecture: there are no Arm64 machines"),
    ],
)
def test_what_cannot_be_is_refused_before_any_write(
    azure: LocalAzure, session: AzureSession, group: str, options: dict[str, Any], said: str
) -> None:
    refused(azure, definition, session, {**wanted(group, "refused", os_type="Linux"), **options}, said)


def test_a_source_that_is_missing_is_needed_for_a_new_definition_only(
    azure: LocalAzure, session: AzureSession, group: str
) -> None:
    options = wanted(
        group, "orphan", source={"managed_disk": "gone"}, os_type="Linux", hyper_v_generation="V2"
    )
    mark = azure.mark()
    with pytest.raises(NotFound, match="there is no managed disk gone"):
        definition(session, options)
    assert azure.writes(mark) == []
    definition(session, {name: value for name, value in options.items() if name != "source"})
    assert not definition(session, options).changed


def test_a_definition_with_versions_stays_and_goes_a_while_after_them(
    azure: LocalAzure, session: AzureSession, group: str
) -> None:
    made = captures.definition(azure, group, "full")
    source = {"source": {"id": azure.disk(group, "full-os")}}
    body = {"publishingProfile": {"replicationMode": "Shallow"}, "storageProfile": {"osDiskImage": source}}
    azure.put(f"{made}/versions/1.0.0", {"location": "eastus", "properties": body})
    options = wanted(group, "full", state="absent")
    refused(azure, definition, session, options, "is not empty, it has the versions 1.0.0")
    azure.do("DELETE", f"{made}/versions/1.0.0")
    match = {"method": "DELETE", "path": "**/images/full", "nth": 1}
    with faults(
        azure, rule("busy", match, "error", status=409, code="CannotDeleteResource", message="Busy.")
    ) as hits:
        assert definition(session, options).changed
    assert hits["busy"] == 1
    assert azure.get(made) is None
    with pytest.raises(InvalidInput):
        definition(session, {**options, "gallery": "g-"})
