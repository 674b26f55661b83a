# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: The goldenimage.azure authors
"""Virtual machines: created from images and disks, shown, updated, deleted."""

from __future__ import annotations

from collections.abc import Mapping

from tests.local_azure.azure import LocalAzure
from tests.local_azure.call import Call, Reply
from tests.local_azure.errors import ArmError
from tests.local_azure.kinds import ResourceKind, Verb, check_tags, json_object, method_not_allowed
from tests.local_azure.paging import PROVIDER_PAGE
from tests.local_azure.providers.compute import vm_body
from tests.local_azure.providers.compute.images import VIRTUAL_MACHINE
from tests.local_azure.providers.compute.vm_actions import MachineActions
from tests.local_azure.providers.compute.vm_capture import MachineCapture
from tests.local_azure.providers.compute.vm_creation import MachineCreation
from tests.local_azure.providers.compute.vm_diagnostics import MachineDiagnostics
from tests.local_azure.providers.compute.vm_disks import MachineDisks
from tests.local_azure.providers.compute.vm_extensions import (
    changes_extensions,
    extension_views,
    shown_extensions,
)
from tests.local_azure.providers.compute.vm_network import MachineNetwork
from tests.local_azure.providers.compute.vm_power import MachinePower
from tests.local_azure.providers.compute.vm_run_commands import RunCommandAction
from tests.local_azure.providers.compute.vm_shapes import etag, has_etag, shaped
from tests.local_azure.providers.compute.vm_state import MachineState, generalized
from tests.local_azure.providers.compute.vm_update import MachineUpdate
from tests.local_azure.providers.compute.vm_view import instance_view
from tests.local_azure.providers.disks.disks import Disks
from tests.local_azure.providers.marketplace.marketplace_images import place_of
from tests.local_azure.providers.network.network_interfaces import Interfaces
from tests.local_azure.providers.network.public_addresses import PublicAddresses
from tests.local_azure.store import Json, Resource

# Measured: 58 to 99 s from the request until a machine has reported ready.
_CREATE_SECONDS = 60
_SECRETS = ("custom_data", "admin_password", "disk_plans", "nic_plans")
# Machines show their generation in the instance view from this API version on.
_GENERATION_SEEN_SINCE = "2019-07-01"


class VirtualMachines(ResourceKind):
    """`hidden` holds what Azure does not show: power, generalized, the plans, password, custom data.

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
        self.power = MachinePower(azure, self._disks, self._network)
        self._state = MachineState(self)
        self._creation = MachineCreation(azure, self._disks, self._network)
        self._update = MachineUpdate(azure, self._disks)
        self._actions = (
            MachineActions(self, self._disks, self.power, self._state),
            MachineCapture(self, self._disks, self._state),
            MachineDiagnostics(self, self.power),
            RunCommandAction(self, self.power, self._state),
        )
        self.define("create", self._finish_create)
        self.define("update", self._finish_update)
        self.define("delete", self._finish_delete)

    def verbs(self) -> Mapping[str, Verb]:
        verbs: dict[str, Verb] = {"get instanceview": self._instance_view}
        for actions in self._actions:
            verbs |= actions.verbs()
        return verbs

    def subscription_verbs(self) -> Mapping[str, Verb]:
        return {r"microsoft\.compute/locations/[^/]+/virtualmachines": self._list_in_region}

    # Reading.

    async def _list_in_region(self, call: Call) -> Reply:
        if call.method != "GET":
            raise method_not_allowed(call)
        place = place_of(call, "locations/virtualMachines")
        found = [
            r for r in self.azure.store.of_type(self.type, None, call.subscription) if r.location == place
        ]
        shown = [self.render(resource, call) for resource in found]
        return Reply(200, self.azure.paging.slice(call, shown, PROVIDER_PAGE), paged=True)

    def render(self, resource: Resource, call: Call) -> Json:
        body = shaped(resource, call.api_version)
        body["properties"]["provisioningState"] = self._shown_state(resource)
        extensions = shown_extensions(self.azure, resource)
        if extensions:
            listed = len(call.types) > len(call.names)
            body["resources"] = [{"id": e["id"]} for e in extensions] if listed else extensions
        expand = [part.strip().lower() for part in call.query.get("$expand", "").split(",")]
        if call.query.get("statusOnly", "").lower() == "true":
            view = self._view(resource, call)
            kept = {"provisioningState": self._shown_state(resource), "vmId": resource.properties["vmId"]}
            body["properties"] = {**kept, "instanceView": {"statuses": view["statuses"]}}
        elif "instanceview" in expand:
            body["properties"]["instanceView"] = self._view(resource, call)
        if "userdata" in expand and resource.hidden.get("user_data"):
            body["properties"]["userData"] = resource.hidden["user_data"]
        return body

    def _shown_state(self, resource: Resource) -> str:
        """A change of an extension is one of its machine, too, as long as it lasts."""
        changing = resource.state == "Succeeded" and changes_extensions(self.azure, resource)
        return "Updating" if changing else resource.state

    def _view(self, resource: Resource, call: Call) -> Json:
        extensions = extension_views(self.azure, resource)
        state, power = self._shown_state(resource), self.power.seen(resource)
        view = instance_view(resource, state, power, extensions, self.power.heard(resource))
        if call.api_version < _GENERATION_SEEN_SINCE:
            del view["hyperVGeneration"]
        return view

    async def get(self, call: Call) -> Reply:
        resource = self.require(call)
        headers = {} if call.query.get("$expand") else self._etag_header(resource, call)
        return Reply(200, self.render(resource, call), headers)

    def _etag_header(self, resource: Resource, call: Call) -> dict[str, str]:
        return {"ETag": etag(resource)} if has_etag(call.api_version) else {}

    async def _instance_view(self, call: Call) -> Reply:
        return Reply(200, self._view(self.require(call), call))

    # Creation.

    async def put(self, call: Call) -> Reply:
        existing = self.find(call)
        body = vm_body.read(self.check_write(call, existing))
        if existing is not None:
            return self._begin_update(call, existing, body, whole=True)
        tags = {"tags": body["tags"]} if body.get("tags") is not None else {}
        resource = self.new_resource(call, {"location": body["location"], **tags})
        self._creation.compose(call, resource, body)
        self.azure.store.put(resource)
        operation = self.begin(call, resource, "create", azure_seconds=_CREATE_SECONDS, retry_after=10)
        headers = self.azure.operations.headers(operation, aao=True, location=False)
        return Reply(201, self.render(resource, call), {**headers, **self._etag_header(resource, call)})

    async def _finish_create(self, resource: Resource, _arguments: Json) -> None:
        hidden, properties = resource.hidden, resource.properties
        if "disk_plans" not in hidden:
            return  # A stop of the server came between the end of the work and the note of it.
        plans = hidden["disk_plans"]
        try:
            self._refuse_what_azure_finds_late(resource)
            await self._disks.make(resource, plans)
            self._disks.complete(resource, plans)
            shown = self._network.make(resource, hidden["nic_plans"])
            properties["networkProfile"] = {"networkInterfaces": shown}
            hidden["power"] = "running"
            self.keep(resource)
            await self.power.start(resource, provisioning=not hidden["specialized"])
        except ArmError as fault:
            hidden["failure"] = fault.error()
            self._forget_secrets(resource)
            self.fail(resource)
            raise
        hidden["agent"] = self._has_agent(resource)
        self._forget_secrets(resource)
        self._state.done(resource)

    @staticmethod
    def _refuse_what_azure_finds_late(resource: Resource) -> None:
        refused = resource.hidden.get("refused")
        if refused:
            raise ArmError(400, refused["code"], refused["message"])

    def _has_agent(self, resource: Resource) -> bool:
        """Without guests every machine's agent is thought to run, unless the request did without it."""
        profile = resource.properties.get("osProfile") or {}
        settings = profile.get("linuxConfiguration") or profile.get("windowsConfiguration") or {}
        if settings.get("provisionVMAgent") is False:
            return False
        return self.azure.guests is None or not resource.hidden["specialized"]

    @staticmethod
    def _forget_secrets(resource: Resource) -> None:
        for key in _SECRETS:
            resource.hidden.pop(key, None)

    # Update.

    async def patch(self, call: Call) -> Reply:
        resource = self.require(call)
        body = json_object(call)
        check_tags(body)
        return self._begin_update(call, resource, vm_body.read(body), whole=False)

    def _begin_update(self, call: Call, resource: Resource, body: Json, *, whole: bool) -> Reply:
        self._state.refuse_when_busy(resource, "Update VM")
        if resource.hidden.get("generalized"):
            raise generalized("Update VM", resource)
        plans = self._update.apply(resource, body, whole=whole)
        resource.properties["provisioningState"] = "Updating"
        self._state.touch(resource)
        operation = self.begin(call, resource, "update", {"plans": plans}, azure_seconds=15)
        headers = self.azure.operations.headers(operation, aao=True, location=False)
        return Reply(200, self.render(resource, call), {**headers, **self._etag_header(resource, call)})

    async def _finish_update(self, resource: Resource, arguments: Json) -> None:
        try:
            await self._update.finish(resource, arguments["plans"])
        except ArmError as fault:
            resource.hidden["failure"] = fault.error()
            self.fail(resource)
            raise
        self._state.done(resource)
        await self.power.tell(resource)

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
        await self.power.unplug(resource)
        await self.azure.operations.others_done(resource.id, f"{self.type}:delete")
        latest = self.azure.store.get(resource.id)
        if latest is not None:
            await self.remove(latest)

    async def remove(self, resource: Resource) -> None:
        pairs = self._disks.attached(resource)
        lasting = any(entry.get("deleteOption") != "Delete" for entry, _unused in pairs)
        await self.power.forget(resource, keep_writes=lasting or bool(resource.hidden.get("vhds")))
        await super().remove(resource)
        for entry, disk in pairs:
            await self._disks.release(resource, entry, disk, may_delete=True)
        await self._network.release(resource)
