# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""What happens when Azure fails half-way. No server fails that way on request, so a stand-in does here."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, cast

import pytest
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.errors import (
    AzureError,
    OperationFailed,
    WaitTimeout,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.operations import Waiter
from ansible_collections.goldenimage.azure.plugins.module_utils._azure.session import AzureSession
from ansible_collections.goldenimage.azure.plugins.module_utils._image.image_request import ImageRequest
from ansible_collections.goldenimage.azure.plugins.module_utils._image.managed_image import ensure_image
from ansible_collections.goldenimage.azure.plugins.module_utils._image.settled import settled
from ansible_collections.goldenimage.azure.plugins.module_utils._image.virtual_machine import ensure_vm
from ansible_collections.goldenimage.azure.plugins.module_utils._image.vm_network import (
    OWNER_TAG,
    delete_when_free,
)
from ansible_collections.goldenimage.azure.plugins.module_utils._image.vm_removal import remove_vm
from ansible_collections.goldenimage.azure.plugins.module_utils._image.vm_request import VmRequest

GROUP = "/subscriptions/s/resourceGroups/rg"
IMAGE = f"{GROUP}/providers/Microsoft.Compute/images/web"
VM = f"{GROUP}/providers/Microsoft.Compute/virtualMachines/vm"
NETWORK = f"{GROUP}/providers/Microsoft.Network"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"


class StandIn:
    """Resources by id or name; a PUT stores what it was given, and then fails with `failure` if any."""

    def __init__(
        self, base: str, resources: dict[str, dict[str, Any]], failure: AzureError | None = None
    ) -> None:
        self.base = base
        self.resources = resources
        self.failure = failure
        self.deleted: list[str] = []

    def get(self, *where: str, **_query: str) -> dict[str, Any] | None:
        return self.resources.get(self._key(*where))

    def put(self, *arguments: Any) -> dict[str, Any]:
        key, body = (arguments[1], arguments[2]) if self.base else (arguments[0], arguments[1])
        properties = {**body["properties"], "provisioningState": "Failed" if self.failure else "Succeeded"}
        self.resources[key] = {"id": self.base + key, "name": key, **body, "properties": properties}
        if self.failure:
            raise self.failure
        return self.resources[key]

    def delete(self, *where: Any) -> bool:
        key = self._key(*where)
        self.deleted.append(key)
        return self.resources.pop(key, None) is not None

    def _key(self, *where: Any) -> str:
        return str(where[1] if self.base else where[0])


class Session:
    """The parts of a session that are used."""

    subscription_id = "s"

    def __init__(self, **collections: StandIn) -> None:
        nothing = StandIn(f"{GROUP}/", {})
        self.compute = type(
            "Compute", (), {**dict.fromkeys(("images", "disks", "snapshots"), nothing), **collections}
        )
        self.arm = collections.get("arm", StandIn("", {}))

    def use(self) -> AzureSession:
        return cast("AzureSession", self)


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Pauses are counted in place of being made."""
    pauses: list[float] = []
    clock = [0.0]

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        clock[0] += seconds

    monkeypatch.setattr(time, "sleep", sleep)
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    defaults: dict[str, Any] = Waiter.__init__.__kwdefaults__ or {}
    monkeypatch.setitem(defaults, "sleep", sleep)
    monkeypatch.setitem(defaults, "clock", lambda: clock[0])
    return pauses


def test_an_image_that_failed_does_not_stand_in_the_way_of_the_next_run() -> None:
    disk = {
        "id": f"{GROUP}/providers/Microsoft.Compute/disks/os",
        "name": "os",
        "location": "eastus",
        "properties": {"osType": "Linux", "diskState": "Unattached"},
    }
    images = StandIn(f"{GROUP}/", {}, OperationFailed("Internal error.", code="InternalExecutionError"))
    arm = StandIn("", {GROUP: {"location": "eastus"}})
    session = Session(images=images, disks=StandIn(f"{GROUP}/", {"os": disk}), arm=arm)
    options = {"resource_group": "rg", "name": "web", "os_disk": {"source": "os"}}
    request = ImageRequest.from_options(options)
    with pytest.raises(OperationFailed, match="Internal error"):
        ensure_image(session.use(), request, check_mode=False, waiter=Waiter())
    assert images.deleted == ["web"]
    assert images.resources == {}


def machine(state: str, *codes: str) -> dict[str, Any]:
    statuses = [{"code": code, "message": "It did not finish in time."} for code in codes]
    properties = {"provisioningState": state, "instanceView": {"statuses": statuses}, "storageProfile": {}}
    return {"id": VM, "name": "vm", "location": "eastus", "properties": properties}


def wanted(**options: Any) -> VmRequest:
    return VmRequest.from_options({"resource_group": "rg", "name": "vm", **options})


def creatable(failure: AzureError) -> Session:
    storage = {"osDisk": {"osType": "Linux", "osState": "Generalized"}}
    image = {"id": IMAGE, "name": "web", "location": "eastus", "properties": {"storageProfile": storage}}
    arm = StandIn("", {GROUP: {"location": "eastus"}, IMAGE: image})
    return Session(virtual_machines=StandIn(f"{GROUP}/", {}, failure), arm=arm)


def create(session: Session) -> None:
    request = wanted(image="web", admin_username="ops", ssh_public_keys=[KEY])
    ensure_vm(session.use(), request, check_mode=False, waiter=Waiter())


def test_a_machine_that_did_not_come_up_stays_for_inspection_with_its_network() -> None:
    session = creatable(OperationFailed("OS provisioning timed out.", code="OSProvisioningTimedOut"))
    with pytest.raises(OperationFailed) as failed:
        create(session)
    assert failed.value.code == "OSProvisioningTimedOut"
    assert "get-boot-log" in str(failed.value)
    assert session.arm.deleted == []
    assert f"{NETWORK}/virtualNetworks/vm-vnet" in session.arm.resources


def test_a_refused_machine_takes_its_network_along() -> None:
    session = creatable(AzureError("No quota.", code="QuotaExceeded"))
    machines = session.compute.virtual_machines  # type: ignore[attr-defined]
    machines.get = lambda *_where, **_query: None
    with pytest.raises(AzureError, match="No quota"):
        create(session)
    assert session.arm.deleted == [
        f"{NETWORK}/virtualNetworks/vm-vnet",
        f"{NETWORK}/networkSecurityGroups/vm-nsg",
    ]


def test_the_network_of_a_machine_is_its_own_whatever_the_case_of_the_name() -> None:
    network = f"{NETWORK}/virtualNetworks/vm-vnet"
    session = Session(
        virtual_machines=StandIn(f"{GROUP}/", {}), arm=StandIn("", {network: {"tags": {OWNER_TAG: "VM"}}})
    )
    assert remove_vm(session.use(), wanted(), check_mode=False, waiter=Waiter()).changed
    assert session.arm.deleted == [network]


def test_a_network_that_cannot_be_removed_does_not_hide_why_the_machine_was_refused() -> None:
    session = creatable(AzureError("No quota.", code="QuotaExceeded"))
    session.compute.virtual_machines.get = lambda *_where, **_query: None  # type: ignore[attr-defined]

    def refuse(*_arguments: Any) -> bool:
        raise AzureError("The network is locked.", code="ScopeLocked")

    session.arm.delete = refuse  # type: ignore[method-assign]
    with pytest.raises(AzureError, match=r"No quota.*network is locked.*state: absent") as failed:
        create(session)
    assert failed.value.code == "QuotaExceeded"


def existing(found: dict[str, Any]) -> Session:
    return Session(virtual_machines=StandIn(f"{GROUP}/", {"vm": found}))


def test_a_machine_that_never_came_up_is_an_error_of_every_later_run() -> None:
    session = existing(
        machine("Failed", "ProvisioningState/failed/OSProvisioningTimedOut", "PowerState/running")
    )
    with pytest.raises(OperationFailed, match="state: absent") as failed:
        ensure_vm(session.use(), wanted(), check_mode=False, waiter=Waiter())
    assert failed.value.code == "OSProvisioningTimedOut"


def test_a_change_that_failed_on_a_running_machine_is_a_warning() -> None:
    session = existing(machine("Failed", "ProvisioningState/failed/AllocationFailed", "PowerState/running"))
    done = ensure_vm(session.use(), wanted(), check_mode=False, waiter=Waiter())
    assert not done.changed
    assert "AllocationFailed" in done.warnings[0]


def test_without_waiting_a_machine_in_the_making_is_returned_as_it_is() -> None:
    session = existing(machine("Creating"))
    done = ensure_vm(session.use(), wanted(size="Standard_B2s"), check_mode=False, waiter=Waiter(wait=False))
    assert not done.changed
    assert done.facts is not None
    assert done.facts["provisioning_state"] == "Creating"


def test_the_network_of_a_machine_that_is_gone_is_removed_and_no_other() -> None:
    network, group = f"{NETWORK}/virtualNetworks/vm-vnet", f"{NETWORK}/networkSecurityGroups/vm-nsg"
    arm = StandIn("", {network: {"tags": {OWNER_TAG: "vm"}}, group: {"tags": {OWNER_TAG: "other"}}})
    session = Session(virtual_machines=StandIn(f"{GROUP}/", {}), arm=arm)
    predicted = remove_vm(session.use(), wanted(), check_mode=True, waiter=Waiter())
    assert predicted.changed
    assert arm.deleted == []
    assert remove_vm(session.use(), wanted(), check_mode=False, waiter=Waiter()).changed
    assert arm.deleted == [network]
    assert not remove_vm(session.use(), wanted(), check_mode=False, waiter=Waiter()).changed


def test_disks_that_azure_would_leave_behind_are_deleted_without_an_update_of_the_machine() -> None:
    def disk(name: str, **members: Any) -> dict[str, Any]:
        return {"managedDisk": {"id": f"{GROUP}/providers/Microsoft.Compute/disks/{name}"}, **members}

    sealed = machine("Succeeded", "OSState/generalized", "PowerState/deallocated")
    sealed["properties"]["storageProfile"] = {
        "osDisk": disk("os", createOption="FromImage", deleteOption="Detach"),
        "dataDisks": [
            disk("from-image", lun=0, createOption="FromImage"),
            disk("attached", lun=1, createOption="Attach", deleteOption="Detach"),
        ],
    }
    disks = StandIn(f"{GROUP}/", {name: {} for name in ("os", "from-image", "attached")})
    machines = StandIn(f"{GROUP}/", {"vm": sealed})
    session = Session(virtual_machines=machines, disks=disks)
    assert remove_vm(session.use(), wanted(), check_mode=False, waiter=Waiter()).changed
    assert machines.deleted == ["vm"]
    assert disks.deleted == ["os", "from-image"]


def test_a_resource_in_the_making_is_read_until_it_is_ready(no_pauses: list[float]) -> None:
    states = iter(["Updating", "Succeeded"])
    seen: list[str] = []

    def read() -> dict[str, Any]:
        return {"properties": {"provisioningState": next(states)}}

    first = {"properties": {"provisioningState": "Creating"}}
    done = settled("Image web", first, read, Waiter(progress=seen.append))
    assert done == {"properties": {"provisioningState": "Succeeded"}}
    assert seen == ["Creating 0 s", "Updating 0 s"]
    assert len(no_pauses) == 2


def test_waiting_for_a_resource_ends_at_its_deadline(no_pauses: list[float]) -> None:
    stuck = {"properties": {"provisioningState": "Creating"}}
    with pytest.raises(WaitTimeout, match=r"Image web is still in state Creating after 60 s.*wait_timeout"):
        settled("Image web", stuck, lambda: stuck, Waiter(timeout=60))
    assert sum(no_pauses) == pytest.approx(60)


def failing(*codes: str) -> tuple[Callable[..., bool], list[str]]:
    left = list(codes)

    def delete(*_arguments: Any) -> bool:
        if left:
            raise AzureError("Busy.", code=left.pop(0))
        return True

    return delete, left


def test_what_a_deleted_machine_still_holds_is_tried_again(no_pauses: list[float]) -> None:
    arm = type("Arm", (), {})()
    arm.delete, left = failing("InUseSubnetCannotBeDeleted", "NetworkSecurityGroupInUseByNetworkInterface")
    delete_when_free(arm, "/net", 60)
    assert left == []
    assert len(no_pauses) == 2
    arm.delete, _unused = failing("AuthorizationFailed")
    with pytest.raises(AzureError):
        delete_when_free(arm, "/net", 60)
    arm.delete, _unused = failing(*["InUseSubnetCannotBeDeleted"] * 100)
    with pytest.raises(AzureError):
        delete_when_free(arm, "/net", 60)
