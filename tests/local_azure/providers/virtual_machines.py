# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Virtual machines: created from images and disks, updated, powered, generalized, deleted."""

from __future__ import annotations

import uuid
from collections.abc import Mapping

from tests.local_azure.azure import LocalAzure
from tests.local_azure.call import Call, Reply, properties_of
from tests.local_azure.clock import now, wire_time
from tests.local_azure.errors import ArmError, invalid_value, missing_parameter, not_allowed
from tests.local_azure.kinds import ResourceKind, Verb, check_tags, json_object
from tests.local_azure.providers import vm_rules
from tests.local_azure.providers.disks import Disks
from tests.local_azure.providers.images import VIRTUAL_MACHINE
from tests.local_azure.providers.network_interfaces import Interfaces, PublicAddresses
from tests.local_azure.providers.vm_disks import MachineDisks
from tests.local_azure.providers.vm_network import MachineNetwork
from tests.local_azure.providers.vm_power import MachinePower
from tests.local_azure.providers.vm_update import MachineUpdate
from tests.local_azure.providers.vm_view import instance_view
from tests.local_azure.store import Json, Resource

_PASSED_THROUGH = ("diagnosticsProfile", "licenseType", "priority", "evictionPolicy", "securityProfile")
# Measured: 11 to 41 s for a deallocation, 18 s for switching off.
_POWER_SECONDS = 16


class VirtualMachines(ResourceKind):
    """`hidden` holds what Azure does not show: power, generalized, the plans, password and custom data.

    The last two are dropped as soon as the machine is provisioned.
    """

    type = VIRTUAL_MACHINE
    name_rule = r"^[^_\W][\w\-.]{0,63}(?<![-.])$"

    def __init__(
        self, azure: LocalAzure, disks: Disks, interfaces: Interfaces, addresses: PublicAddresses
    ) -> None:
        super().__init__(azure)
        self._disks = MachineDisks(azure, disks)
        self._network = MachineNetwork(azure, interfaces, addresses)
        self._power = MachinePower(azure, self._disks, self._network)
        self._update = MachineUpdate(azure, self._disks)
        for name, work in (
            ("create", self._finish_create),
            ("update", self._finish_update),
            ("delete", self._finish_delete),
            ("start", self._finish_start),
            ("restart", self._finish_restart),
            ("poweroff", self._finish_power_off),
            ("deallocate", self._finish_deallocate),
            ("redeploy", self._finish_restart),
            ("reapply", self._finish_reapply),
        ):
            self.define(name, work)

    def verbs(self) -> Mapping[str, Verb]:
        return {
            "start": self._start,
            "restart": self._restart,
            "poweroff": self._power_off,
            "deallocate": self._deallocate,
            "redeploy": self._redeploy,
            "reapply": self._reapply,
            "generalize": self._generalize,
            "capture": self._capture,
            "converttomanageddisks": self._convert,
            "get instanceview": self._instance_view,
        }

    # Reading.

    def render(self, resource: Resource, call: Call) -> Json:
        body = dict(resource.body)
        properties = dict(resource.properties)
        if call.query.get("$expand", "").lower() == "instanceview":
            properties["instanceView"] = self._view(resource)
        body["properties"] = properties
        body["etag"] = f'"{resource.hidden.get("version", 1)}"'
        return body

    def _view(self, resource: Resource) -> Json:
        return instance_view(resource, self._power.seen(resource))

    async def _instance_view(self, call: Call) -> Reply:
        return Reply(200, self._view(self.require(call)))

    # Creation.

    async def put(self, call: Call) -> Reply:
        existing = self.find(call)
        body = self.check_write(call, existing)
        if existing is not None:
            return await self._begin_update(call, existing, body, whole=True)
        given = properties_of(body)
        size = vm_rules.check_size(given)
        storage = given.get("storageProfile")
        if not isinstance(storage, dict):
            raise missing_parameter("storageProfile")
        resource = self.new_resource(call, {"location": body["location"], "tags": body.get("tags") or {}})
        image = self._disks.image_of(storage, body["location"])
        shown, disk_plans = self._disks.plan(resource, storage, image)
        specialized = (
            image is None or image.properties["storageProfile"]["osDisk"]["osState"] == "Specialized"
        )
        profile = vm_rules.check_network_profile(given)
        nic_plans = self._network.plan(resource, profile)
        properties: Json = {
            "hardwareProfile": {"vmSize": size},
            "provisioningState": "Creating",
            "vmId": str(uuid.uuid4()),
            "storageProfile": shown,
        }
        if specialized and given.get("osProfile"):
            raise invalid_value("osProfile", "Parameter 'osProfile' is not allowed.")
        if not specialized:
            properties["osProfile"] = vm_rules.check_os_profile(call, given, shown["osDisk"]["osType"])
        properties["networkProfile"] = {k: v for k, v in profile.items() if v}
        properties |= {k: given[k] for k in _PASSED_THROUGH if given.get(k) is not None}
        created = wire_time(now())
        properties["timeCreated"] = created
        resource.body["properties"] = properties
        resource.body |= {k: body[k] for k in ("zones", "plan", "identity") if body.get(k)}
        secret = given.get("osProfile") or {}
        resource.hidden |= {
            "image": image.id if image else None,
            "generation": _generation(disk_plans[0], self.azure),
            "specialized": specialized,
            "disk_plans": disk_plans,
            "nic_plans": nic_plans,
            "created": created,
            "custom_data": secret.get("customData"),
            "admin_password": secret.get("adminPassword"),
        }
        self.azure.store.put(resource)
        operation = self.begin(call, resource, "create", azure_seconds=55, retry_after=10)
        headers = self.azure.operations.headers(operation, aao=True, location=False)
        return Reply(201, self.render(resource, call), headers)

    async def _finish_create(self, resource: Resource, _arguments: Json) -> None:
        hidden, properties = resource.hidden, resource.properties
        if "disk_plans" not in hidden:
            return  # A stop of the server came between the end of the work and the note of it.
        try:
            await self._disks.make(resource, hidden["disk_plans"])
            self._disks.complete(properties["storageProfile"], hidden["disk_plans"])
            shown = self._network.make(resource, hidden["nic_plans"])
            properties["networkProfile"] = {"networkInterfaces": shown}
            hidden["power"] = "running"
            self.keep(resource)
            await self._power.start(resource, provisioning=not hidden["specialized"])
        except ArmError as fault:
            hidden["failure"] = fault.error()
            self._forget_secrets(resource)
            self.fail(resource)
            raise
        hidden["agent"] = not hidden["specialized"]
        self._forget_secrets(resource)
        self._done(resource)

    @staticmethod
    def _forget_secrets(resource: Resource) -> None:
        for key in ("custom_data", "admin_password", "disk_plans", "nic_plans"):
            resource.hidden.pop(key, None)

    def _done(self, resource: Resource, power: str | None = None) -> None:
        resource.hidden["changed"] = wire_time(now())
        resource.hidden["version"] = resource.hidden.get("version", 0) + 1
        resource.hidden.pop("failure", None)
        if power is not None:
            resource.hidden["power"] = power
        self.succeed(resource)

    # Update.

    async def patch(self, call: Call) -> Reply:
        resource = self.require(call)
        body = json_object(call)
        check_tags(body)
        return await self._begin_update(call, resource, body, whole=False)

    async def _begin_update(self, call: Call, resource: Resource, body: Json, *, whole: bool) -> Reply:
        self._refuse_when_busy(resource, "Update VM")
        if resource.hidden.get("generalized"):
            raise _generalized("Update VM", resource)
        plans = self._update.apply(resource, body, whole=whole)
        resource.properties["provisioningState"] = "Updating"
        self.azure.store.put(resource)
        operation = self.begin(call, resource, "update", {"plans": plans}, azure_seconds=15)
        headers = self.azure.operations.headers(operation, aao=True, location=False)
        return Reply(200, self.render(resource, call), headers)

    async def _finish_update(self, resource: Resource, arguments: Json) -> None:
        await self._update.finish(resource, arguments["plans"])
        self._done(resource)

    # Power.

    def _refuse_when_busy(self, resource: Resource, verb: str) -> None:
        if self.azure.operations.busy(resource.id):
            raise not_allowed(
                f"Operation '{verb}' is not allowed on VM '{resource.name}' since another operation is in "
                "progress."
            )

    def _powered(self, call: Call, work: str, interim: str | None, retry_after: int | None) -> Reply:
        resource = self.require(call)
        verb = {"poweroff": "powerOff"}.get(work, work)
        self._refuse_when_busy(resource, verb)
        if work in ("start", "restart", "redeploy"):
            if resource.hidden.get("generalized"):
                raise _generalized(f"{verb.capitalize()} VM", resource)
            self._disks.check_no_access(resource)
        if interim is not None and resource.hidden.get("power") not in (None, "deallocated"):
            resource.hidden["power"] = interim
        elif work == "start":
            resource.hidden["power"] = "starting"
        self.azure.store.put(resource)
        operation = self.begin(
            call,
            resource,
            work,
            {"skip": _skips_shutdown(call)},
            azure_seconds=_POWER_SECONDS,
            retry_after=retry_after,
        )
        return Reply(202, None, self.azure.operations.headers(operation, aao=True, location=True))

    async def _start(self, call: Call) -> Reply:
        return self._powered(call, "start", None, 10)

    async def _restart(self, call: Call) -> Reply:
        resource = self.require(call)
        if self._power.seen(resource) != "running":
            raise not_allowed(
                f"Operation 'restart' is not allowed on VM '{resource.name}' since the VM is not running."
            )
        return self._powered(call, "restart", None, None)

    async def _power_off(self, call: Call) -> Reply:
        return self._powered(call, "poweroff", "stopping", None)

    async def _deallocate(self, call: Call) -> Reply:
        return self._powered(call, "deallocate", "deallocating", 10)

    async def _redeploy(self, call: Call) -> Reply:
        return self._powered(call, "redeploy", None, None)

    async def _reapply(self, call: Call) -> Reply:
        return self._powered(call, "reapply", None, None)

    async def _finish_start(self, resource: Resource, _arguments: Json) -> None:
        try:
            await self._power.start(resource)
        except ArmError:
            self._done(resource, "stopped")
            raise
        self._done(resource, "running")

    async def _finish_restart(self, resource: Resource, arguments: Json) -> None:
        await self._power.stop(resource)
        await self._finish_start(resource, arguments)

    async def _finish_reapply(self, resource: Resource, _arguments: Json) -> None:
        self._done(resource)

    async def _finish_power_off(self, resource: Resource, arguments: Json) -> None:
        if resource.hidden.get("power") != "deallocated":
            await self._power.stop(resource, hard=bool(arguments.get("skip")))
            self._done(resource, "stopped")

    async def _finish_deallocate(self, resource: Resource, _arguments: Json) -> None:
        await self._power.stop(resource)
        self._power.release_addresses(resource)
        self._done(resource, "deallocated")

    # Generalize and capture.

    async def _generalize(self, call: Call) -> Reply:
        resource = self.require(call)
        self._refuse_when_busy(resource, "generalize")
        if resource.hidden.get("power") not in ("stopped", "deallocated"):
            raise not_allowed(
                f"Operation 'generalize' is not allowed on VM '{resource.name}' since the VM is running. "
                "Please "
                "power off explicitly in case you shut down the VM from inside the guest operating system."
            )
        resource.hidden["generalized"] = True
        self.azure.store.put(resource)
        return Reply(200)

    async def _capture(self, call: Call) -> Reply:
        self.require(call)
        raise not_allowed(
            "The Capture action is only supported on a Virtual Machine with blob based disks. Please use the "
            "'Image' resource APIs to create an Image from a managed Virtual Machine."
        )

    async def _convert(self, call: Call) -> Reply:
        resource = self.require(call)
        raise not_allowed(f"VM '{resource.name}' is already using managed disks.")

    # Deletion.

    async def delete(self, call: Call) -> Reply:
        resource = self.find(call)
        if resource is None:
            return Reply(204)
        resource.properties["provisioningState"] = "Deleting"
        self.azure.store.put(resource)
        operation = self.begin(call, resource, "delete", azure_seconds=50, retry_after=10)
        return Reply(202, None, self.azure.operations.headers(operation, aao=True, location=True))

    async def _finish_delete(self, resource: Resource, _arguments: Json) -> None:
        await self._power.unplug(resource)
        await self.azure.operations.others_done(resource.id, f"{self.type}:delete")
        latest = self.azure.store.get(resource.id)
        if latest is not None:
            await self.remove(latest)

    async def remove(self, resource: Resource) -> None:
        pairs = self._disks.attached(resource)
        lasting = any(entry.get("deleteOption") != "Delete" for entry, _unused in pairs)
        await self._power.forget(resource, keep_writes=lasting)
        await super().remove(resource)
        for entry, disk in pairs:
            await self._disks.release(entry, disk, may_delete=True)
        await self._network.release(resource)


def _generalized(operation: str, machine: Resource) -> ArmError:
    return not_allowed(
        f"Operation '{operation}' is not allowed on VM '{machine.name}' since the VM is generalized."
    )


def _skips_shutdown(call: Call) -> bool:
    return call.query.get("skipShutdown", "").lower() == "true"


def _generation(os_plan: Json, azure: LocalAzure) -> str:
    if "generation" in os_plan:
        return str(os_plan["generation"])
    disk = azure.store.get(os_plan["id"])
    return str(disk.properties.get("hyperVGeneration", "V1")) if disk else "V1"
