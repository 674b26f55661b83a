# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""The request for a machine: what is sent, what is compared, what is switched, what goes with it."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import AzureError, InvalidInput
from ansible_collections.goldenimage.azure.plugins.module_utils._image.vm_body import (
    Connection,
    Decided,
    vm_body,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.vm_creation import provisioning_failed
from ansible_collections.goldenimage.azure.plugins.module_utils._image.vm_image import (
    VmImage,
    image_reference,
    same_image,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.vm_power import power_plan
from ansible_collections.goldenimage.azure.plugins.module_utils._image.vm_request import VmRequest
from ansible_collections.goldenimage.azure.plugins.module_utils._image.vm_state import VmState, read_state

SUBSCRIPTION = "11111111-2222-3333-4444-555555555555"
COMPUTE = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.Compute"
MANAGED = {"id": f"{COMPUTE}/images/web"}
VERSION = f"{COMPUTE}/galleries/g/images/web/versions/1.0.0"
LINUX = Decided("eastus", "Linux", "web-1", True)
SUBNET = Connection("/subnet", "/nsg")


def request(**options: Any) -> VmRequest:
    return VmRequest.from_options({"resource_group": "rg", "name": "web-1", **options})


def body(asked: VmRequest, image: VmImage | None = None, decided: Decided = LINUX) -> dict[str, Any]:
    return vm_body(asked, image or VmImage(MANAGED, managed=True), decided, SUBNET)


def test_a_linux_machine_with_a_key_allows_no_password() -> None:
    asked = request(
        admin_username="ops", ssh_public_keys=[" ssh-ed25519 AAAA me\n"], custom_data="#cloud-config\n"
    )
    profile = body(asked)["properties"]["osProfile"]
    assert profile["linuxConfiguration"] == {
        "disablePasswordAuthentication": True,
        "ssh": {"publicKeys": [{"path": "/home/ops/.ssh/authorized_keys", "keyData": "ssh-ed25519 AAAA me"}]},
    }
    assert "adminPassword" not in profile
    assert base64.b64decode(profile["customData"]) == b"#cloud-config\n"


def test_a_password_is_allowed_when_one_is_given_and_windows_has_its_own_configuration() -> None:
    asked = request(admin_username="ops", admin_password="Open-Sesame-1")
    linux = body(asked)["properties"]["osProfile"]
    assert linux["linuxConfiguration"] == {"disablePasswordAuthentication": False}
    windows = body(asked, decided=LINUX._replace(os_type="Windows"))["properties"]["osProfile"]
    assert "linuxConfiguration" not in windows
    assert windows["windowsConfiguration"] == {"provisionVMAgent": True}
    assert "Open-Sesame-1" not in repr(asked)


def test_a_specialized_image_is_sent_no_os_profile() -> None:
    assert "osProfile" not in body(request(), decided=LINUX._replace(with_os_profile=False))["properties"]


def test_disks_of_the_image_are_listed_so_that_they_go_with_the_machine() -> None:
    image = VmImage(
        MANAGED, managed=True, data_disks=({"lun": 3, "caching": "None", "storageAccountType": "X"},)
    )
    asked = request(
        data_disks=[{"lun": 10, "size_gb": 8, "delete_option": "Detach"}], os_disk={"size_gb": 40, "name": ""}
    )
    storage = body(asked, image)["properties"]["storageProfile"]
    assert storage["osDisk"] == {"createOption": "FromImage", "diskSizeGB": 40, "deleteOption": "Delete"}
    assert storage["dataDisks"] == [
        {
            "lun": 3,
            "createOption": "FromImage",
            "caching": "None",
            "deleteOption": "Delete",
            "managedDisk": {"storageAccountType": "X"},
        },
        {"lun": 10, "createOption": "Empty", "diskSizeGB": 8, "deleteOption": "Detach"},
    ]


def test_interface_and_public_address_are_described_in_the_machine_and_go_with_it() -> None:
    def interface(**options: Any) -> Any:
        profile = body(request(**options))["properties"]["networkProfile"]
        return profile["networkInterfaceConfigurations"][0]["properties"]

    private = interface()
    assert private["deleteOption"] == "Delete"
    assert private["networkSecurityGroup"] == {"id": "/nsg"}
    assert private["ipConfigurations"][0]["properties"] == {"primary": True, "subnet": {"id": "/subnet"}}
    public = interface(public_ip=True)["ipConfigurations"][0]["properties"]["publicIPAddressConfiguration"]
    assert public["properties"]["deleteOption"] == "Delete"
    assert public["sku"]["name"] == "Standard"


def test_zone_plan_identity_and_security_type_are_sent_where_azure_wants_them() -> None:
    identity = (
        "/subscriptions/s/resourceGroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/i"
    )
    asked = request(
        zone="2",
        user_assigned_identities=[identity],
        security_type="TrustedLaunch",
        tags={"n": 1},
    )
    plan = {"name": "p", "product": "o", "publisher": "c"}
    sent = body(asked, VmImage({"id": VERSION}), LINUX._replace(plan=plan))
    assert sent["zones"] == ["2"]
    assert sent["plan"] == {"name": "p", "product": "o", "publisher": "c"}
    assert sent["identity"] == {"type": "UserAssigned", "userAssignedIdentities": {identity: {}}}
    assert sent["properties"]["securityProfile"]["uefiSettings"] == {
        "secureBootEnabled": True,
        "vTpmEnabled": True,
    }
    assert sent["tags"] == {"n": "1"}


@pytest.mark.parametrize(
    ("image", "reference"),
    [
        ("web", MANAGED),
        (MANAGED["id"], MANAGED),
        (VERSION, {"id": VERSION}),
        ({"name": "web"}, MANAGED),
        ({"name": "web", "resource_group": "other"}, {"id": MANAGED["id"].replace("/rg/", "/other/")}),
        ({"id": VERSION}, {"id": VERSION}),
        (
            "Debian:debian-12:12-gen2:latest",
            {"publisher": "Debian", "offer": "debian-12", "sku": "12-gen2", "version": "latest"},
        ),
        (
            {"publisher": "Debian", "offer": "debian-12", "sku": "12", "version": ""},
            {"publisher": "Debian", "offer": "debian-12", "sku": "12", "version": "latest"},
        ),
        (
            "/CommunityGalleries/g/Images/i/Versions/1.0.0",
            {"communityGalleryImageId": "/CommunityGalleries/g/Images/i/Versions/1.0.0"},
        ),
        (
            {"shared_gallery_image_id": "/SharedGalleries/g/Images/i"},
            {"sharedGalleryImageId": "/SharedGalleries/g/Images/i/Versions/latest"},
        ),
    ],
)
def test_every_spelling_of_an_image(image: Any, reference: dict[str, str]) -> None:
    assert image_reference(image, SUBSCRIPTION, "rg") == reference


@pytest.mark.parametrize(
    "image", [f"{COMPUTE}/disks/d", "/not/an/id", {"publisher": "Debian"}, {}, {"id": VERSION, "name": "web"}]
)
def test_what_names_no_image_is_refused(image: Any) -> None:
    with pytest.raises(InvalidInput, match="image"):
        image_reference(image, SUBSCRIPTION, "rg")


def test_images_are_compared_without_case_and_with_any_latest_version() -> None:
    assert same_image({"id": MANAGED["id"].upper()}, MANAGED)
    assert not same_image({"id": VERSION}, MANAGED)
    assert not same_image(None, MANAGED)
    market = {"publisher": "Debian", "offer": "o", "sku": "s", "version": "1.2.3", "exactVersion": "1.2.3"}
    asked = {"publisher": "Debian", "offer": "o", "sku": "s", "version": "latest"}
    assert same_image(market, asked)
    assert not same_image(market, {**asked, "version": "2"})


def state(*codes: str, provisioning: str = "Succeeded") -> VmState:
    statuses = [{"code": code, "message": "why"} for code in codes]
    return read_state(
        {"properties": {"provisioningState": provisioning, "instanceView": {"statuses": statuses}}}
    )


def test_the_instance_view_tells_power_generalized_and_failure() -> None:
    assert state("ProvisioningState/succeeded", "PowerState/running").power == "running"
    sealed = state("OSState/generalized", "ProvisioningState/succeeded", "PowerState/deallocated")
    assert (sealed.power, sealed.generalized) == ("deallocated", True)
    assert not state("OSState/specialized").generalized
    failed = state("ProvisioningState/failed/OSProvisioningTimedOut", provisioning="Failed")
    assert failed.failure == ("OSProvisioningTimedOut", "why")
    assert read_state({}) == VmState(None, False, "", None)


@pytest.mark.parametrize(
    ("options", "power", "verbs", "result"),
    [
        ({}, "running", (), ("running", False)),
        ({"power_state": "running"}, "deallocated", ("start",), ("running", False)),
        ({"power_state": "stopped"}, "running", ("powerOff",), ("stopped", False)),
        ({"power_state": "stopped"}, "deallocated", (), ("deallocated", False)),
        ({"power_state": "deallocated"}, "stopped", ("deallocate",), ("deallocated", False)),
        ({"generalized": True}, "stopped", ("generalize",), ("stopped", True)),
        (
            {"generalized": True, "power_state": "deallocated"},
            "running",
            ("deallocate", "generalize"),
            ("deallocated", True),
        ),
    ],
)
def test_the_plan_has_only_the_actions_that_are_needed(
    options: dict[str, Any], power: str, verbs: tuple[str, ...], result: tuple[str, bool]
) -> None:
    plan = power_plan(request(**options), VmState(power, False, "Succeeded", None))
    assert plan.verbs == verbs
    assert (plan.power, plan.generalized) == result


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"generalized": True, "power_state": "running"}, "cannot run"),
        ({"network_interfaces": ["/nic"], "public_ip": True}, "network_interfaces"),
        ({"virtual_network": "v"}, "subnet is missing"),
        ({"subnet": "s"}, "virtual_network"),
        ({"subnet": "s", "virtual_network": "v", "open_ports": [22]}, "open_ports"),
        ({"open_ports": [0]}, "65535"),
        ({"data_disks": [{"lun": 1, "size_gb": 1}, {"lun": 1, "size_gb": 1}]}, "LUN 1"),
        ({"data_disks": [{"lun": 64, "size_gb": 1}]}, "between 0 and 63"),
        ({"data_disks": [{"lun": 1, "size_gb": 0}]}, "less than 1"),
        ({"os_disk": {"name": "bad/disk"}}, "os_disk.name"),
        ({"custom_data": "ä" * 32768}, "65535 bytes"),
        ({"user_assigned_identities": ["name"]}, "resource id"),
    ],
)
def test_contradictions_are_refused_without_asking_azure(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        request(**options)


def test_empty_strings_count_as_not_given() -> None:
    empty = request(
        image="", size="", admin_password="", location="", subnet="", zone="", ssh_public_keys=["", " "]
    )
    assert empty == request()


def test_a_failed_provisioning_keeps_azures_code_and_tells_where_to_look() -> None:
    error = AzureError(
        "OS Provisioning did not finish.", code="OSProvisioningTimedOut", target="vm", request_id="r"
    )
    failed = provisioning_failed(error, f"{COMPUTE}/virtualMachines/web-1")
    assert (failed.code, failed.target, failed.request_id) == ("OSProvisioningTimedOut", "vm", "r")
    for fragment in ("not generalized", "get-boot-log", "virtualMachines/web-1", "state: absent"):
        assert fragment in str(failed)
    assert "not generalized" not in str(
        provisioning_failed(AzureError("No.", code="AllocationFailed"), "/id")
    )
