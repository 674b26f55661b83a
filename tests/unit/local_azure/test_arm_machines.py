# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Virtual machines without guests: creation, disks, power, generalize, images of them, deletion."""

from __future__ import annotations

import copy
import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from tests.unit.local_azure.arm_server import KEY, Arm, Json, compute, error_of, network_path
from tests.unit.local_azure.machines import slowly

Change = Callable[[Json], None]


class World:
    """A group with an image of two disks (one a data disk at LUN 3) and a subnet."""

    def __init__(self, arm: Arm) -> None:
        self.arm = arm
        self.group = arm.group()
        self.subnet = arm.subnet(self.group)
        os_disk = arm.disk(self.group, "os", diskSizeGB=2)
        self.image = arm.image(self.group, "image", os_disk, data=arm.disk(self.group, "data"))

    def body(self) -> Json:
        return self.arm.machine_body(self.image, self.subnet)

    def path(self, name: str) -> str:
        return compute(self.group, "virtualMachines", name)

    def machine(self, name: str) -> Json:
        return self.arm.make(self.path(name), self.body())

    def post(self, name: str, verb: str) -> None:
        self.arm.done(self.arm.send("POST", f"{self.path(name)}/{verb}"))

    def statuses(self, name: str) -> list[str]:
        view = self.arm.get(self.path(name) + "/instanceView")
        return [s["code"] for s in view["statuses"]]


@pytest.fixture(scope="module")
def world(arm: Arm) -> World:
    return World(arm)


def test_machine_is_born_from_an_image_with_all_its_disks(world: World, arm: Arm) -> None:
    body = world.body()
    body["properties"]["osProfile"] |= {"customData": "c2VjcmV0", "computerName": "born"}
    answer = arm.send("PUT", world.path("born"), body)
    assert answer.status_code == 201
    assert "Location" not in answer.headers
    assert answer.headers["Retry-After"] == "1"
    shown = answer.json()["properties"]
    assert shown["provisioningState"] == "Creating"
    assert not {"customData", "adminPassword"} & set(shown["osProfile"])
    assert (
        arm.get(world.path("born") + "/instanceView")["statuses"][0]["code"] == "ProvisioningState/creating"
    )
    arm.done(answer)
    machine = arm.get(world.path("born"))
    properties = machine["properties"]
    assert properties["osProfile"]["requireGuestProvisionSignal"] is True
    profile = properties["storageProfile"]
    assert profile["imageReference"] == {"id": world.image["id"]}
    assert (profile["osDisk"]["osType"], profile["osDisk"]["diskSizeGB"]) == ("Linux", 2)
    assert [(d["lun"], d["createOption"], d["diskSizeGB"]) for d in profile["dataDisks"]] == [
        (3, "FromImage", 1)
    ]
    for disk in (profile["osDisk"], *profile["dataDisks"]):
        managed = arm.send("GET", disk["managedDisk"]["id"], version="2024-03-02").json()
        assert managed["managedBy"] == machine["id"]
        assert managed["properties"]["diskState"] == "Attached"
        assert managed["properties"]["creationData"]["createOption"] == "FromImage"
    assert world.statuses("born") == ["ProvisioningState/succeeded", "PowerState/running"]
    assert "etag" in machine
    view = arm.get(world.path("born"), query="&$expand=instanceView")["properties"]["instanceView"]
    assert view["computerName"] == "born"
    with closing(sqlite3.connect(arm.settings.state_dir / "state.sqlite")) as stored:
        ((hidden,),) = stored.execute("SELECT hidden FROM resources WHERE name = 'born'").fetchall()
    assert "c2VjcmV0" not in hidden
    nic = arm.send(
        "GET", properties["networkProfile"]["networkInterfaces"][0]["id"], version="2024-05-01"
    ).json()
    assert nic["properties"]["virtualMachine"] == {"id": machine["id"]}
    assert nic["properties"]["ipConfigurations"][0]["properties"]["privateIPAddress"].startswith("10.0.0.")
    public = nic["properties"]["ipConfigurations"][0]["properties"]["publicIPAddress"]["id"]
    address = arm.send("GET", public, version="2024-05-01").json()["properties"]["ipAddress"]
    first, second, *_unused = address.split(".")
    assert first == "127"
    assert 64 <= int(second) < 128


def test_power_states_and_disk_states(world: World, arm: Arm) -> None:
    machine = world.machine("power")
    os_disk = machine["properties"]["storageProfile"]["osDisk"]["managedDisk"]["id"]

    def disk_state() -> str:
        disk = arm.send("GET", os_disk, version="2024-03-02").json()
        return str(disk["properties"]["diskState"])

    with slowly(arm, 16):
        answer = arm.send("POST", world.path("power") + "/powerOff", query="&skipShutdown=false")
    assert (answer.status_code, answer.content) == (202, b"")
    assert {"Azure-AsyncOperation", "Location"} <= set(answer.headers)
    busy = arm.send("POST", world.path("power") + "/start")
    assert error_of(busy) == (409, "OperationNotAllowed")
    arm.done(answer)
    assert world.statuses("power")[-1] == "PowerState/stopped"
    assert disk_state() == "Attached"
    world.post("power", "deallocate")
    assert world.statuses("power")[-1] == "PowerState/deallocated"
    assert disk_state() == "Reserved"
    not_running = arm.send("POST", world.path("power") + "/restart")
    assert error_of(not_running) == (409, "OperationNotAllowed")
    access = os_disk + "/beginGetAccess"
    granted = arm.send("POST", access, {"access": "Read", "durationInSeconds": 60}, version="2024-03-02")
    arm.done(granted)
    refused = arm.send("POST", world.path("power") + "/start")
    assert error_of(refused) == (409, "OperationNotAllowed")
    assert "active shared access signature" in refused.json()["error"]["message"]
    arm.done(arm.send("POST", os_disk + "/endGetAccess", version="2024-03-02"))
    world.post("power", "start")
    assert world.statuses("power")[-1] == "PowerState/running"
    refused = arm.send("POST", access, {"access": "Read", "durationInSeconds": 60}, version="2024-03-02")
    assert error_of(refused) == (409, "Conflict")
    assert "is currently attached to running VM" in refused.json()["error"]["message"]


def test_generalize_capture_and_what_a_generalized_machine_refuses(world: World, arm: Arm) -> None:
    machine = world.machine("golden")
    path = world.path("golden")
    image = {"location": "westus", "properties": {"sourceVirtualMachine": {"id": machine["id"]}}}
    image_path = compute(world.group, "images", "captured")
    answer = arm.send("PUT", image_path, image)
    assert error_of(answer) == (409, "OperationNotAllowed")
    assert answer.json()["error"]["message"] == (
        "The operation 'Create Image' requires the Virtual Machine 'golden' to be Generalized."
    )
    running = arm.send("POST", path + "/generalize")
    assert error_of(running) == (409, "OperationNotAllowed")
    assert running.json()["error"]["message"].startswith(
        "Operation 'generalize' is not allowed on VM 'golden' since the VM is running."
    )
    world.post("golden", "powerOff")
    generalized = arm.send("POST", path + "/generalize")
    assert (generalized.status_code, generalized.content) == (200, b"")
    assert "Azure-AsyncOperation" not in generalized.headers
    assert world.statuses("golden") == [
        "OSState/generalized",
        "ProvisioningState/succeeded",
        "PowerState/stopped",
    ]
    assert "instanceView" not in arm.get(path)["properties"]
    for verb in ("start", "redeploy"):
        assert error_of(arm.send("POST", f"{path}/{verb}")) == (409, "OperationNotAllowed")
    assert error_of(arm.send("PATCH", path, {"tags": {"a": "b"}})) == (409, "OperationNotAllowed")
    assert error_of(arm.send("POST", path + "/capture", {})) == (409, "OperationNotAllowed")
    answer = arm.send("PUT", image_path, image)
    assert answer.status_code == 201
    shown = answer.json()["properties"]["storageProfile"]
    assert "diskSizeGB" not in shown["osDisk"]
    arm.done(answer)
    captured = arm.get(image_path)["properties"]
    assert captured["sourceVirtualMachine"] == {"id": machine["id"]}
    assert captured["storageProfile"]["osDisk"]["osState"] == "Generalized"
    assert [(d["lun"], d["diskSizeGB"]) for d in captured["storageProfile"]["dataDisks"]] == [(3, 1)]
    assert captured["hyperVGeneration"] == "V2"
    assert arm.get(path)["name"] == "golden"


def test_machine_of_another_generation_than_asked_makes_no_image(world: World, arm: Arm) -> None:
    machine = world.machine("generation")
    world.post("generation", "deallocate")
    arm.send("POST", world.path("generation") + "/generalize")
    properties = {"sourceVirtualMachine": {"id": machine["id"]}, "hyperVGeneration": "V1"}
    answer = arm.send(
        "PUT", compute(world.group, "images", "x"), {"location": "westus", "properties": properties}
    )
    assert error_of(answer) == (400, "InvalidParameter")


def os_profile(**change: Any) -> Change:
    return lambda p: p["osProfile"].update(change)


def linux(**change: Any) -> Change:
    return lambda p: p["osProfile"]["linuxConfiguration"].update(change)


def ssh_key(**change: Any) -> Change:
    keys = [{"path": "/home/azureuser/.ssh/authorized_keys", "keyData": KEY, **change}]
    return linux(ssh={"publicKeys": keys})


@pytest.mark.parametrize(
    ("change", "target", "text"),
    [
        (lambda p: p.pop("osProfile"), "osProfile", "Required parameter 'osProfile' is missing (null)."),
        (os_profile(adminUsername=None), "adminUsername", "'adminUsername' is missing (null)."),
        (os_profile(adminUsername="Root"), "adminUsername", "The Admin Username specified is not allowed."),
        (os_profile(adminUsername="a b"), "adminUsername", "contain the following characters"),
        (os_profile(computerName="x" * 65), "computerName", "Linux host name cannot exceed 64 characters"),
        (os_profile(computerName="a_b"), "computerName", "Linux host name cannot"),
        (os_profile(customData="not base64!"), "customData", "must be in Base64 encoding"),
        (os_profile(adminPassword="short"), "adminPassword", "must be between 6-72 characters"),
        (
            linux(ssh=None),
            "linuxConfiguration",
            "Authentication using either SSH or by user name and password",
        ),
        (linux(disablePasswordAuthentication=False), "adminPassword", "is missing (null)."),
        (
            ssh_key(path="/root/.ssh/authorized_keys"),
            "linuxConfiguration.ssh.publicKeys.path",
            "/home/azureuser/",
        ),
        (ssh_key(keyData="no key"), "linuxConfiguration.ssh.publicKeys.keyData", "is invalid."),
        (lambda p: p["hardwareProfile"].update(vmSize="huge"), "vmSize", "is not valid."),
        (lambda p: p["storageProfile"]["osDisk"].pop("createOption"), "osDisk.createOption", "missing"),
        (
            lambda p: p["storageProfile"]["osDisk"].update(name="_x"),
            "osDisk.name",
            "'osDisk.name' is invalid",
        ),
        (
            lambda p: p["storageProfile"].update(
                dataDisks=[{"lun": 3, "createOption": "Empty", "diskSizeGB": 1}]
            ),
            "dataDisk.lun",
            "does not have required value(s) for image specified in storage profile.",
        ),
        (
            lambda p: p["networkProfile"].pop("networkApiVersion"),
            "networkProfile.networkApiVersion",
            "missing",
        ),
    ],
)
def test_bad_machines_are_refused_before_anything_is_made(
    world: World, arm: Arm, change: Change, target: str, text: str
) -> None:
    body = copy.deepcopy(world.body())
    change(body["properties"])
    answer = arm.send("PUT", world.path("bad"), body)
    assert error_of(answer) == (400, "InvalidParameter")
    assert answer.json()["error"]["target"] == target
    assert text in answer.json()["error"]["message"]
    assert error_of(arm.send("GET", world.path("bad"))) == (404, "ResourceNotFound")


def test_image_and_subnet_must_be_there(world: World, arm: Arm) -> None:
    body = world.body()
    body["properties"]["storageProfile"]["imageReference"]["id"] += "x"
    answer = arm.send("PUT", world.path("bad"), body)
    assert error_of(answer) == (404, "NotFound")
    assert answer.json()["error"]["message"].endswith("cannot be found in 'westus' region.")
    body = world.body()
    body["location"] = "eastus"
    assert error_of(arm.send("PUT", world.path("bad"), body)) == (404, "NotFound")
    body = arm.machine_body(world.image, world.subnet + "x")
    assert error_of(arm.send("PUT", world.path("bad"), body)) == (400, "InvalidResourceReference")
    body["properties"]["storageProfile"]["imageReference"] = {
        "publisher": "p",
        "offer": "o",
        "sku": "s",
        "version": "1",
    }
    assert error_of(arm.send("PUT", world.path("bad"), body)) == (404, "PlatformImageNotFound")


def test_disk_smaller_than_the_image_fails_late(world: World, arm: Arm) -> None:
    body = world.body()
    body["properties"]["storageProfile"]["osDisk"]["diskSizeGB"] = 1
    answer = arm.send("PUT", world.path("small"), body)
    assert answer.status_code == 201
    status = arm.finish(answer)
    assert status["error"]["message"] == "Disks or snapshot cannot be resized down."
    assert arm.get(world.path("small"))["properties"]["provisioningState"] == "Failed"
    view = arm.get(world.path("small") + "/instanceView")
    assert view["statuses"][0]["code"] == "ProvisioningState/failed/InvalidParameter"
    arm.done(arm.send("DELETE", world.path("small")))


def test_specialized_disk_becomes_a_machine_without_os_profile(world: World, arm: Arm) -> None:
    disk = arm.disk(world.group, "special", osType="Linux", hyperVGeneration="V2")
    body = world.body()
    attached = {"createOption": "Attach", "osType": "Linux", "managedDisk": {"id": disk["id"]}}
    body["properties"]["storageProfile"] = {"osDisk": attached}
    refused = arm.send("PUT", world.path("special"), body)
    assert error_of(refused) == (400, "InvalidParameter")
    assert refused.json()["error"]["target"] == "osProfile"
    del body["properties"]["osProfile"]
    machine = arm.make(world.path("special"), body)
    assert "osProfile" not in machine["properties"]
    assert world.statuses("special")[0] == "OSState/specialized"
    again = arm.send("PUT", world.path("special2"), body)
    assert error_of(again) == (409, "ConflictingUserInput")
    assert "A disk can be attached to only one VM at a time." in again.json()["error"]["message"]
    path = compute(world.group, "disks", "special")
    refused = arm.send("DELETE", path)
    assert error_of(refused) == (409, "OperationNotAllowed")
    assert refused.json()["error"]["message"] == f"Disk special is attached to VM {machine['id']}."
    grow = arm.send("PATCH", path, {"properties": {"diskSizeGB": 5}})
    assert error_of(grow) == (409, "OperationNotAllowed")


def test_update_changes_tags_size_and_data_disks(world: World, arm: Arm) -> None:
    machine = world.machine("update")
    path = world.path("update")
    data = machine["properties"]["storageProfile"]["dataDisks"]
    change = {
        "tags": {"a": "b"},
        "properties": {
            "hardwareProfile": {"vmSize": "Standard_D2s_v5"},
            "storageProfile": {"dataDisks": [*data, {"lun": 7, "createOption": "Empty", "diskSizeGB": 1}]},
        },
    }
    answer = arm.send("PATCH", path, change)
    assert (answer.status_code, "Azure-AsyncOperation" in answer.headers) == (200, True)
    assert answer.json()["properties"]["provisioningState"] == "Updating"
    arm.done(answer)
    machine = arm.get(path)
    assert machine["tags"] == {"a": "b"}
    assert machine["properties"]["hardwareProfile"] == {"vmSize": "Standard_D2s_v5"}
    disks = machine["properties"]["storageProfile"]["dataDisks"]
    assert [d["lun"] for d in disks] == [3, 7]
    detached = disks[1]["managedDisk"]["id"]
    machine["properties"]["storageProfile"]["dataDisks"] = disks[:1]
    arm.done(arm.send("PUT", path, machine))
    assert [d["lun"] for d in arm.get(path)["properties"]["storageProfile"]["dataDisks"]] == [3]
    disk = arm.send("GET", detached, version="2024-03-02").json()
    assert disk["properties"]["diskState"] == "Unattached"
    assert "managedBy" not in disk
    for field in ({"adminUsername": "other"}, {"computerName": "other"}):
        refused = arm.send("PATCH", path, {"properties": {"osProfile": field}})
        assert error_of(refused) == (409, "PropertyChangeNotAllowed")


def test_deletion_takes_along_what_was_marked_for_it(world: World, arm: Arm) -> None:
    machine = world.machine("gone")
    profile = machine["properties"]["storageProfile"]
    os_disk, data_disk = profile["osDisk"]["managedDisk"]["id"], profile["dataDisks"][0]["managedDisk"]["id"]
    nic = machine["properties"]["networkProfile"]["networkInterfaces"][0]["id"]
    shown = arm.send("GET", nic, version="2024-05-01").json()
    public = shown["properties"]["ipConfigurations"][0]["properties"]["publicIPAddress"]["id"]
    in_use = arm.send("DELETE", nic, version="2024-05-01")
    assert error_of(in_use) == (400, "NicInUse")
    answer = arm.send("DELETE", world.path("gone"))
    assert answer.status_code == 202
    assert {"Azure-AsyncOperation", "Location", "Retry-After"} <= set(answer.headers)
    arm.done(answer)
    assert arm.send("DELETE", world.path("gone")).status_code == 204
    for gone, version in ((os_disk, "2024-03-02"), (nic, "2024-05-01"), (public, "2024-05-01")):
        assert error_of(arm.send("GET", gone, version=version)) == (404, "ResourceNotFound"), gone
    kept = arm.send("GET", data_disk, version="2024-03-02").json()
    assert kept["properties"]["diskState"] == "Unattached"


def test_deletion_during_creation_leaves_nothing(world: World, arm: Arm) -> None:
    with slowly(arm, 60):
        creating = arm.send("PUT", world.path("hasty"), world.body())
    deleting = arm.send("DELETE", world.path("hasty"))
    arm.finish(creating)
    arm.done(deleting)
    assert error_of(arm.send("GET", world.path("hasty"))) == (404, "ResourceNotFound")
    names = [d["name"] for d in arm.get(compute(world.group, "disks"))["value"]]
    assert not [n for n in names if n.startswith("hasty_OsDisk")]


def test_image_in_use_by_a_creation_cannot_be_deleted(world: World, arm: Arm) -> None:
    with slowly(arm, 60):
        creating = arm.send("PUT", world.path("user"), world.body())
    refused = arm.send("DELETE", compute(world.group, "images", "image"))
    assert error_of(refused) == (409, "OperationNotAllowed")
    assert "'user' are being provisioned using the Image 'image'." in refused.json()["error"]["message"]
    arm.done(creating)


def test_existing_interface_serves_one_machine(world: World, arm: Arm) -> None:
    configuration = {"name": "ip", "properties": {"subnet": {"id": world.subnet}}}
    nic = arm.make(
        network_path(world.group, "networkInterfaces", "own"),
        {"location": "westus", "properties": {"ipConfigurations": [configuration]}},
    )
    body = world.body()
    body["properties"]["networkProfile"] = {"networkInterfaces": [{"id": nic["id"]}]}
    machine = arm.make(world.path("own"), body)
    assert machine["properties"]["networkProfile"] == {"networkInterfaces": [{"id": nic["id"]}]}
    assert error_of(arm.send("PUT", world.path("own2"), body)) == (400, "NicInUse")
    arm.done(arm.send("DELETE", world.path("own")))
    assert (
        "virtualMachine" not in arm.get(network_path(world.group, "networkInterfaces", "own"))["properties"]
    )
