# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What vm_capture refuses: all reasons together, each with what to do, and before any write."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.operations import Waiter
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import (
    AzureSession,
    open_session,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._capture.job import capture
from ansible_collections.goldenimage.azure.plugins.module_utils._capture.request import CaptureRequest
from ansible_collections.goldenimage.azure.plugins.module_utils._image.findings import Refused

from tests.integration.captures import (
    captured,
    definition,
    ids,
    image,
    machine,
    refused,
    version,
)
from tests.integration.cloud import LocalAzure
from tests.integration.machines import COMPUTE
from tests.integration.plays import Player

IMAGES = f"{COMPUTE}/images"
TRUSTED = {"securityProfile": {"securityType": "TrustedLaunch"}}
LAUNCHED: dict[str, Any] = {
    "system": {"hyperVGeneration": "V2", **TRUSTED},
    "securityProfile": {
        "securityType": "TrustedLaunch",
        "uefiSettings": {"secureBootEnabled": True, "vTpmEnabled": True},
    },
}


@pytest.fixture(scope="module")
def plain(azure: LocalAzure, group: str) -> str:
    """Name of a machine that could be captured."""
    machine(azure, group, "plain")
    definition(azure, group, "plain")
    return "plain"


def test_all_reasons_are_told_together(azure: LocalAzure, play: Player, group: str) -> None:
    machine(azure, group, "many", power="running", marked=False, **LAUNCHED)
    options = {
        "resource_group": group,
        "source_vm": "many",
        "data_disks": [1],
        "targets": [image("many"), version("absent")],
    }
    mark = azure.mark()
    failed = play.module("vm_capture", options).failed_with("Refused to capture", "for 5 reasons", "(5)")
    assert azure.writes(mark) == []
    assert [finding["id"] for finding in failed["failure"]["findings"]] == [
        "vm-running",
        "lun-missing",
        "security-type-managed-image",
        "definition-missing",
        "not-generalized",
    ]


def test_a_missing_machine_or_group_is_refused(azure: LocalAzure, session: AzureSession, group: str) -> None:
    assert ids(refused(azure, session, group, "missing", image("missing"))) == ["vm-missing"]
    found = refused(azure, session, group, "missing", version("absent"))
    assert ids(found) == ["vm-missing", "definition-missing"]


def test_a_missing_group_of_the_target_is_refused(
    azure: LocalAzure, session: AzureSession, group: str, plain: str
) -> None:
    found = refused(azure, session, group, plain, image("there", resource_group="rg-missing"))
    assert ids(found) == ["resource-group-missing"]


def test_a_running_machine_is_not_stopped_without_leave(
    azure: LocalAzure, session: AzureSession, group: str
) -> None:
    machine(azure, group, "running", power="running")
    found = refused(azure, session, group, "running", image("running"), assume_generalized=True)
    assert ids(found) == ["vm-running"]
    assert "stop to true" in found[0][2]


def test_a_part_of_a_running_machine_is_not_captured(
    azure: LocalAzure, session: AzureSession, group: str
) -> None:
    definition(azure, group, "special-part", osState="Specialized")
    machine(azure, group, "running-part", power="running")
    target = version("special-part")
    options: dict[str, Any] = {"os_state": "specialized", "allow_running": True, "kind": "os_image"}
    assert ids(refused(azure, session, group, "running-part", target, **options)) == ["vm-running"]


def _attached(change: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, Any]], None]:
    return lambda machine: change(machine["properties"]["storageProfile"])


def _disk(sku: str = "", **properties: Any) -> Callable[[dict[str, Any]], None]:
    def change(disk: dict[str, Any]) -> None:
        if disk["name"].endswith("-5"):
            disk["properties"].update(properties)
            disk["sku"]["name"] = sku or disk["sku"]["name"]

    return change


def _unchanged(_read: dict[str, Any]) -> None:
    """Leave it as Azure has it."""


MARKETPLACE = {"publisher": "p", "product": "o", "name": "s"}
SEEN = [
    ("shared", _unchanged, _disk(maxShares=2), "shared-disk", "LUN 5"),
    ("ultra", _unchanged, _disk("UltraSSD_LRS"), "unsupported-disk", "an Ultra disk"),
    ("premium v2", _unchanged, _disk("PremiumV2_LRS"), "unsupported-disk", "Premium SSD v2"),
    ("ade", _unchanged, _disk(encryptionSettingsCollection={"enabled": True}), "encrypted-disk", "LUN 5"),
    ("hydrated", _unchanged, _disk(completionPercent=40.0), "disk-busy", "40 percent"),
    ("uploaded", _unchanged, _disk(diskState="ActiveUpload"), "disk-busy", "ActiveUpload"),
    (
        "ephemeral",
        _attached(lambda storage: storage["osDisk"].update(diffDiskSettings={"option": "Local"})),
        _unchanged,
        "ephemeral-os-disk",
        "ephemeral operating system disk",
    ),
    (
        "unmanaged",
        _attached(lambda storage: storage["dataDisks"][0].pop("managedDisk")),
        _unchanged,
        "unmanaged-disk",
        "LUN 0",
    ),
    (
        "nvme",
        _attached(lambda storage: storage.update(diskControllerType="NVMe")),
        _unchanged,
        "controller-mismatch",
        "NVMe controller, definition plain is for SCSI",
    ),
    ("plan", lambda machine: machine.update(plan=MARKETPLACE), _unchanged, "plan-lost", "plan p:o:s"),
    (
        "arm",
        _unchanged,
        lambda disk: disk["properties"].update(supportedCapabilities={"architecture": "Arm64"}),
        "architecture-mismatch",
        "Arm64",
    ),
    ("large", _unchanged, _disk(diskSizeGB=4096), "disk-too-large", "4096 GiB"),
]


@pytest.mark.parametrize(
    ("machine_seen", "disk_seen", "finding", "said"), [row[1:] for row in SEEN], ids=[row[0] for row in SEEN]
)
def test_what_the_machine_or_a_disk_is_refused_for(  # noqa: PLR0917 - two things seen, two expected
    azure: LocalAzure,
    session: AzureSession,
    group: str,
    plain: str,
    monkeypatch: pytest.MonkeyPatch,
    machine_seen: Callable[[dict[str, Any]], None],
    disk_seen: Callable[[dict[str, Any]], None],
    finding: str,
    said: str,
) -> None:
    for collection, change in (("virtual_machines", machine_seen), ("disks", disk_seen)):
        resources = getattr(session.compute, collection)
        monkeypatch.setattr(resources, "get", seen_through(resources.get, change))
    found = refused(azure, session, group, plain, version("plain", replication_mode="Full"))
    assert finding in ids(found)
    assert said in " ".join(what for each, what, _remedy in found if each == finding)


def test_a_managed_image_of_a_machine_with_a_plan_is_made_with_a_warning(
    session: AzureSession, group: str, plain: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    machines = session.compute.virtual_machines
    bought = seen_through(machines.get, lambda seen: seen.update(plan=MARKETPLACE))
    monkeypatch.setattr(machines, "get", bought)
    done = captured(session, group, plain, image("bought"), check=True)
    assert done.targets[0]["tags"]["goldenimage_plan"] == "p:o:s"
    assert "need the plan p:o:s" in done.warnings[0]


def seen_through(
    get: Callable[..., dict[str, Any] | None], change: Callable[[dict[str, Any]], None]
) -> Callable[..., dict[str, Any] | None]:
    """Reads as `get` does, what came changed: machines that the local Azure would not make so."""

    def read(*names: str, **query: Any) -> dict[str, Any] | None:
        found = get(*names, **query)
        if found is not None:
            change(found)
        return found

    return read


def test_a_disk_that_somebody_reads_or_writes_is_refused(
    azure: LocalAzure, session: AzureSession, group: str
) -> None:
    machine(azure, group, "granted", luns=(0,), power="deallocated")
    disk = azure.id(group, f"{COMPUTE}/disks", "granted-0")
    azure.do("POST", f"{disk}/beginGetAccess", {"access": "Read", "durationInSeconds": 600})
    found = refused(azure, session, group, "granted", image("granted"))
    assert ids(found) == ["disk-busy"]
    assert "ActiveSAS" in found[0][1]


def test_what_differs_from_the_definition_is_told_property_by_property(
    azure: LocalAzure, session: AzureSession, group: str, plain: str
) -> None:
    other = {"osState": "Specialized", "osType": "Windows", "hyperVGeneration": "V2", "architecture": "Arm64"}
    definition(azure, group, "other", **other)
    found = refused(azure, session, group, plain, version("other"))
    expected = ["os-state-mismatch", "os-type-mismatch", "generation-mismatch", "architecture-mismatch"]
    assert set(ids(found)) >= {*expected[:3]}
    assert "plain has generation V1, definition other is for V2." in [what for _id, what, _remedy in found]


@pytest.mark.parametrize("security", ["TrustedLaunchSupported", "TrustedLaunch"])
def test_another_security_type_than_the_definition_s_is_refused(
    azure: LocalAzure, session: AzureSession, group: str, plain: str, security: str
) -> None:
    name = f"secure-{security}"
    features = [{"name": "SecurityType", "value": security}]
    definition(azure, group, name, hyperVGeneration="V2", features=features)
    found = refused(azure, session, group, plain, version(name))
    assert ids(found) == ["generation-mismatch", "security-type-mismatch"]


def test_trusted_launch_is_captured_to_a_definition_for_it_and_to_nothing_else(
    azure: LocalAzure, session: AzureSession, group: str
) -> None:
    machine(azure, group, "launched", **LAUNCHED)
    definition(azure, group, "no-launch", hyperVGeneration="V2")
    features = [{"name": "SecurityType", "value": "TrustedLaunch"}]
    definition(azure, group, "launch", hyperVGeneration="V2", features=features)
    found = refused(azure, session, group, "launched", image("launched"), version("no-launch"))
    assert ids(found) == ["security-type-managed-image", "security-type-mismatch"]
    assert captured(session, group, "launched", version("launch")).changed


def test_a_plan_that_the_machine_does_not_have_is_refused(
    azure: LocalAzure, session: AzureSession, group: str, plain: str
) -> None:
    definition(azure, group, "with-plan", purchasePlan=MARKETPLACE)
    assert ids(refused(azure, session, group, plain, version("with-plan"))) == ["plan-mismatch"]


def test_a_name_that_another_source_has_taken_is_refused(
    azure: LocalAzure, session: AzureSession, group: str, plain: str
) -> None:
    machine(azure, group, "first", luns=())
    definition(azure, group, "taken")
    captured(session, group, "first", image("taken"), version("taken"))
    found = refused(azure, session, group, plain, image("taken"), version("taken"))
    assert ids(found) == ["name-taken", "name-taken"]
    assert "virtualMachines/first" in found[0][1]


@pytest.mark.parametrize("level", ["ReadOnly", "CanNotDelete"])
def test_a_lock_in_the_way_is_named(azure: LocalAzure, session: AzureSession, level: str) -> None:
    group = azure.group(f"rg-locked-{level.lower()}")
    vm = machine(azure, group, "locked", luns=())
    lock = f"{vm}/providers/Microsoft.Authorization/locks/keep"
    answer = azure.request("PUT", lock, {"properties": {"level": level}})
    assert answer.status < 300, answer
    try:
        if level == "ReadOnly":
            found = refused(azure, session, group, "locked", image("locked"))
            assert ids(found) == ["locked"]
            assert "keep (ReadOnly)" in found[0][1]
        else:
            assert captured(session, group, "locked", image("locked")).changed
    finally:
        azure.request("DELETE", lock)


def test_missing_rights_are_named_with_their_scope(azure: LocalAzure, group: str, plain: str) -> None:
    environ = {
        **azure.env,
        "AZURE_CLIENT_ID": azure.env["LOCAL_AZURE_READER_CLIENT_ID"],
        "AZURE_SECRET": azure.env["LOCAL_AZURE_READER_SECRET"],
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REQUESTS_CA_BUNDLE", azure.env["REQUESTS_CA_BUNDLE"])
        with open_session({}, environ) as reader:
            found = refused(azure, reader, group, plain, image("righteous"), version("plain"))
    assert set(ids(found)) == {"missing-right"}
    said = " ".join(what for _id, what, _remedy in found)
    for action in ("images/write", "galleries/images/versions/write", "virtualMachines/generalize/action"):
        assert f"Microsoft.Compute/{action}" in said


def test_regions_and_zones_that_there_are_not_are_refused(
    azure: LocalAzure, session: AzureSession, group: str, plain: str
) -> None:
    found = refused(azure, session, group, plain, version("plain", regions=[{"name": "westus"}]))
    assert ids(found) == ["region-mismatch"]
    regions = [
        {"name": "eastus"},
        {"name": "atlantis"},
        {"name": "westus", "storage_account_type": "Standard_ZRS"},
    ]
    found = refused(azure, session, group, plain, version("plain", regions=regions))
    assert ids(found) == ["region-unknown", "no-zones"]
    assert "atlantis" in found[0][1]
    assert "westus" in found[1][1]


def test_a_specialized_managed_image_is_refused(
    azure: LocalAzure, session: AzureSession, group: str, plain: str
) -> None:
    found = refused(azure, session, group, plain, image("special"), os_state="specialized")
    assert ids(found) == ["specialized-managed-image"]


def test_a_machine_that_is_marked_generalized_is_not_captured_specialized(
    azure: LocalAzure, session: AzureSession, group: str
) -> None:
    vm = machine(azure, group, "flagged", luns=())
    azure.do("POST", f"{vm}/generalize")
    definition(azure, group, "flagged", osState="Specialized")
    found = refused(azure, session, group, "flagged", version("flagged"), os_state="specialized")
    assert ids(found) == ["vm-generalized"]


def test_a_managed_image_for_several_zones_needs_a_region_with_zones(
    azure: LocalAzure, session: AzureSession, group: str, plain: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = session.arm.list

    def without_zones(path: str, *rest: Any, **query: str) -> list[dict[str, Any]]:
        found = listed(path, *rest, **query)
        if path.endswith("/locations"):
            return [{name: place[name] for name in place if "Zone" not in name} for place in found]
        return found

    monkeypatch.setattr(session.arm, "list", without_zones)
    found = refused(azure, session, group, plain, image("zones", zone_resilient=True))
    assert ids(found) == ["no-zones"]


def test_a_machine_that_another_operation_changes_or_that_lost_a_disk_is_refused(
    azure: LocalAzure, session: AzureSession, group: str, plain: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    machines, disks = session.compute.virtual_machines, session.compute.disks
    busy = seen_through(machines.get, lambda seen: seen["properties"].update(provisioningState="Updating"))
    with monkeypatch.context() as patch:
        patch.setattr(machines, "get", busy)
        mark = azure.mark()
        given = {"source_vm": plain, "resource_group": group, "targets": [image("busy")]}
        request = CaptureRequest.from_options(given, session.subscription_id)
        with pytest.raises(Refused, match="another operation is changing plain"):
            capture(session, request, check_mode=False, waiter=Waiter(wait=False))
        assert azure.writes(mark) == []
    get = disks.get
    monkeypatch.setattr(disks, "get", lambda *names: None if names[1].endswith("-5") else get(*names))
    found = refused(azure, session, group, plain, image("lost"))
    assert ids(found) == ["disk-missing"]
    assert "LUN 5" in found[0][1]
